package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"iter"
	"unsafe"
)

// Change is a file that changed between two snapshots.
type Change struct {
	// "added", "removed", "modified", "renamed" or "links".
	Kind string
	// From the root of the file system; of one that was renamed, the earlier.
	Path string
	// The new path of one that was renamed.
	NewPath string
	// How many more links it has, or fewer, of kind "links".
	Links int64
	// "file", "directory", "symbolic_link", "block_device", "character_device", "fifo", "socket" or "other".
	File string
	// The number of its inode.
	Object uint64
	// The later snapshot, by its full name: the temporary one, where the dataset as it is now is compared.
	To string
	// All of it.
	Details List
}

// DiffTo compares the snapshot with a later one of the same file system or of a clone, or with a dataset as it is now, by its full name: of that a temporary
// snapshot is made, which goes when the loop ends. Nothing need be mounted. Ends when the context does, whose error is the last of the sequence. Issues
// ZFS_IOC_DIFF in a thread of its own.
//
// Fails with [ErrNotFound], [ErrUnrelated] (this is no earlier snapshot of it), [ErrWrongType] (zvols), [ErrKeyNotLoaded], [ErrCancelled], [ErrDenied].
func (s Snapshot) DiffTo(ctx context.Context, to string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		var diff *C.zfsvol_diff
		err := begin(ctx)
		if err == nil {
			err = s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
				return C.zfsvol_diff_open(zfs, lend(s.name), lend(to), &diff, e)
			})
		}
		if err != nil {
			yield(Change{}, err)
			return
		}
		h := hold(unsafe.Pointer(diff),
			func(p unsafe.Pointer) { C.zfsvol_diff_free((*C.zfsvol_diff)(p)) },
			func(p unsafe.Pointer) { C.zfsvol_diff_cancel((*C.zfsvol_diff)(p)) })
		// Waits for the context's cancelling, if that is under way.
		defer h.close()
		defer context.AfterFunc(ctx, h.interrupt)()
		later, _, err := given(func(out *C.zfsvol_buffer, e *cError) cStatus { return C.zfsvol_diff_to(diff, out, e) })
		if err != nil {
			yield(Change{}, err)
			return
		}
		each(
			func(out *cList, e *cError) cStatus { return C.zfsvol_diff_next(diff, out, e) },
			func() {},
			func(list List, err error) bool {
				if err != nil {
					return yield(Change{}, ended(ctx, err))
				}
				change := changeOf(list)
				change.To = later
				return yield(change, nil)
			},
		)
	}
}

// ObjectPath is the path of an object (an inode number) in the snapshot, from its root. Issues ZFS_IOC_OBJ_TO_PATH.
//
// Fails with [ErrNotFound], [ErrWrongType] (a zvol), [ErrKeyNotLoaded], [ErrDenied].
func (s Snapshot) ObjectPath(object uint64) (string, error) {
	path, _, err := s.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_object_path(zfs, lend(s.name), C.uint64_t(object), out, e)
	})
	return path, err
}

func changeOf(list List) Change {
	return Change{
		Kind: list.text("kind"), Path: list.text("path"), NewPath: list.text("detail"), Links: list.signed("detail"),
		File: list.text("file"), Object: list.number("object"), Details: list,
	}
}
