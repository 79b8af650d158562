package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"time"
	"unsafe"
)

// NewBookmark is a bookmark to be made: its full name, "tank/a#b", and the snapshot, or bookmark, that it is made of.
type NewBookmark struct {
	Name, Source string
}

// Bookmark is a bookmark, as it is listed.
type Bookmark struct {
	// Its full name.
	Name            string
	GUID, CreateTXG uint64
	Created         time.Time
	// Everything, in OpenZFS's words: of a redaction bookmark also "redact_snaps" and "redact_complete".
	Properties List
}

// CreateBookmarks makes bookmarks, all in one transaction group or none. Issues ZFS_IOC_BOOKMARK once.
//
// With each name that failed in [Error.Failures]: [ErrExists], [ErrNotFound] (the source), [ErrUnrelated], [ErrFeatureDisabled], [ErrInvalid] (the
// source is a dataset), [ErrDenied].
func (z *Zfs) CreateBookmarks(bookmarks []NewBookmark) error {
	var a arena
	defer a.free()
	all := (*C.zfsvol_bookmark)(a.alloc(len(bookmarks), unsafe.Sizeof(C.zfsvol_bookmark{})))
	for i, one := range bookmarks {
		unsafe.Slice(all, len(bookmarks))[i] = C.zfsvol_bookmark{name: a.str(one.Name), source: a.str(one.Source)}
	}
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_bookmark_create(zfs, all, C.size_t(len(bookmarks)), e)
	})
}

// DestroyBookmarks destroys bookmarks, by their full names, all in one transaction group or none; those that are not there are passed over. Issues
// ZFS_IOC_DESTROY_BOOKMARKS once.
func (z *Zfs) DestroyBookmarks(names []string) error {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_bookmark_destroy(zfs, all, count, e)
	})
}

// Bookmark makes a bookmark of the snapshot, whose name follows the "#". Fails as [Zfs.CreateBookmarks].
func (s Snapshot) Bookmark(name string) error {
	return s.zfs.CreateBookmarks([]NewBookmark{{Name: s.Dataset().name + "#" + name, Source: s.name}})
}

// Redact makes a redaction bookmark of the snapshot, whose name follows the "#": what those snapshots of clones of it changed, by their full names, is left
// out of streams that are sent with it. Issues ZFS_IOC_REDACT.
func (s Snapshot) Redact(bookmark string, by []string) error {
	var a arena
	defer a.free()
	all, count := a.strs(by)
	return s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_bookmark_redact(zfs, lend(s.name), lend(s.Dataset().name+"#"+bookmark), all, count, e)
	})
}

// Bookmarks are the bookmarks of the dataset. Issues ZFS_IOC_GET_BOOKMARKS.
func (d Dataset) Bookmarks() ([]Bookmark, error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_bookmark_list(zfs, lend(d.name), out, e)
	})
	var all []Bookmark
	for _, one := range list.lists("bookmarks") {
		all = append(all, bookmarkOf(one))
	}
	return all, err
}

// Bookmark is the bookmark of that full name, "tank/a#b", without what it says of redaction. Issues ZFS_IOC_GET_BOOKMARK_PROPS. Fails with [ErrNotFound].
func (z *Zfs) Bookmark(name string) (Bookmark, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_bookmark_get(zfs, lend(name), out, e)
	})
	if err != nil {
		return Bookmark{}, err
	}
	return bookmarkOf(list), nil
}

func bookmarkOf(list List) Bookmark {
	return Bookmark{
		Name: list.text("name"), GUID: list.number("guid"), CreateTXG: list.number("createtxg"),
		Created: when(list.signed("creation")), Properties: list,
	}
}
