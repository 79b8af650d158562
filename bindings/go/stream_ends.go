package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
	"unsafe"
)

// source is a reader of the caller, as the library reads it. It ends with the context, and keeps what the reader failed with, of which C learns no more than
// an errno.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.err == nil && s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
	}
	if s.err != nil {
		return 0, s.err
	}
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, errPanic(v)
		}
		s.err = err
	}()
	return s.r.Read(p)
}

// failed is what the reader failed with; its end is no failure.
func (s *source) failed() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

// wake ends a Read that waits.
func (s *source) wake() {
	wake(s.r, func(d interface{ SetReadDeadline(time.Time) error }) error { return d.SetReadDeadline(past) })
}

// lend gives C the reader, for one call, which releases it in any case.
func (s *source) lend() (reader C.zfsvol_reader) {
	reader.context, reader.read, reader.release = lendGo(io.Reader(s)), (*[0]byte)(C.zfsvolGoRead), (*[0]byte)(C.zfsvolGoRelease)
	return reader
}

// sink is a writer of the caller, as the library writes to it: see source. The library may do that from any thread, though from one at a time.
type sink struct {
	ctx context.Context
	w   io.Writer

	mu  sync.Mutex
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
	}
	if s.err != nil {
		return 0, s.err
	}
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, errPanic(v)
		} else if n < len(p) && err == nil {
			err = io.ErrShortWrite
		}
		s.err = err
	}()
	return s.w.Write(p)
}

func (s *sink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sink) wake() {
	wake(s.w, func(d interface{ SetWriteDeadline(time.Time) error }) error { return d.SetWriteDeadline(past) })
}

// lend gives C the writer, which releases it in any case.
func (s *sink) lend() (writer C.zfsvol_writer) {
	writer.context, writer.write, writer.release = lendGo(io.Writer(s)), (*[0]byte)(C.zfsvolGoWrite), (*[0]byte)(C.zfsvolGoRelease)
	return writer
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// wake ends what waits at one end of the caller's: by a deadline, if it takes one, or by Close. What has neither must return by itself.
func wake[D any](end any, expire func(D) error) {
	if d, is := end.(D); is {
		// A file without deadlines is no pipe: it does not wait, and need not be closed.
		_ = expire(d)
		return
	}
	if closer, is := end.(io.Closer); is {
		_ = closer.Close()
	}
}

// end is a source or a sink.
type end interface {
	wake()
	failed() error
}

// moving runs a call that reads from sources and writes to sinks, and ends it with the context. What one of these failed with becomes the cause of its
// failure.
func moving(ctx context.Context, call func() error, ends ...end) error {
	if err := begin(ctx); err != nil {
		return err
	}
	return awake(ctx, ends, call)
}

// awake is moving for a part of something longer.
func awake(ctx context.Context, ends []end, call func() error) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		for _, one := range ends {
			one.wake()
		}
	})
	defer func() {
		if !stop() {
			<-woken
		}
	}()
	err := call()
	if err != nil && ctx.Err() != nil {
		return begin(ctx)
	}
	return blame(err, ends)
}

// blame adds to a failure what an end of the caller's failed with.
func blame(err error, ends []end) error {
	if err == nil {
		return nil
	}
	for _, one := range ends {
		if cause := one.failed(); cause != nil {
			return because(err, cause)
		}
	}
	return err
}

// rewrite runs a call that makes one stream of another.
func rewrite(ctx context.Context, to io.Writer, from io.Reader, call func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus) error {
	in, out := &source{ctx: ctx, r: from}, &sink{ctx: ctx, w: to}
	return moving(ctx, func() error {
		reader, writer := in.lend(), out.lend()
		return done(func(e *cError) cStatus { return call(&reader, &writer, e) })
	}, in, out)
}

// eater is an object of the library that moves a stream, or one after the other, while it is open.
type eater struct {
	h *handle
	// Ends when it is closed, and with it what it reads then.
	ctx context.Context
}

func newEater(ptr unsafe.Pointer, free func(unsafe.Pointer)) eater {
	ctx, cancel := context.WithCancelCause(context.Background())
	return eater{hold(ptr, free, func(unsafe.Pointer) { cancel(ErrClosed) }), ctx}
}

// eat runs a call that reads a stream to its end.
func (e eater) eat(ctx context.Context, r io.Reader, call func(ptr unsafe.Pointer, reader *C.zfsvol_reader, e *cError) cStatus) error {
	return e.until(ctx, func(ctx context.Context, ptr unsafe.Pointer) error {
		in := &source{ctx: ctx, r: r}
		return moving(ctx, func() error {
			reader := in.lend()
			return done(func(e *cError) cStatus { return call(ptr, &reader, e) })
		}, in)
	})
}

// until runs something with a context that ends with ctx, or when the object is closed.
func (e eater) until(ctx context.Context, f func(ctx context.Context, ptr unsafe.Pointer) error) error {
	return e.use(func(ptr unsafe.Pointer) error {
		both, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(e.ctx, func() { cancel(ErrClosed) })()
		return f(both, ptr)
	})
}

func (e eater) use(f func(ptr unsafe.Pointer) error) error {
	ptr, err := e.h.use()
	if err != nil {
		return err
	}
	defer e.h.done()
	return f(ptr)
}

func (e eater) done(call func(ptr unsafe.Pointer, e *cError) cStatus) error {
	return e.use(func(ptr unsafe.Pointer) error {
		return done(func(e *cError) cStatus { return call(ptr, e) })
	})
}
