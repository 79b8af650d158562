package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"iter"
	"unsafe"
)

// Vdev is a vdev of a pool, by its GUID: a device, or what is made of devices. It is there or not: to make one asks the kernel nothing.
type Vdev struct {
	pool Pool
	guid uint64
}

// VdevStatus is how a vdev is, and those below it.
type VdevStatus struct {
	// "root", "mirror", "raidz", "draid", "disk", "file", "draid_spare", "spare", "replacing", "indirect", "hole", "missing" or "other".
	Kind string
	// By which [Pool.Vdev] takes it. 0 for a hole.
	GUID uint64
	// The file or device, of one that is no group; the last that was known of a device that is missing.
	Path string
	// What it is for, of one right below the root: "normal", "log", "special" or "dedup".
	Class string
	// "online", "degraded", "faulted", "cannot_open", "offline", "removed", "closed" or "unknown".
	State string
	// Why it is in that state, where the kernel says: "open_failed", "corrupt_data", "no_replicas", "too_small", "external" and more.
	Reason string
	// In bytes.
	Size, Allocated uint64
	// What failed since they were last forgotten: see [Pool.Clear].
	ReadErrors, WriteErrors, ChecksumErrors uint64
	Children                                []VdevStatus
	// All of it: besides these "id", "detail" (List, of raidz and draid) and "stats" (List).
	Details List
}

// All are the vdev and all below it, parents before children.
func (v *VdevStatus) All() iter.Seq[*VdevStatus] {
	return func(yield func(*VdevStatus) bool) { v.walk(yield) }
}

func (v *VdevStatus) walk(yield func(*VdevStatus) bool) bool {
	if !yield(v) {
		return false
	}
	for i := range v.Children {
		if !v.Children[i].walk(yield) {
			return false
		}
	}
	return true
}

// NewDevice is a device that is to join a vdev.
type NewDevice struct {
	// The file or device, by its absolute path.
	Path string
	// Sectors of 2 to the power of so many bytes, 9 to 16; 0 for what the device says.
	Ashift uint8
	// Copies in the order of the device, not block by block: quicker, and a scrub afterwards verifies. For mirrors and draid.
	Sequential bool
	// Takes it even if it is part of an exported pool, or of one that another host may have in use.
	Force bool
}

// Offline says how a device is taken out of use.
type Offline uint32

const (
	OfflinePersistent Offline = C.ZFSVOL_OFFLINE_PERSISTENT // until it is brought online again
	OfflineTemporary  Offline = C.ZFSVOL_OFFLINE_TEMPORARY  // until then, or the next import
	OfflineFaulted    Offline = C.ZFSVOL_OFFLINE_FAULTED    // as if it had failed, until it is cleared
)

// Vdev is the vdev of that GUID: see [PoolStatus.Root].
func (p Pool) Vdev(guid uint64) Vdev { return Vdev{p, guid} }

// GUID is its GUID.
func (v Vdev) GUID() uint64 { return v.guid }

// Pool is the pool that it is of.
func (v Vdev) Pool() Pool { return v.pool }

// AddVdevs adds vdevs, spares or cache devices to the pool. What is on the devices is overwritten; devices of other pools are refused unless force is set.
// Reads their labels, and issues ZFS_IOC_VDEV_ADD.
//
// Fails with [ErrNotFound] (the pool, or a device), [ErrBusy], [ErrInvalid] (the vdevs do not go with the pool's), [ErrDenied].
func (p Pool) AddVdevs(topology Topology, force bool) error {
	return topology.use(func(t *C.zfsvol_topology) error {
		return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
			return C.zfsvol_vdev_add(zfs, pool, t, C.bool(force), e)
		})
	})
}

// CancelRemoval stops the removal that is going on in the pool. Issues ZFS_IOC_VDEV_REMOVE. Fails with [ErrNotFound] when nothing is being removed.
func (p Pool) CancelRemoval() error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_vdev_cancel_removal(zfs, pool, e)
	})
}

// Attach makes a device part of the vdev: a further side of a mirror, a mirror of a single device, or from OpenZFS 2.3 on a further column of a raidz vdev.
// The data is copied in the background: see [Pool.Wait]. Reads the device's label, and issues ZFS_IOC_VDEV_ATTACH.
//
// Fails with [ErrNotFound] (the vdev, or the device), [ErrInvalid] (it takes no more, or the device is too small), [ErrBusy], [ErrInProgress] (there is a
// checkpoint), [ErrDenied].
func (v Vdev) Attach(device NewDevice) error {
	return device.use(func(d *C.zfsvol_new_device) error {
		return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
			return C.zfsvol_vdev_attach(zfs, pool, guid, d, e)
		})
	})
}

// Replace puts a device in the place of this one, which is detached once the data is copied: see [Pool.Wait] with [ActivityReplace]. The rest is as in
// [Vdev.Attach].
func (v Vdev) Replace(device NewDevice) error {
	return device.use(func(d *C.zfsvol_new_device) error {
		return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
			return C.zfsvol_vdev_replace(zfs, pool, guid, d, e)
		})
	})
}

// Detach takes the device out of a mirror, or ends a replacement by giving up this one of the two. Issues ZFS_IOC_VDEV_DETACH.
//
// Fails with [ErrNotFound], [ErrInvalid] (it is in no mirror), [ErrBusy] (the others do not have all of its data), [ErrDenied].
func (v Vdev) Detach() error {
	return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
		return C.zfsvol_vdev_detach(zfs, pool, guid, e)
	})
}

// Remove removes a vdev right below the root, a spare or a cache device. Data is copied to the other vdevs in the background: see [Pool.Wait] with
// [ActivityRemove], and [Pool.CancelRemoval]. Issues ZFS_IOC_VDEV_REMOVE.
//
// Fails with [ErrNotFound], [ErrInvalid] (not from such a pool), [ErrNoSpace], [ErrBusy], [ErrInProgress], [ErrKeyNotLoaded], [ErrDenied].
func (v Vdev) Remove() error {
	return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
		return C.zfsvol_vdev_remove(zfs, pool, guid, e)
	})
}

// Online brings the device back into use, with expand all of its size, and says its state, as [VdevStatus] has it: not "online" when it cannot be opened.
// Issues ZFS_IOC_VDEV_SET_STATE. Fails with [ErrNotFound], [ErrInvalid] (a spare or cache device), [ErrDenied].
func (v Vdev) Online(expand bool) (state string, err error) {
	list, err := v.pool.answer(func(zfs *C.zfsvol_zfs, pool cStr, out *cList, e *cError) cStatus {
		return C.zfsvol_vdev_online(zfs, pool, C.uint64_t(v.guid), C.bool(expand), out, e)
	})
	return list.text("state"), err
}

// Offline takes the device out of use. Issues ZFS_IOC_VDEV_SET_STATE. Fails with [ErrNotFound], [ErrBusy] (the pool cannot do without it), [ErrInvalid] (a
// spare or cache device), [ErrDenied].
func (v Vdev) Offline(how Offline) error {
	return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
		return C.zfsvol_vdev_offline(zfs, pool, guid, C.zfsvol_offline(how), e)
	})
}

// SetPath tells the pool under which path to look for the device the next time it opens it. Issues ZFS_IOC_VDEV_SETPATH. Fails with [ErrNotFound],
// [ErrDenied].
func (v Vdev) SetPath(path string) error {
	return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
		return C.zfsvol_vdev_set_path(zfs, pool, guid, lend(path), e)
	})
}

// Properties are the properties of the vdev. Numbers are as the kernel has them: 0 and 1 for off and on, all ones for none. Issues ZFS_IOC_VDEV_GET_PROPS.
// Fails with [ErrNotFound], [ErrUnsupported] (before OpenZFS 2.2).
func (v Vdev) Properties() (Properties, error) {
	list, err := v.pool.answer(func(zfs *C.zfsvol_zfs, pool cStr, out *cList, e *cError) cStatus {
		return C.zfsvol_vdev_properties(zfs, pool, C.uint64_t(v.guid), out, e)
	})
	return propertiesOf(list), err
}

// Set sets a property of the vdev: allocating ("on", "off"), comment, checksum_n (a number in decimal, or "none") and its like, or a user property, which an
// empty value removes. Issues ZFS_IOC_VDEV_SET_PROPS.
//
// Fails with [ErrNotFound], [ErrInvalidProperty], [ErrReadOnly] (only the kernel sets it), [ErrUnsupported] (before OpenZFS 2.2), [ErrDenied].
func (v Vdev) Set(property, value string) error {
	return v.done(func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus {
		return C.zfsvol_vdev_set_property(zfs, pool, guid, lend(property), lend(value), e)
	})
}

func (v Vdev) done(call func(zfs *C.zfsvol_zfs, pool cStr, guid C.uint64_t, e *cError) cStatus) error {
	return v.pool.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus { return call(zfs, pool, C.uint64_t(v.guid), e) })
}

// use runs f with what C knows it by.
func (d NewDevice) use(f func(device *C.zfsvol_new_device) error) error {
	var (
		a arena
		o C.zfsvol_new_device
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.path = a.str(d.Path)
	o.ashift = C.uint8_t(d.Ashift)
	o.sequential, o.force = C.bool(d.Sequential), C.bool(d.Force)
	return f(&o)
}

func vdevOf(list List) VdevStatus {
	stats := list.list("stats")
	return VdevStatus{
		Kind: list.text("kind"), GUID: list.number("guid"), Path: list.text("path"), Class: list.text("class"), State: list.text("state"),
		Reason: list.list("reason").text("why"), Size: stats.number("size"), Allocated: stats.number("allocated"),
		ReadErrors: stats.number("read_errors"), WriteErrors: stats.number("write_errors"), ChecksumErrors: stats.number("checksum_errors"),
		Children: vdevsOf(list.lists("children")), Details: list,
	}
}

func vdevsOf(lists []List) []VdevStatus {
	var all []VdevStatus
	for _, one := range lists {
		all = append(all, vdevOf(one))
	}
	return all
}
