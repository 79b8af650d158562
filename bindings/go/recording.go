package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"context"
	"io"
	"unsafe"
)

// Recording is a door that writes down each call to the kernel and its answer. Keys, the bytes of streams and the data of devices are not in it.
type Recording struct {
	h   *handle
	out *sink
}

// Record is a door that writes down what goes through it, to w, and first what module it is. Calls wait for Write, which is called from any goroutine,
// from one at a time.
func (z *Zfs) Record(w io.Writer) (*Recording, error) {
	to := &sink{ctx: context.Background(), w: w}
	var out *C.zfsvol_record
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		writer := to.lend()
		return C.zfsvol_record_open(zfs, &writer, &out, e)
	})
	if err != nil {
		return nil, blame(err, []end{to})
	}
	r := &Recording{h: hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_record_free((*C.zfsvol_record)(p)) }, nil), out: to}
	return caught(r, r.h), nil
}

// Zfs is a handle that goes through the door, to be closed.
func (r *Recording) Zfs() (zfs *Zfs, err error) {
	err = r.use(func(record *C.zfsvol_record) error {
		zfs, err = openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_record_zfs(record, out, e) })
		return err
	})
	return zfs, err
}

// Finish says whether all was written so far: it fails with what Write failed with first, since when nothing was recorded. The recording goes on.
func (r *Recording) Finish() error {
	return r.use(func(record *C.zfsvol_record) error {
		err := done(func(e *cError) cStatus { return C.zfsvol_record_finish(record, e) })
		// Also so that what was written can be read by who calls this.
		return blame(err, []end{r.out})
	})
}

// Close closes it, and does nothing if it is closed. Handles that go through the door go on recording.
func (r *Recording) Close() error {
	r.h.close()
	return nil
}

func (r *Recording) use(call func(record *C.zfsvol_record) error) error {
	p, err := r.h.use()
	if err != nil {
		return err
	}
	defer r.h.done()
	return call((*C.zfsvol_record)(p))
}

// Order says which recorded call answers.
type Order uint32

const (
	OrderStrict    Order = C.ZFSVOL_ORDER_STRICT     // the next one, and it must be the same: for a program that calls from one goroutine
	OrderByRequest Order = C.ZFSVOL_ORDER_BY_REQUEST // the first that is the same and was not given yet: for a program with several
)

// Replay is a door with no kernel behind it, that answers from a recording; each recorded answer is given once. A call that the recording does not have fails.
type Replay struct{ h *handle }

// OpenReplay reads a whole recording of [Zfs.Record]. When the context ends, a Read that waits is ended as [CopyStream] says.
//
// Fails with [ErrCorrupt] (it is none, is damaged or cut off), [ErrUnsupported] (a newer format), [ErrTooLarge] (above 1 GiB), and with what reading fails
// with.
func OpenReplay(ctx context.Context, r io.Reader, order Order) (*Replay, error) {
	var out *C.zfsvol_replay
	in := &source{ctx: ctx, r: r}
	err := moving(ctx, func() error {
		reader := in.lend()
		return done(func(e *cError) cStatus { return C.zfsvol_replay_open(&reader, C.zfsvol_order(order), &out, e) })
	}, in)
	if err != nil {
		return nil, err
	}
	p := &Replay{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_replay_free((*C.zfsvol_replay)(p)) }, nil)}
	return caught(p, p.h), nil
}

// Zfs is a handle that is answered from the recording, to be closed.
func (r *Replay) Zfs() (zfs *Zfs, err error) {
	err = r.use(func(replay *C.zfsvol_replay) error {
		zfs, err = openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_replay_zfs(replay, out, e) })
		return err
	})
	return zfs, err
}

// Left is how many recorded calls were not made yet.
func (r *Replay) Left() (calls int, err error) {
	err = r.use(func(replay *C.zfsvol_replay) error {
		calls = int(C.zfsvol_replay_left(replay))
		return nil
	})
	return calls, err
}

// Mismatch is what was wrong with the first call that the recording does not have, for people; empty if there was none.
func (r *Replay) Mismatch() (reason string, err error) {
	err = r.use(func(replay *C.zfsvol_replay) error {
		reason, _, err = given(func(out *C.zfsvol_buffer, e *cError) cStatus { return C.zfsvol_replay_mismatch(replay, out, e) })
		return err
	})
	return reason, err
}

// Close closes it, and does nothing if it is closed. Handles of it go on being answered.
func (r *Replay) Close() error {
	r.h.close()
	return nil
}

func (r *Replay) use(call func(replay *C.zfsvol_replay) error) error {
	p, err := r.h.use()
	if err != nil {
		return err
	}
	defer r.h.done()
	return call((*C.zfsvol_replay)(p))
}
