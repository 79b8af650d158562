package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"iter"
	"time"
	"unsafe"
)

// KernelEvent is an event of the kernel, as "zpool events" shows them.
type KernelEvent struct {
	// Its number.
	EID uint64
	// "sysevent.fs.zfs.history_event" and its like.
	Class string
	Time  time.Time
	// What it is about, as far as it says so.
	Pool               string
	PoolGUID, VdevGUID uint64
	// All that the kernel says.
	Payload List
	// How many events were lost up to this one since the loop began, because it was too slow or they were too many.
	Dropped uint64
}

const (
	EventsOldest uint64 = C.ZFSVOL_EVENTS_OLDEST // before the oldest event that is kept
	EventsNewest uint64 = C.ZFSVOL_EVENTS_NEWEST // behind the newest: only what happens from now on
)

// Events are the kernel's events from the oldest that is kept, and then as they happen, until the context ends, whose error is the last of the sequence, or
// the loop is left.
//
// Fails with [ErrNoModule], [ErrDenied].
func (z *Zfs) Events(ctx context.Context) iter.Seq2[KernelEvent, error] {
	return z.EventsAfter(ctx, EventsOldest)
}

// EventsAfter are the events behind the one of that number, a [KernelEvent.EID], [EventsOldest] or [EventsNewest]. The rest is as in [Zfs.Events].
//
// Fails also with [ErrNotFound] when there is no such event any more.
func (z *Zfs) EventsAfter(ctx context.Context, eid uint64) iter.Seq2[KernelEvent, error] {
	return func(yield func(KernelEvent, error) bool) {
		var events *C.zfsvol_events
		err := begin(ctx)
		if err == nil {
			err = z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_events_open(zfs, &events, e) })
		}
		if err != nil {
			yield(KernelEvent{}, err)
			return
		}
		h := hold(unsafe.Pointer(events),
			func(p unsafe.Pointer) { C.zfsvol_events_free((*C.zfsvol_events)(p)) },
			func(p unsafe.Pointer) { C.zfsvol_events_stop((*C.zfsvol_events)(p)) })
		// Waits for the stop by the context, if that is under way.
		defer h.close()
		defer context.AfterFunc(ctx, h.interrupt)()
		// That is where it begins.
		if eid != EventsOldest {
			err = done(func(e *cError) cStatus { return C.zfsvol_events_seek(events, C.uint64_t(eid), e) })
		}
		if err != nil {
			yield(KernelEvent{}, err)
			return
		}
		left := false
		each(
			func(out *cList, e *cError) cStatus { return C.zfsvol_events_next(events, -1, out, e) },
			func() {},
			func(list List, err error) bool {
				event := eventOf(list)
				if err == nil {
					event.Dropped, err = droppedOf(events)
				}
				left = !yield(event, err) || err != nil
				return !left
			},
		)
		if !left {
			// It was stopped.
			yield(KernelEvent{}, begin(ctx))
		}
	}
}

// ClearEvents throws away all events that are kept, for everybody, and says how many there were. Fails with [ErrNoModule], [ErrDenied].
func (z *Zfs) ClearEvents() (cleared uint64, err error) {
	var n C.uint64_t
	err = z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_events_clear(zfs, &n, e) })
	return uint64(n), err
}

func droppedOf(events *C.zfsvol_events) (uint64, error) {
	var n C.uint64_t
	err := done(func(e *cError) cStatus { return C.zfsvol_events_dropped(events, &n, e) })
	return uint64(n), err
}

func eventOf(list List) KernelEvent {
	return KernelEvent{
		EID: list.number("eid"), Class: list.text("class"), Time: when(list.signed("time")), Pool: list.text("pool"),
		PoolGUID: list.number("pool_guid"), VdevGUID: list.number("vdev_guid"), Payload: list.list("payload"),
	}
}
