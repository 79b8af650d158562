package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "strings"

// Snapshot is a snapshot, by its name. It is there or not: to make one asks the kernel nothing.
type Snapshot struct {
	zfs  *Zfs
	name string
}

// Snapshot is the snapshot of that full name: "tank/a@monday".
func (z *Zfs) Snapshot(name string) Snapshot {
	return Snapshot{z, name}
}

// CreateSnapshots takes snapshots, by their full names, all in one transaction group or none. Issues ZFS_IOC_SNAPSHOT once.
//
// With each name that failed in [Error.Failures]: [ErrExists], [ErrNotFound] (the dataset), [ErrUnrelated] (two pools, or two of one dataset),
// [ErrNoSpace], [ErrQuotaExceeded], [ErrDenied].
func (z *Zfs) CreateSnapshots(names []string, properties Settings) error {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	props, err := a.settings(properties)
	if err != nil {
		return err
	}
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_snapshot_create(zfs, all, count, props, e)
	})
}

// TakeSnapshot takes a snapshot of that name, which follows the "@". Fails as [Zfs.CreateSnapshots].
func (d Dataset) TakeSnapshot(name string) (Snapshot, error) {
	snapshot := d.Snapshot(name)
	if err := d.zfs.CreateSnapshots([]string{snapshot.name}, nil); err != nil {
		return Snapshot{}, err
	}
	return snapshot, nil
}

// TakeSnapshots takes a snapshot of that name of it and of everything below it, in one transaction group. Fails as [Zfs.CreateSnapshots].
func (d Dataset) TakeSnapshots(name string, properties Settings) ([]Snapshot, error) {
	var a arena
	defer a.free()
	props, err := a.settings(properties)
	if err != nil {
		return nil, err
	}
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_snapshot_create_recursive(zfs, lend(d.name), lend(name), props, out, e)
	})
	if err != nil {
		return nil, err
	}
	var made []Snapshot
	for _, name := range list.texts("snapshots") {
		made = append(made, d.zfs.Snapshot(name))
	}
	return made, nil
}

// DestroySnapshots destroys snapshots, by their full names, all in one transaction group or none; those that are not there are passed over. Deferred
// marks those that are held or cloned to go when they no longer are. Issues ZFS_IOC_DESTROY_SNAPS once.
//
// With each name that failed in [Error.Failures], and by what it is kept busy: [ErrBusy], [ErrUnrelated] (two pools), [ErrDenied].
func (z *Zfs) DestroySnapshots(names []string, deferred bool) error {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_snapshot_destroy(zfs, all, count, C.bool(deferred), e)
	})
}

// DestroySnapshots destroys the snapshots of that name of it and of everything below it, as [Zfs.DestroySnapshots] does.
func (d Dataset) DestroySnapshots(name string, deferred bool) error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_snapshot_destroy_recursive(zfs, lend(d.name), lend(name), C.bool(deferred), e)
	})
}

// Name is its full name.
func (s Snapshot) Name() string { return s.name }

// Dataset is what it is a snapshot of.
func (s Snapshot) Dataset() Dataset {
	dataset, _, _ := strings.Cut(s.name, "@")
	return s.zfs.Dataset(dataset)
}

// Exists says whether it is there.
func (s Snapshot) Exists() (bool, error) { return s.zfs.exists(s.name) }

// Busy says what keeps it busy: nothing, when nothing is known to.
func (s Snapshot) Busy() ([]Busy, error) { return s.zfs.busy(s.name) }

// Destroy destroys it. That it is not there is no failure. Fails as [Zfs.DestroySnapshots].
func (s Snapshot) Destroy() error {
	return s.zfs.DestroySnapshots([]string{s.name}, false)
}

// Rename gives it another name, which follows the "@", and returns it by that; recursive those of the same name below its dataset too. Issues
// ZFS_IOC_RENAME.
//
// Fails with [ErrNotFound], [ErrExists], [ErrDenied].
func (s Snapshot) Rename(to string, recursive bool) (Snapshot, error) {
	name, _, err := s.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_snapshot_rename(zfs, lend(s.name), lend(to), C.bool(recursive), out, e)
	})
	if err != nil {
		return Snapshot{}, err
	}
	return s.zfs.Snapshot(name), nil
}

// Rollback makes its dataset what this snapshot is, which must be the newest. What was written since is lost. Issues ZFS_IOC_ROLLBACK.
//
// Fails with [ErrNotFound]; [ErrBusy], with the newer snapshots in [Error.Busy].
func (s Snapshot) Rollback() error {
	return s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_rollback_to(zfs, lend(s.name), e)
	})
}

// Clone creates a dataset of that full name that begins as the snapshot, and shares its space with it. Issues ZFS_IOC_CLONE.
//
// Fails with [ErrExists], [ErrNotFound] (the snapshot, or the parent), [ErrUnrelated] (another pool), [ErrInvalidProperty], [ErrQuotaExceeded],
// [ErrDenied].
func (s Snapshot) Clone(name string, properties Settings) (Dataset, error) {
	return s.zfs.create(name, properties, nil, func(zfs *C.zfsvol_zfs, props cList, _ *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_clone_create(zfs, lend(name), lend(s.name), props, e)
	})
}

// Space is what snapshots take, in bytes.
type Space struct {
	Used, Compressed, Uncompressed uint64
}

// SpaceTo is what destroying all snapshots from this one to last, of the same dataset, would free. Issues ZFS_IOC_SPACE_SNAPS.
func (s Snapshot) SpaceTo(last Snapshot) (Space, error) {
	return spaceOf(s.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_snapshot_range_space(zfs, lend(s.name), lend(last.name), out, e)
	}))
}

// WrittenSince is what was written to a snapshot since an earlier snapshot or bookmark of its dataset, by its full name. Issues ZFS_IOC_SPACE_WRITTEN.
func (s Snapshot) WrittenSince(since string) (Space, error) { return s.zfs.written(s.name, since) }

// WrittenSince is what was written to a dataset since a snapshot or bookmark of it, by its full name. Issues ZFS_IOC_SPACE_WRITTEN.
func (d Dataset) WrittenSince(since string) (Space, error) { return d.zfs.written(d.name, since) }

func (z *Zfs) written(what, since string) (Space, error) {
	return spaceOf(z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_snapshot_space_written(zfs, lend(what), lend(since), out, e)
	}))
}

func spaceOf(list List, err error) (Space, error) {
	return Space{list.number("used"), list.number("compressed"), list.number("uncompressed")}, err
}
