package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// MountedTree says what became of a file system and those below it that were to be mounted.
type MountedTree struct {
	// Those before that others are mounted below.
	Mounted []TreeMount
	// By name why: "canmount_off", "noauto", "no_mountpoint", "legacy", "key_not_loaded", "receiving", "redacted" or "zoned".
	Skipped map[string]string
}

// TreeMount is a file system that is mounted.
type TreeMount struct {
	Name, Path string
	// It was mounted before.
	Already bool
}

// MountTree mounts a file system and all below it that are to be mounted, like "zfs mount -a". MountOptions.At is not looked at.
//
// Fails with [ErrNotFound]. Else, with each that could not be mounted in [Error.Failures], as [Dataset.Mount] or with [ErrSeveral]; the rest is mounted then.
func (d Dataset) MountTree(options MountOptions) (*MountedTree, error) {
	var a arena
	defer a.free()
	o := a.mount(options)
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_dataset_mount_tree(zfs, lend(d.name), &o, out, e)
	})
	if err != nil {
		return nil, err
	}
	tree := &MountedTree{Skipped: map[string]string{}}
	for _, one := range list.lists("mounted") {
		tree.Mounted = append(tree.Mounted, TreeMount{Name: one.text("name"), Path: one.text("path"), Already: one.truth("already")})
	}
	for _, one := range list.lists("skipped") {
		tree.Skipped[one.text("name")] = one.text("why")
	}
	return tree, nil
}

// UnmountTree unmounts a file system, its snapshots and all below it, the last mount first, removes the empty directories that nobody chose, as "zpool
// export" does, and says where they were. Fails as [Dataset.Unmount]; the mounts after the one that failed stay.
func (d Dataset) UnmountTree(flags UnmountFlags) (paths []string, err error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_dataset_unmount_tree(zfs, lend(d.name), C.zfsvol_unmount_flags(flags), out, e)
	})
	return list.texts("paths"), err
}

// MountPlace is where a file system is to be mounted.
type MountPlace struct {
	// "at", "legacy" (by others) or "none".
	Kind string
	// Of kind "at".
	Path string
}

// MountPlace is where a file system is to be mounted by its properties, whether it is or not: see [Dataset.MountedAt]. Fails with [ErrNotFound],
// [ErrWrongType] (a zvol).
func (d Dataset) MountPlace() (MountPlace, error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_dataset_mount_path(zfs, lend(d.name), out, e)
	})
	return MountPlace{Kind: list.text("kind"), Path: list.text("path")}, err
}
