package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// DamagedObject is an object with permanent errors.
type DamagedObject struct {
	// The number of the dataset, 0 for the pool's own metadata, and that of the object in it.
	DatasetID, Object uint64
	// How many of its blocks are in the log.
	Blocks uint64
	// The dataset or snapshot, if it still exists.
	Dataset string
	// The file, as a path below the dataset's mountpoint, if it is one and still there.
	Path string
}

// ErrorLog are the objects with permanent errors, that the last scrub or use since has found. Issues ZFS_IOC_ERROR_LOG. Fails with [ErrNotFound],
// [ErrDenied].
func (p Pool) ErrorLog() ([]DamagedObject, error) {
	list, err := p.answer(func(zfs *C.zfsvol_zfs, pool cStr, out *cList, e *cError) cStatus {
		return C.zfsvol_pool_error_log(zfs, pool, out, e)
	})
	var all []DamagedObject
	for _, one := range list.lists("errors") {
		all = append(all, damagedOf(one))
	}
	return all, err
}

// BootEnvironment is what the pool keeps for a boot loader. Issues ZFS_IOC_GET_BOOTENV. Fails with [ErrNotFound], [ErrDenied].
func (p Pool) BootEnvironment() (List, error) {
	return p.answer(func(zfs *C.zfsvol_zfs, pool cStr, out *cList, e *cError) cStatus {
		return C.zfsvol_pool_bootenv(zfs, pool, out, e)
	})
}

// SetBootEnvironment replaces what the pool keeps for a boot loader. "version" (uint64) says how: 1 for pairs as they are, 0 for "envmap", a text for GRUB.
// Issues ZFS_IOC_SET_BOOTENV. Fails with [ErrNotFound], [ErrInvalid] (there is no version, or another), [ErrTooLarge], [ErrDenied].
func (p Pool) SetBootEnvironment(environment List) error {
	made, err := encode(environment)
	if err != nil {
		return err
	}
	defer freeList(made)
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_set_bootenv(zfs, pool, made, e)
	})
}

// ZvolReservation is how many bytes of refreservation a zvol of the pool takes that can always be written in full: what "zfs create -V" sets, and
// refreservation=auto means. A volblocksize of 0 stands for 16 KiB, copies of 0 for one. Issues ZFS_IOC_POOL_STATS, for the raidz and dRAID vdevs. Fails
// with [ErrNotFound].
func (p Pool) ZvolReservation(volsize, volblocksize, copies uint64) (bytes uint64, err error) {
	var n C.uint64_t
	err = p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_zvol_reservation(zfs, pool, C.uint64_t(volsize), C.uint64_t(volblocksize), C.uint64_t(copies), &n, e)
	})
	return uint64(n), err
}

func damagedOf(list List) DamagedObject {
	return DamagedObject{
		DatasetID: list.number("dataset_id"), Object: list.number("object"), Blocks: list.number("blocks"),
		Dataset: list.text("dataset"), Path: list.text("path"),
	}
}
