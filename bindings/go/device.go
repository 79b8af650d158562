package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"unsafe"
)

// deviceMilliseconds is how long the library waits for a device before the context is looked at.
const deviceMilliseconds = 50

// Device is the data of a zvol: its block device, or the same in this process. An [io.ReaderAt] and [io.WriterAt], for several goroutines at once. While it
// is open the zvol cannot be destroyed.
type Device struct{ h *handle }

// OpenDevice opens the block device of a zvol, and waits for it until the context ends: it appears a moment after the zvol was made or its key loaded.
//
// Fails with [ErrNotFound], [ErrWrongType] (a file system), [ErrInvalid] (volmode=none), [ErrKeyNotLoaded], [ErrBusy], [ErrReadOnly], [ErrDenied],
// [ErrTimedOut] and the context's error.
func (d Dataset) OpenDevice(ctx context.Context, writable bool) (device *Device, err error) {
	err = d.zfs.use(func(zfs *C.zfsvol_zfs) error {
		device, err = openDevice(ctx, func(milliseconds C.int64_t, out **C.zfsvol_device, e *cError) cStatus {
			return C.zfsvol_device_open(zfs, lend(d.name), C.bool(writable), milliseconds, out, e)
		})
		return err
	})
	return device, err
}

func openDevice(ctx context.Context, open func(milliseconds C.int64_t, out **C.zfsvol_device, e *cError) cStatus) (*Device, error) {
	var out *C.zfsvol_device
	err := awaitDevice(ctx, func(milliseconds C.int64_t) error {
		return done(func(e *cError) cStatus { return open(milliseconds, &out, e) })
	})
	if err != nil {
		return nil, err
	}
	d := &Device{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_device_free((*C.zfsvol_device)(p)) }, nil)}
	return caught(d, d.h), nil
}

// awaitDevice asks for a device until it is there, or the context ends.
func awaitDevice(ctx context.Context, ask func(milliseconds C.int64_t) error) error {
	for {
		if err := begin(ctx); err != nil {
			return err
		}
		err := ask(deviceMilliseconds)
		if errors.Is(err, ErrTimedOut) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return ended(ctx, err)
		}
		return nil
	}
}

// Size is its size in bytes.
func (d *Device) Size() (uint64, error) {
	var n C.uint64_t
	err := d.done(func(device *C.zfsvol_device, e *cError) cStatus { return C.zfsvol_device_size(device, &n, e) })
	return uint64(n), err
}

// Path is its node in /dev; empty where there is none.
func (d *Device) Path() (path string, err error) {
	err = d.use(func(device *C.zfsvol_device) error {
		path, _, err = given(func(out *C.zfsvol_buffer, e *cError) cStatus { return C.zfsvol_device_path(device, out, e) })
		return err
	})
	return path, err
}

// ReadAt fills p from offset on, and gives [io.EOF] at the end of the device, as [io.ReaderAt] has it. Fails with [ErrIO].
func (d *Device) ReadAt(p []byte, offset int64) (int, error) {
	size, err := d.Size()
	if err != nil {
		return 0, err
	}
	var atEnd error
	if offset >= 0 {
		if left := size - min(size, uint64(offset)); uint64(len(p)) > left {
			p, atEnd = p[:left], io.EOF
		}
	}
	if len(p) == 0 {
		return 0, atEnd
	}
	err = d.done(func(device *C.zfsvol_device, e *cError) cStatus {
		ptr, n := bytesOf(p)
		return C.zfsvol_device_read(device, C.uint64_t(offset), ptr, n, e)
	})
	if err != nil {
		return 0, err
	}
	return len(p), atEnd
}

// WriteAt writes all of p at offset, or nothing is certain. On stable storage only after [Device.Sync]. Fails with [ErrInvalid] or [ErrNoSpace] beyond
// the end, [ErrDenied], [ErrIO].
func (d *Device) WriteAt(p []byte, offset int64) (int, error) {
	err := d.done(func(device *C.zfsvol_device, e *cError) cStatus {
		ptr, n := bytesOf(p)
		return C.zfsvol_device_write(device, C.uint64_t(offset), ptr, n, e)
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync returns once what was written is on stable storage.
func (d *Device) Sync() error {
	return d.done(func(device *C.zfsvol_device, e *cError) cStatus { return C.zfsvol_device_flush(device, e) })
}

// Close closes it, and does nothing if it is closed.
func (d *Device) Close() error {
	d.h.close()
	return nil
}

func (d *Device) use(f func(device *C.zfsvol_device) error) error {
	p, err := d.h.use()
	if err != nil {
		return err
	}
	defer d.h.done()
	return f((*C.zfsvol_device)(p))
}

func (d *Device) done(call func(device *C.zfsvol_device, e *cError) cStatus) error {
	return d.use(func(device *C.zfsvol_device) error {
		return done(func(e *cError) cStatus { return call(device, e) })
	})
}
