package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"unsafe"
)

// Activity is something that takes a pool a while.
type Activity uint32

const (
	ActivityCheckpointDiscard Activity = C.ZFSVOL_ACTIVITY_CHECKPOINT_DISCARD // a checkpoint is being discarded
	ActivityFree              Activity = C.ZFSVOL_ACTIVITY_FREE               // space of what was destroyed is being freed
	ActivityInitialize        Activity = C.ZFSVOL_ACTIVITY_INITIALIZE         // devices are being initialized
	ActivityReplace           Activity = C.ZFSVOL_ACTIVITY_REPLACE            // devices are being replaced
	ActivityRemove            Activity = C.ZFSVOL_ACTIVITY_REMOVE             // devices are being removed
	ActivityResilver          Activity = C.ZFSVOL_ACTIVITY_RESILVER           // a resilver runs
	ActivityScrub             Activity = C.ZFSVOL_ACTIVITY_SCRUB              // a scrub runs
	ActivityTrim              Activity = C.ZFSVOL_ACTIVITY_TRIM               // devices are being trimmed
	ActivityRaidzExpand       Activity = C.ZFSVOL_ACTIVITY_RAIDZ_EXPAND       // a raidz vdev is being expanded; OpenZFS 2.3
	ActivityCondense          Activity = C.ZFSVOL_ACTIVITY_CONDENSE           // metadata is being condensed; OpenZFS 2.4
)

// Initialize says what is to become of initializing.
type Initialize uint32

const (
	InitializeStart   Initialize = C.ZFSVOL_INITIALIZE_START        // begins, or goes on, writing to all free space
	InitializeCancel  Initialize = C.ZFSVOL_INITIALIZE_CANCEL       // stops it, to begin from the start the next time
	InitializeSuspend Initialize = C.ZFSVOL_INITIALIZE_SUSPEND      // stops it, to go on later
	InitializeForget  Initialize = C.ZFSVOL_INITIALIZE_UNINITIALIZE // forgets that it was done; OpenZFS 2.2
)

// Trim says what is to become of trimming.
type Trim uint32

const (
	TrimStart   Trim = C.ZFSVOL_TRIM_START   // begins, or goes on, telling the devices what is free
	TrimCancel  Trim = C.ZFSVOL_TRIM_CANCEL  // stops it, to begin from the start the next time
	TrimSuspend Trim = C.ZFSVOL_TRIM_SUSPEND // stops it, to go on later
)

// TrimOptions say how to trim. The zero value is as fast as it goes.
type TrimOptions struct {
	// So many bytes a second for each device; 0 for as fast as it goes.
	BytesPerSecond uint64
	// The device must make what was there impossible to read. Few can.
	Secure bool
}

// Prefetch is what is read into memory ahead of use.
type Prefetch uint32

const (
	PrefetchDDT Prefetch = C.ZFSVOL_PREFETCH_DDT // the deduplication tables; OpenZFS 2.3
	PrefetchBRT Prefetch = C.ZFSVOL_PREFETCH_BRT // the block reference table of cloned blocks; OpenZFS 2.4
)

// Prune says by what the entries of a deduplication table are chosen that are dropped.
type Prune uint32

const (
	PruneSeconds Prune = C.ZFSVOL_PRUNE_SECONDS // those older than so many seconds
	PrunePercent Prune = C.ZFSVOL_PRUNE_PERCENT // the oldest, so many percent: 1 to 100
)

// Wait waits until an activity of the pool is over, and says whether there was anything to wait for. Ends when the context does. Issues ZFS_IOC_WAIT, and
// again where a signal that is not about this has interrupted it.
//
// Fails with [ErrNotFound] when there is no such pool, or it goes away; [ErrCancelled], which without the context's error says that the pool was exported;
// [ErrUnsupported] (the module does not know the activity).
func (p Pool) Wait(ctx context.Context, activity Activity) (waited bool, err error) {
	return p.wait(ctx, activity, 0)
}

// Wait waits until initializing or trimming of the device is over. The rest is as in [Pool.Wait]. Fails with [ErrInvalid] for other activities, and for what
// is no device.
func (v Vdev) Wait(ctx context.Context, activity Activity) (waited bool, err error) {
	return v.pool.wait(ctx, activity, v.guid)
}

// WaitDeleteQueue waits until a file system has freed the files that were removed from it, and says whether there was anything to wait for. Ends when the
// context does. Issues ZFS_IOC_WAIT_FS.
//
// Fails with [ErrNotFound]; [ErrCancelled], which without the context's error says that it was unmounted or destroyed meanwhile.
func (d Dataset) WaitDeleteQueue(ctx context.Context) (waited bool, err error) {
	var was C.bool
	err = interruptible(ctx, func() error {
		return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
			return C.zfsvol_dataset_wait_deletequeue(zfs, lend(d.name), &was, e)
		})
	})
	return bool(was), err
}

// Initialize begins or stops initializing devices, which are named by their GUIDs. Issues ZFS_IOC_POOL_INITIALIZE.
//
// With each device that failed in [Error.Failures], by its GUID in decimal: [ErrInProgress], [ErrNotFound] (no such device, or nothing to stop),
// [ErrInvalid] (it is made of others). Else with [ErrUnsupported], [ErrDenied].
func (p Pool) Initialize(what Initialize, vdevs ...uint64) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		all, count := guids(vdevs)
		return C.zfsvol_vdev_initialize(zfs, pool, all, count, C.zfsvol_initialize(what), e)
	})
}

// Trim begins or stops trimming devices, which are named by their GUIDs; options count when it begins. Issues ZFS_IOC_POOL_TRIM.
//
// With each device that failed in [Error.Failures], by its GUID in decimal: [ErrInProgress], [ErrNotFound] (no such device, or nothing to stop),
// [ErrFeatureDisabled] (it cannot be trimmed, or not securely), [ErrInvalid] (it is made of others). Else with [ErrDenied].
func (p Pool) Trim(what Trim, options TrimOptions, vdevs ...uint64) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		var o C.zfsvol_trim_options
		o.size = C.size_t(unsafe.Sizeof(o))
		o.bytes_per_second, o.secure = C.uint64_t(options.BytesPerSecond), C.bool(options.Secure)
		all, count := guids(vdevs)
		return C.zfsvol_vdev_trim(zfs, pool, all, count, C.zfsvol_trim(what), &o, e)
	})
}

// Prefetch reads tables of the pool into memory. Issues ZFS_IOC_POOL_PREFETCH. Fails with [ErrNotFound], [ErrUnsupported], [ErrDenied].
func (p Pool) Prefetch(what Prefetch) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_prefetch(zfs, pool, C.zfsvol_prefetch(what), e)
	})
}

// PruneDDT drops entries from the pool's deduplication tables, of blocks that are in use once only: blocks written later do not find them. Issues
// ZFS_IOC_DDT_PRUNE. OpenZFS 2.3.
//
// Fails with [ErrFeatureDisabled] (fast_dedup), [ErrInProgress], [ErrInvalid] (no percentage), [ErrUnsupported], [ErrDenied].
func (p Pool) PruneDDT(by Prune, amount uint64) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_prune_ddt(zfs, pool, C.zfsvol_prune(by), C.uint64_t(amount), e)
	})
}

// Condense begins, or without start cancels, condensing of the pool's log of space maps. Issues ZFS_IOC_POOL_CONDENSE.
//
// Fails with [ErrUnsupported] up to OpenZFS 2.4, [ErrNotFound] (none to cancel), [ErrDenied].
func (p Pool) Condense(start bool) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_condense(zfs, pool, C.bool(start), e)
	})
}

func (p Pool) wait(ctx context.Context, activity Activity, vdev uint64) (bool, error) {
	var was C.bool
	err := interruptible(ctx, func() error {
		return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
			return C.zfsvol_pool_wait(zfs, pool, C.zfsvol_activity(activity), C.uint64_t(vdev), &was, e)
		})
	})
	return bool(was), err
}

// guids lends GUIDs, as an argument.
func guids(all []uint64) (*C.uint64_t, C.size_t) {
	return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(all))), C.size_t(len(all))
}
