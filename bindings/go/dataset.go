package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// Dataset is a file system or zvol, by its name. It is there or not: to make one asks the kernel nothing.
type Dataset struct {
	zfs  *Zfs
	name string
}

// Dataset is the dataset of that name: "tank/a".
func (z *Zfs) Dataset(name string) Dataset {
	return Dataset{z, name}
}

// CreateFilesystem creates a file system with these properties. With a key, not nil, it is encrypted, and an encryption root of its own. Issues
// ZFS_IOC_CREATE.
//
// Fails with [ErrExists], [ErrNotFound] (the parent), [ErrInvalidProperty], [ErrUnrelated] (the parent is a zvol), [ErrNoSpace], [ErrQuotaExceeded],
// [ErrKeyNotLoaded], [ErrDenied].
func (z *Zfs) CreateFilesystem(name string, properties Settings, key *Key) (Dataset, error) {
	return z.create(name, properties, key, func(zfs *C.zfsvol_zfs, props cList, k *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_filesystem_create(zfs, lend(name), props, k, e)
	})
}

// CreateZvol creates a zvol of so many bytes. The rest is as in [Zfs.CreateFilesystem].
//
// Fails with [ErrInvalid] as well, for a size that is not a multiple of the property volblocksize.
func (z *Zfs) CreateZvol(name string, bytes uint64, properties Settings, key *Key) (Dataset, error) {
	return z.create(name, properties, key, func(zfs *C.zfsvol_zfs, props cList, k *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_zvol_create(zfs, lend(name), C.uint64_t(bytes), props, k, e)
	})
}

func (z *Zfs) create(name string, properties Settings, key *Key, call func(zfs *C.zfsvol_zfs, props cList, k *C.zfsvol_key, e *cError) cStatus) (Dataset, error) {
	var a arena
	defer a.free()
	props, err := a.settings(properties)
	if err != nil {
		return Dataset{}, err
	}
	err = key.use(func(k *C.zfsvol_key) error {
		return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return call(zfs, props, k, e) })
	})
	if err != nil {
		return Dataset{}, err
	}
	return z.Dataset(name), nil
}

// Name is its full name.
func (d Dataset) Name() string { return d.name }

// Snapshot is the snapshot of it of that name, which follows the "@". Whether it is there is not asked; see [Dataset.TakeSnapshot].
func (d Dataset) Snapshot(name string) Snapshot {
	return Snapshot{d.zfs, d.name + "@" + name}
}

// Exists says whether it is there.
func (d Dataset) Exists() (bool, error) { return d.zfs.exists(d.name) }

func (z *Zfs) exists(name string) (bool, error) {
	var there C.bool
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_exists(zfs, lend(name), &there, e)
	})
	return bool(there), err
}

// Busy says what keeps it busy: nothing, when nothing is known to.
func (d Dataset) Busy() ([]Busy, error) { return d.zfs.busy(d.name) }

func (z *Zfs) busy(name string) ([]Busy, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_dataset_busy(zfs, lend(name), out, e)
	})
	return busyOf(list), err
}

// Resize changes the size of a zvol, and its reservation with it if it had one of the old size. A smaller size loses what is beyond it.
//
// Fails with [ErrNotFound], [ErrWrongType] (a file system), [ErrInvalid], [ErrNoSpace], [ErrBusy].
func (d Dataset) Resize(bytes uint64) error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_zvol_resize(zfs, lend(d.name), C.uint64_t(bytes), e)
	})
}

// Promote makes a clone the owner of the snapshots it shares with what it is a clone of, which becomes a clone of it. Issues ZFS_IOC_PROMOTE.
//
// Fails with [ErrNotFound], [ErrWrongType] (it is no clone), [ErrExists] (both have a snapshot of one name), [ErrDenied].
func (d Dataset) Promote() error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_promote(zfs, lend(d.name), e)
	})
}

// Rename gives it another full name, below whatever parent in the same pool, and returns it by that. Issues ZFS_IOC_RENAME.
//
// Fails with [ErrNotFound], [ErrExists], [ErrUnrelated], [ErrBusy], [ErrTooLarge] (a name below it gets too long), [ErrDenied].
func (d Dataset) Rename(to string) (Dataset, error) {
	err := d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_rename(zfs, lend(d.name), lend(to), e)
	})
	if err != nil {
		return Dataset{}, err
	}
	return d.zfs.Dataset(to), nil
}

// Destroy destroys a dataset that has no snapshots and nothing below it. Issues ZFS_IOC_DESTROY.
//
// Fails with [ErrNotFound]; [ErrBusy], and [Error.Busy] says by what.
func (d Dataset) Destroy() error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_destroy(zfs, lend(d.name), e)
	})
}

// TreeDestroyed says how a tree was destroyed.
type TreeDestroyed uint32

const (
	TreeAtOnce   TreeDestroyed = C.ZFSVOL_TREE_AT_ONCE    // all of it in one transaction group
	TreeOneByOne TreeDestroyed = C.ZFSVOL_TREE_ONE_BY_ONE // one by one, because the caller may not run channel programs or it is too large for one
	TreeAbsent   TreeDestroyed = C.ZFSVOL_TREE_ABSENT     // there was no such dataset
)

// DestroyRecursive destroys it with everything below it and all snapshots. Looks for what would be in the way first, and then destroys all or nothing where
// it can. That it is not there is no failure.
//
// Fails with [ErrBusy], and [Error.Busy] says by what.
func (d Dataset) DestroyRecursive() (TreeDestroyed, error) {
	var how C.zfsvol_tree
	err := d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_dataset_destroy_recursive(zfs, lend(d.name), &how, e)
	})
	return TreeDestroyed(how), err
}

// Rollback makes it what its newest snapshot is, and says which that is. What was written since is lost. Issues ZFS_IOC_ROLLBACK.
//
// Fails with [ErrNotFound] (the dataset, or it has no snapshot), [ErrBusy], [ErrDenied].
func (d Dataset) Rollback() (Snapshot, error) {
	name, _, err := d.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_dataset_rollback(zfs, lend(d.name), out, e)
	})
	if err != nil {
		return Snapshot{}, err
	}
	return d.zfs.Snapshot(name), nil
}
