package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"unsafe"
)

// streamBytes is how much of a stream is copied at once: a record of the default size, and its header.
const streamBytes = 256 << 10

// SendFlags say what a stream may have in it, added up.
type SendFlags uint32

const (
	SendLargeBlock SendFlags = C.ZFSVOL_SEND_LARGE_BLOCK // records above 128 KiB
	SendEmbed      SendFlags = C.ZFSVOL_SEND_EMBED       // small blocks inside of their pointers
	SendCompress   SendFlags = C.ZFSVOL_SEND_COMPRESS    // blocks compressed as on disk
	SendRaw        SendFlags = C.ZFSVOL_SEND_RAW         // blocks exactly as on disk, encrypted ones encrypted; no key is needed
)

// SendOptions say how to send. The zero value is a full stream.
type SendOptions struct {
	// The full name of the snapshot or bookmark that an increment starts from.
	Base string
	// A redaction bookmark: what it says is left out.
	RedactedBy string
	// What the stream may have in it.
	Flags SendFlags
	// Where to go on, if not nil: see [Zfs.ResumeOptions].
	Resume *ResumePoint
}

// Stream is a stream that the kernel writes: an [io.Reader] that gives [io.EOF] at the end of a stream that is complete, and the failure of the send if it
// failed on the way. By one goroutine at a time.
type Stream struct {
	h *handle
	// Ends with the context that it was made with, or when the stream is closed.
	ctx context.Context
}

// Send starts to send the snapshot. Issues ZFS_IOC_SEND_NEW in a thread of its own. The stream ends with the context, with [ErrCancelled].
//
// Fails with [ErrNotFound], [ErrBaseMissing], [ErrKeyNotLoaded], [ErrInvalid], [ErrCorrupt], [ErrIO], [ErrDenied].
func (s Snapshot) Send(ctx context.Context, options SendOptions) (*Stream, error) {
	return s.zfs.send(ctx, s.name, options)
}

// Send starts to send the dataset as it is now, if it is not mounted or open: [ErrBusy]. The rest is as in [Snapshot.Send].
func (d Dataset) Send(ctx context.Context, options SendOptions) (*Stream, error) {
	return d.zfs.send(ctx, d.name, options)
}

// SendSaved sends what an interrupted receive has saved in the dataset. Base and flags must be those of the stream that was interrupted.
//
// Fails as [Snapshot.Send]; with [ErrNotFound] also when nothing is saved there.
func (d Dataset) SendSaved(ctx context.Context, options SendOptions) (*Stream, error) {
	return d.zfs.withSendOptions(ctx, options, func(zfs *C.zfsvol_zfs, o *C.zfsvol_send_options, out **C.zfsvol_send, e *cError) cStatus {
		return C.zfsvol_send_start_saved(zfs, lend(d.name), o, out, e)
	})
}

// SendSpace is how long the stream of a snapshot would be: an estimate, in bytes. Issues ZFS_IOC_SEND_SPACE. Fails as [Snapshot.Send].
func (s Snapshot) SendSpace(options SendOptions) (bytes uint64, err error) {
	var (
		a arena
		n C.uint64_t
	)
	defer a.free()
	o := a.send(options)
	err = s.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_send_space(zfs, lend(s.name), &o, -1, &n, e)
	})
	return uint64(n), err
}

// Read reads from the stream, and waits for it. Fails with whatever the send failed with, also after some of it was read; [ErrCancelled], [ErrConsumed].
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var count C.size_t
	err := s.use(func(stream *C.zfsvol_send) error {
		return done(func(e *cError) cStatus {
			ptr, n := bytesOf(p)
			return C.zfsvol_send_read(stream, ptr, n, &count, e)
		})
	})
	if err != nil {
		return 0, ended(s.ctx, err)
	}
	if count == 0 {
		return 0, io.EOF
	}
	return int(count), nil
}

// WriteTo writes all of the stream, and uses it up: [io.Copy] calls it. To an [os.File] or a socket of package net it is written by the library itself, also
// while that cannot take anything, and ends with the context. Any other writer must return for that.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	raw, is := descriptor(w)
	if !is {
		return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{s}, make([]byte, streamBytes))
	}
	var list List
	err := s.use(func(stream *C.zfsvol_send) error {
		var failed error
		result, err := run(s.ctx, nil, func(out **C.zfsvol_transfer, e *cError) (status cStatus) {
			status, failed = withDescriptor(raw, func(fd C.int32_t) cStatus { return C.zfsvol_send_to_fd(stream, fd, out, e) })
			if failed != nil {
				status = C.ZFSVOL_STATUS_IO
			}
			return status
		})
		list = result
		return because(err, failed)
	})
	return int64(list.number("bytes")), err
}

// Bytes is how much of the stream was read. Fails with [ErrConsumed] once it was written elsewhere.
func (s *Stream) Bytes() (uint64, error) {
	var n C.uint64_t
	err := s.use(func(stream *C.zfsvol_send) error {
		return done(func(e *cError) cStatus { return C.zfsvol_send_bytes(stream, &n, e) })
	})
	return uint64(n), err
}

// Close ends a send that still runs, and frees the stream. Does nothing if it is closed.
func (s *Stream) Close() error {
	s.h.close()
	return nil
}

func (z *Zfs) send(ctx context.Context, what string, options SendOptions) (*Stream, error) {
	return z.withSendOptions(ctx, options, func(zfs *C.zfsvol_zfs, o *C.zfsvol_send_options, out **C.zfsvol_send, e *cError) cStatus {
		return C.zfsvol_send_start(zfs, lend(what), o, out, e)
	})
}

type cSend = func(zfs *C.zfsvol_zfs, o *C.zfsvol_send_options, out **C.zfsvol_send, e *cError) cStatus

func (z *Zfs) withSendOptions(ctx context.Context, options SendOptions, start cSend) (*Stream, error) {
	if err := begin(ctx); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	o := a.send(options)
	var out *C.zfsvol_send
	if err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return start(zfs, &o, &out, e) }); err != nil {
		return nil, err
	}
	// A transfer that the stream was given to ends with this, and the stream itself by its function.
	own, cancel := context.WithCancel(ctx)
	h := hold(unsafe.Pointer(out),
		func(p unsafe.Pointer) { C.zfsvol_send_free((*C.zfsvol_send)(p)) },
		func(p unsafe.Pointer) {
			cancel()
			C.zfsvol_send_cancel((*C.zfsvol_send)(p))
		})
	// Of the handle, so that a stream which nobody has any more is collected although its context goes on.
	context.AfterFunc(own, h.interrupt)
	return caught(&Stream{h: h, ctx: own}, h), nil
}

func (s *Stream) use(f func(stream *C.zfsvol_send) error) error {
	p, err := s.h.use()
	if err != nil {
		return err
	}
	defer s.h.done()
	return f((*C.zfsvol_send)(p))
}

func (a *arena) send(options SendOptions) (o C.zfsvol_send_options) {
	o.size = C.size_t(unsafe.Sizeof(o))
	o.base = a.strAny(options.Base)
	o.redacted_by = a.strAny(options.RedactedBy)
	o.flags = C.zfsvol_send_flags(options.Flags)
	if at := options.Resume; at != nil {
		o.resume, o.resume_object, o.resume_offset, o.resume_bytes = true, C.uint64_t(at.Object), C.uint64_t(at.Offset), C.uint64_t(at.Bytes)
	}
	return o
}
