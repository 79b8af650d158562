package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"iter"
	"time"
)

// Scrub says what is to become of a scrub.
type Scrub uint32

const (
	ScrubStart     Scrub = C.ZFSVOL_SCRUB_START      // starts one, or goes on with one that is paused
	ScrubSinceLast Scrub = C.ZFSVOL_SCRUB_SINCE_LAST // starts one of what was written since the last; OpenZFS 2.4
	ScrubErrors    Scrub = C.ZFSVOL_SCRUB_ERRORS     // starts one of the blocks in the error log; OpenZFS 2.2
	ScrubPause     Scrub = C.ZFSVOL_SCRUB_PAUSE      // pauses it
	ScrubStop      Scrub = C.ZFSVOL_SCRUB_STOP       // stops it
	ScrubResilver  Scrub = C.ZFSVOL_SCRUB_RESILVER   // starts a resilver anew
)

// Export says how a pool is exported.
type Export uint32

const (
	ExportClean       Export = C.ZFSVOL_EXPORT_CLEAN        // refused while anything of it is in use
	ExportForce       Export = C.ZFSVOL_EXPORT_FORCE        // although a spare of it is in use by another pool
	ExportWithoutMark Export = C.ZFSVOL_EXPORT_WITHOUT_MARK // without a mark on its disks that it was exported
)

// Scrub starts, pauses or stops a scrub. Issues ZFS_IOC_POOL_SCRUB, or ZFS_IOC_POOL_SCAN. Fails with [ErrInProgress], [ErrNotFound], [ErrUnsupported].
func (p Pool) Scrub(what Scrub) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_scrub(zfs, pool, C.zfsvol_scrub(what), e)
	})
}

// Checkpoint takes a checkpoint of the pool. Issues ZFS_IOC_POOL_CHECKPOINT. Fails with [ErrInProgress]: there is one already, or one
// is being discarded.
func (p Pool) Checkpoint() error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus { return C.zfsvol_pool_checkpoint(zfs, pool, e) })
}

// DiscardCheckpoint discards the checkpoint of the pool. Issues ZFS_IOC_POOL_DISCARD_CHECKPOINT. Fails with [ErrNotFound], [ErrInProgress].
func (p Pool) DiscardCheckpoint() error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_discard_checkpoint(zfs, pool, e)
	})
}

// Clear forgets the errors of the pool's devices, or of the vdev of that GUID, if it is not 0; opens them anew, and lets a suspended pool go on. Issues
// ZFS_IOC_CLEAR.
//
// Fails with [ErrNotFound], [ErrIO] (they still fail, and the pool stays suspended), [ErrPoolUnavailable] (another host may have imported it), [ErrDenied].
func (p Pool) Clear(vdev uint64) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_clear(zfs, pool, C.uint64_t(vdev), e)
	})
}

// Reopen opens the devices of the pool anew; restartScrub starts a scrub that runs from the beginning. Issues ZFS_IOC_POOL_REOPEN.
func (p Pool) Reopen(restartScrub bool) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_reopen(zfs, pool, C.bool(restartScrub), e)
	})
}

// Export exports the pool. Fails with [ErrBusy], [ErrNotFound], [ErrInProgress].
func (p Pool) Export(how Export) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_export(zfs, pool, C.zfsvol_export(how), e)
	})
}

// Destroy destroys the pool and everything in it. Fails with [ErrBusy], [ErrNotFound].
func (p Pool) Destroy() error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus { return C.zfsvol_pool_destroy(zfs, pool, e) })
}

// PoolRecord is something that was done to a pool.
type PoolRecord struct {
	Time time.Time
	// "command", "ioctl", "internal" or "other".
	Kind string
	// The command, or what was done; of "internal" see Details.
	Text string
	Host string
	TXG  uint64
	// All of it.
	Details List
}

// History is what was done to the pool, from the oldest that is kept. A failure is the last of the sequence. Issues ZFS_IOC_POOL_GET_HISTORY. Fails with
// [ErrNotFound], [ErrDenied].
func (p Pool) History() iter.Seq2[PoolRecord, error] {
	return func(yield func(PoolRecord, error) bool) {
		var history *C.zfsvol_history
		err := p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
			return C.zfsvol_history_open(zfs, pool, &history, e)
		})
		if err != nil {
			yield(PoolRecord{}, err)
			return
		}
		each(
			func(out *cList, e *cError) cStatus { return C.zfsvol_history_next(history, out, e) },
			func() { C.zfsvol_history_free(history) },
			func(list List, err error) bool {
				return yield(PoolRecord{
					Time: when(list.signed("time")), Kind: list.text("kind"), Text: list.text("text"), Host: list.text("host"),
					TXG: list.number("txg"), Details: list,
				}, err)
			},
		)
	}
}

func (p Pool) done(call func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus) error {
	return p.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return call(zfs, lend(p.name), e) })
}

func (p Pool) answer(call func(zfs *C.zfsvol_zfs, pool cStr, out *cList, e *cError) cStatus) (List, error) {
	return p.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus { return call(zfs, lend(p.name), out, e) })
}
