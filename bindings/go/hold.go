package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"time"
	"unsafe"
)

// Hold is a hold: which snapshot, by its full name, and the tag, of at most 255 bytes.
type Hold struct {
	Snapshot, Tag string
}

// Held is a hold of a snapshot, as it is listed.
type Held struct {
	Tag   string
	Since time.Time
}

// MissingHold is a hold that was to be released, and is not there.
type MissingHold struct {
	Hold
	// Whether the snapshot is there, and only that hold of it is not.
	SnapshotExists bool
}

// Holder has temporary holds: they end when it is closed, or when the process ends.
type Holder struct{ h *handle }

// OpenHolder opens a descriptor to the kernel, for temporary holds.
func (z *Zfs) OpenHolder() (*Holder, error) {
	var out *C.zfsvol_handle
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_handle_open(zfs, &out, e) })
	if err != nil {
		return nil, err
	}
	holder := &Holder{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_handle_free((*C.zfsvol_handle)(p)) }, nil)}
	return caught(holder, holder.h), nil
}

// Close ends the holds that were made with it, and does nothing if it is closed.
func (h *Holder) Close() error {
	h.h.close()
	return nil
}

// Hold holds snapshots so that they cannot be destroyed, all in one transaction group or none. With a holder, not nil, the holds are temporary. Snapshots
// that are not there are left out, and returned. Issues ZFS_IOC_HOLD once.
//
// With each name that failed in [Error.Failures], and the tag in its reason: [ErrExists] (the tag), [ErrUnrelated] (two pools), [ErrInvalid] (a snapshot is
// named twice), [ErrInvalidName] (the length of the tag), [ErrDenied].
func (z *Zfs) Hold(holds []Hold, holder *Holder) (missing []string, err error) {
	var a arena
	defer a.free()
	all, count := a.holds(holds)
	var temporary *C.zfsvol_handle
	if holder != nil {
		p, err := holder.h.use()
		if err != nil {
			return nil, err
		}
		defer holder.h.done()
		temporary = (*C.zfsvol_handle)(p)
	}
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_hold_create(zfs, all, count, temporary, out, e)
	})
	return list.texts("snapshots"), err
}

// Release releases holds, all in one transaction group or none. Those that are not there are left out, and returned. Issues ZFS_IOC_RELEASE once.
//
// With each snapshot that failed in [Error.Failures], and its tags in the reason: [ErrUnrelated] (two pools), [ErrDenied].
func (z *Zfs) Release(holds []Hold) (missing []MissingHold, err error) {
	var a arena
	defer a.free()
	all, count := a.holds(holds)
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_hold_release(zfs, all, count, out, e)
	})
	for _, one := range list.lists("holds") {
		hold := Hold{Snapshot: one.text("snapshot"), Tag: one.text("tag")}
		missing = append(missing, MissingHold{hold, one.truth("snapshot_exists")})
	}
	return missing, err
}

// Holds are the holds of the snapshot. Issues ZFS_IOC_GET_HOLDS.
func (s Snapshot) Holds() ([]Held, error) {
	list, err := s.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_hold_list(zfs, lend(s.name), out, e)
	})
	var all []Held
	for _, held := range list.lists("holds") {
		all = append(all, Held{Tag: held.text("tag"), Since: when(held.signed("since"))})
	}
	return all, err
}

func (a *arena) holds(holds []Hold) (*C.zfsvol_hold, C.size_t) {
	block := (*C.zfsvol_hold)(a.alloc(len(holds), unsafe.Sizeof(C.zfsvol_hold{})))
	for i, one := range holds {
		unsafe.Slice(block, len(holds))[i] = C.zfsvol_hold{snapshot: a.str(one.Snapshot), tag: a.str(one.Tag)}
	}
	return block, C.size_t(len(holds))
}
