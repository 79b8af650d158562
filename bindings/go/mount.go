package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// MountChoice is what a mount takes from a property, or is told.
type MountChoice uint32

const (
	AsProperty MountChoice = C.ZFSVOL_MOUNT_PROPERTY // as the property says
	MountOn    MountChoice = C.ZFSVOL_MOUNT_ON       // on, whatever the property says
	MountOff   MountChoice = C.ZFSVOL_MOUNT_OFF      // off, whatever the property says
)

// MountOptions say how to mount. The zero value is as the file system's properties say. What is said here holds for this mount only.
type MountOptions struct {
	// On this directory, and not where the properties say; canmount, legacy and none do not matter then. Whoever mounts it so unmounts it, too.
	At string
	// Instead of the property of that name.
	ReadOnly, Atime, Relatime, Devices, Exec, Setuid, Overlay MountChoice
	// Mounts it although it was received from a redacted stream; although it is zoned.
	Redacted, Zoned bool
	// No part of the path may be a symbolic link: for directories below one that others write to.
	NoSymlinks bool
}

// UnmountFlags say how to unmount, added up.
type UnmountFlags uint32

const (
	UnmountForce  UnmountFlags = C.ZFSVOL_UNMOUNT_FORCE  // even if it is in use: what is open there gets errors
	UnmountDetach UnmountFlags = C.ZFSVOL_UNMOUNT_DETACH // out of sight now, gone when the last user is
)

// Mount mounts a file system, and says where; mounted says whether it was mounted now, and not before: then nothing was done. The directory is made if it is not
// there. Linux lets only root do this. Mounts are those of the mount namespace of the calling thread: see [runtime.LockOSThread].
//
// Fails with [ErrNotFound], [ErrWrongType] (a zvol), [ErrInvalid] (its properties say that it is not to be mounted), [ErrKeyNotLoaded], [ErrBusy],
// [ErrExists] (there is something in the directory, and overlay is off), [ErrReadOnly], [ErrDenied].
func (d Dataset) Mount(options MountOptions) (path string, mounted bool, err error) {
	var (
		a   arena
		now C.bool
	)
	defer a.free()
	o := a.mount(options)
	path, _, err = d.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_dataset_mount(zfs, lend(d.name), &o, out, &now, e)
	})
	return path, bool(now), err
}

// Remount gives what is mounted the options that its properties say by now, or others for this mount only; MountOptions.At is not looked at.
//
// Fails with [ErrNotFound] (there is none, or it is not mounted), [ErrBusy] (it is to become read-only, and a file is open for writing), [ErrReadOnly],
// [ErrDenied].
func (d Dataset) Remount(options MountOptions) error {
	var a arena
	defer a.free()
	o := a.mount(options)
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_dataset_remount(zfs, lend(d.name), &o, e) })
}

// Mount mounts the snapshot read-only on a directory, which is made if it is not there, and says whether it was mounted now. Fails as [Dataset.Mount].
func (s Snapshot) Mount(directory string) (mounted bool, err error) {
	var now C.bool
	err = s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_snapshot_mount(zfs, lend(s.name), lend(directory), &now, e)
	})
	return bool(now), err
}

// Unmount unmounts a file system wherever it is mounted, the last mount first, and says whether it was mounted.
//
// Fails with [ErrBusy], and [Error.Busy] says by what, [ErrDenied], [ErrReadOnly].
func (d Dataset) Unmount(flags UnmountFlags) (unmounted bool, err error) {
	return d.zfs.unmount(d.name, flags)
}

// Unmount unmounts the snapshot. The rest is as in [Dataset.Unmount].
func (s Snapshot) Unmount(flags UnmountFlags) (unmounted bool, err error) {
	return s.zfs.unmount(s.name, flags)
}

// MountedAt says where a file system is mounted now: nowhere if it is not. Mounts of other namespaces cannot be seen. Reads the table of mounts.
func (d Dataset) MountedAt() ([]string, error) { return d.zfs.mountedAt(d.name) }

// MountedAt says where the snapshot is mounted now, as [Dataset.MountedAt].
func (s Snapshot) MountedAt() ([]string, error) { return s.zfs.mountedAt(s.name) }

func (z *Zfs) unmount(name string, flags UnmountFlags) (bool, error) {
	var was C.bool
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_unmount(zfs, lend(name), C.zfsvol_unmount_flags(flags), &was, e)
	})
	return bool(was), err
}

func (z *Zfs) mountedAt(name string) ([]string, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_dataset_mounted_at(zfs, lend(name), out, e)
	})
	return list.texts("paths"), err
}

func (a *arena) mount(options MountOptions) (o C.zfsvol_mount_options) {
	o.size = C.size_t(unsafe.Sizeof(o))
	o.at = a.strAny(options.At)
	o.read_only, o.atime, o.relatime = C.zfsvol_mount_choice(options.ReadOnly), C.zfsvol_mount_choice(options.Atime), C.zfsvol_mount_choice(options.Relatime)
	o.devices, o.exec = C.zfsvol_mount_choice(options.Devices), C.zfsvol_mount_choice(options.Exec)
	o.setuid, o.overlay = C.zfsvol_mount_choice(options.Setuid), C.zfsvol_mount_choice(options.Overlay)
	o.redacted, o.zoned, o.no_symlinks = C.bool(options.Redacted), C.bool(options.Zoned), C.bool(options.NoSymlinks)
	return o
}
