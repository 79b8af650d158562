package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"sync"
	"syscall"
	"unsafe"
)

// ReceiveOptions say how to receive. The zero value is nothing special.
type ReceiveOptions struct {
	// Takes the destination back to the snapshot the increment starts from: what was written since is lost.
	Force bool
	// Keeps what was received if the stream ends too early: see [Dataset.ReceiveToken].
	Resumable bool
	// Creates nothing: repairs damaged blocks of the snapshot, which exists. OpenZFS 2.2 and newer.
	Heal bool
	// Makes a new dataset as a clone of this snapshot.
	Origin string
	// With these properties as received ones.
	Received Settings
	// With these properties set locally, whatever was received.
	Set Settings
	// With these properties inherited, whatever was received.
	Exclude []string
	// Encrypts a new dataset with this key.
	Key *Key
}

// Received says what was received.
type Received struct {
	Snapshot Snapshot
	// Of the stream.
	Bytes uint64
	// The properties that could not be set: the data is there all the same.
	PropertyFailures []Failure
	// All of it: besides these "begin" (List, the begin record) and more.
	Details List
}

// Receive receives a stream as the snapshot, which is on disk when it returns. Issues ZFS_IOC_RECV_NEW in a thread of its own.
//
// From a [Stream] it is received without a copy, and uses it up; from an [os.File] or a socket of package net it is read by the library itself. When the
// context ends first, it fails with [ErrCancelled], and any other reader that is an [io.Closer] is closed, for it may wait in Read, and half a stream is of
// no use.
//
// Fails with [ErrExists], [ErrNotFound] (the parent), [ErrBaseMissing], [ErrDestinationModified], [ErrStreamDamaged], [ErrStreamUnsupported],
// [ErrStreamTruncated], [ErrResumePending], [ErrEncryptionMismatch], [ErrKeyNotLoaded], [ErrNoSpace], [ErrQuotaExceeded], [ErrBusy], [ErrDenied], and with
// what reading fails with.
func (s Snapshot) Receive(ctx context.Context, r io.Reader, options ReceiveOptions) (*Received, error) {
	if err := begin(ctx); err != nil {
		return nil, err
	}
	receive, err := s.startReceive(options)
	if err != nil {
		return nil, err
	}
	h := hold(unsafe.Pointer(receive),
		func(p unsafe.Pointer) { C.zfsvol_receive_free((*C.zfsvol_receive)(p)) },
		func(p unsafe.Pointer) { C.zfsvol_receive_cancel((*C.zfsvol_receive)(p)) })
	defer h.close()
	var list List
	if stream, is := r.(*Stream); is {
		list, err = stream.into(ctx, receive)
	} else if raw, is := descriptor(r); is {
		list, err = receiveFrom(ctx, receive, raw)
	} else {
		list, err = pump(ctx, h, receive, r)
	}
	if err != nil {
		return nil, ended(ctx, err)
	}
	received := &Received{Snapshot: s.zfs.Snapshot(list.text("snapshot")), Bytes: list.number("bytes"), Details: list}
	for _, failure := range list.lists("property_failures") {
		received.PropertyFailures = append(received.PropertyFailures, Failure{
			Name: failure.text("name"), Kind: Kind(failure.number("kind")),
			Errno: syscall.Errno(failure.signed("errno")), Reason: failure.text("reason"),
		})
	}
	return received, nil
}

// ReceiveToken is the token of an interrupted receive that can be resumed into the dataset: see [Zfs.SendResumed]. Empty when there is none.
func (d Dataset) ReceiveToken() (string, error) {
	token, _, err := d.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_receive_token(zfs, lend(d.name), out, e)
	})
	return token, err
}

// AbortReceive throws away what an interrupted receive has saved, and says whether there was anything.
func (d Dataset) AbortReceive() (aborted bool, err error) {
	var was C.bool
	err = d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_receive_abort(zfs, lend(d.name), &was, e) })
	return bool(was), err
}

func (s Snapshot) startReceive(options ReceiveOptions) (receive *C.zfsvol_receive, err error) {
	var (
		a arena
		o C.zfsvol_receive_options
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.force, o.resumable, o.heal = C.bool(options.Force), C.bool(options.Resumable), C.bool(options.Heal)
	o.origin = a.strAny(options.Origin)
	if o.received, err = a.settings(options.Received); err != nil {
		return nil, err
	}
	if o.set, err = a.settings(options.Set); err != nil {
		return nil, err
	}
	o.exclude, o.exclude_count = a.strs(options.Exclude)
	err = options.Key.use(func(key *C.zfsvol_key) error {
		o.key = key
		return s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
			return C.zfsvol_receive_start(zfs, lend(s.name), &o, &receive, e)
		})
	})
	return receive, err
}

// into has the stream received, without a copy.
func (s *Stream) into(ctx context.Context, receive *C.zfsvol_receive) (list List, err error) {
	// Whichever of the two contexts ends first.
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	err = s.use(func(stream *C.zfsvol_send) error {
		list, err = run(both, nil, func(out **C.zfsvol_transfer, e *cError) cStatus {
			return C.zfsvol_send_to_receive(stream, receive, out, e)
		})
		return err
	})
	return list, err
}

// receiveFrom has the library read from a descriptor.
func receiveFrom(ctx context.Context, receive *C.zfsvol_receive, raw syscall.RawConn) (List, error) {
	var failed error
	list, err := run(ctx, nil, func(out **C.zfsvol_transfer, e *cError) (status cStatus) {
		status, failed = withDescriptor(raw, func(fd C.int32_t) cStatus { return C.zfsvol_receive_from_fd(receive, fd, out, e) })
		if failed != nil {
			status = C.ZFSVOL_STATUS_IO
		}
		return status
	})
	return list, because(err, failed)
}

// pump writes to the receive what a reader gives.
func pump(ctx context.Context, h *handle, receive *C.zfsvol_receive, r io.Reader) (List, error) {
	var over sync.WaitGroup
	over.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer over.Done()
		h.interrupt()
		if closer, is := r.(io.Closer); is {
			_ = closer.Close()
		}
	})
	defer func() {
		if !stop() {
			over.Wait()
		}
	}()
	buffer := make([]byte, streamBytes)
	for {
		n, failed := r.Read(buffer)
		if n > 0 {
			if err := done(func(e *cError) cStatus {
				ptr, n := bytesOf(buffer[:n])
				return C.zfsvol_receive_write(receive, ptr, n, e)
			}); err != nil {
				return nil, err
			}
		}
		if ctx.Err() != nil {
			return nil, begin(ctx)
		}
		if failed == io.EOF {
			return answer(func(out *cList, e *cError) cStatus { return C.zfsvol_receive_finish(receive, out, e) })
		}
		if failed != nil {
			return nil, failed
		}
	}
}
