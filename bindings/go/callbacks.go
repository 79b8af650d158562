package zfsvol

/*
#include <stdlib.h>
#include <zfsvol.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"syscall"
	"time"
	"unsafe"
)

// The functions that the library calls, from threads of its own. None lets a panic out, which would have to unwind through C: it becomes a refusal or an
// I/O error, as the callback can say it, and so reaches the caller of the method.

// lendGo gives C a Go value: the address of memory of C with its handle, for a number is no pointer. The library gives it back to zfsvolGoRelease once,
// whatever becomes of the call that was given it.
func lendGo(value any) unsafe.Pointer {
	context := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(context) = cgo.NewHandle(value)
	live.Add(1)
	return context
}

// lent is the Go value again.
func lent[T any](context unsafe.Pointer) T {
	return (*(*cgo.Handle)(context)).Value().(T)
}

//export zfsvolGoRelease
func zfsvolGoRelease(context unsafe.Pointer) {
	(*(*cgo.Handle)(context)).Delete()
	C.free(context)
	live.Add(-1)
}

// errPanic is what a callback fails with that panicked.
func errPanic(v any) error { return fmt.Errorf("zfsvol: a callback panicked: %v", v) }

// errnoOf is the errno of an error, or the one for errors without.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != 0 {
		return errno
	}
	return syscall.EIO
}

//export zfsvolGoRead
func zfsvolGoRead(context unsafe.Pointer, buffer *C.uint8_t, n C.size_t) (count C.int64_t) {
	defer func() {
		if recover() != nil {
			count = -C.int64_t(syscall.EIO)
		}
	}()
	into := unsafe.Slice((*byte)(buffer), int(n))
	for {
		got, err := lent[io.Reader](context).Read(into)
		switch {
		case got > 0:
			// What failed then fails again.
			return C.int64_t(got)
		case err == io.EOF:
			return 0
		case err != nil:
			return -C.int64_t(errnoOf(err))
		}
	}
}

//export zfsvolGoWrite
func zfsvolGoWrite(context unsafe.Pointer, data *C.uint8_t, n C.size_t) (count C.int64_t) {
	defer func() {
		if recover() != nil {
			count = -C.int64_t(syscall.EIO)
		}
	}()
	put, err := lent[io.Writer](context).Write(unsafe.Slice((*byte)(data), int(n)))
	if put > 0 {
		return C.int64_t(put)
	}
	return -C.int64_t(errnoOf(err))
}

//export zfsvolGoClose
func zfsvolGoClose(context unsafe.Pointer) {
	defer func() { _ = recover() }()
	hangUp(lent[hooks](context).conn)
}

//export zfsvolGoFrame
func zfsvolGoFrame(context unsafe.Pointer, frame *C.zfsvol_frame) (pass C.zfsvol_pass) {
	defer func() {
		if recover() != nil {
			pass = C.ZFSVOL_PASS_CUT
		}
	}()
	return C.zfsvol_pass(lent[hooks](context).watch(Frame{
		Direction: Direction(frame.direction), Kind: uint32(frame.kind), Request: uint32(frame.request), BodyBytes: uint64(frame.body_bytes),
	}))
}

//export zfsvolGoConnect
func zfsvolGoConnect(context unsafe.Pointer, transport **C.zfsvol_transport) (errno C.int32_t) {
	d := lent[*dialer](context)
	defer func() {
		if v := recover(); v != nil {
			errno = d.failed(errPanic(v))
		}
	}()
	return d.connect(transport)
}

//export zfsvolGoPermit
func zfsvolGoPermit(context unsafe.Pointer, request *C.zfsvol_request, reason *C.char, n C.size_t) (may C.bool) {
	defer func() {
		if recover() != nil {
			may = false
		}
	}()
	err := lent[func(Request) error](context)(Request{
		Action: Action(request.action), Node: text(request.node), Identity: text(request.identity),
		VolumeID: text(request.volume_id), Volume: text(request.volume),
	})
	if err == nil {
		return true
	}
	if n > 0 {
		into := unsafe.Slice((*byte)(unsafe.Pointer(reason)), int(n))
		into[copy(into[:n-1], cut(err.Error(), int(n-1)))] = 0
	}
	return false
}

//export zfsvolGoEvent
func zfsvolGoEvent(context unsafe.Pointer, event *C.zfsvol_nvlist) {
	defer func() { _ = recover() }()
	list := decode(event)
	lent[func(Event)](context)(Event{Volume: list.text("volume"), Kind: list.text("kind"), Details: list})
}

//export zfsvolGoBefore
func zfsvolGoBefore(context unsafe.Pointer, call *C.zfsvol_call) (errno C.int32_t) {
	defer func() {
		if recover() != nil {
			errno = C.int32_t(syscall.EIO)
		}
	}()
	return C.int32_t(lent[Observer](context).Before(callOf(call)))
}

//export zfsvolGoAfter
func zfsvolGoAfter(context unsafe.Pointer, call *C.zfsvol_call) {
	defer func() { _ = recover() }()
	lent[Observer](context).After(callOf(call))
}

//export zfsvolGoKeep
func zfsvolGoKeep(context unsafe.Pointer, record *C.zfsvol_nvlist) C.bool {
	return C.bool(lent[*filter](context).keeps(record))
}

//export zfsvolGoOpen
func zfsvolGoOpen(context unsafe.Pointer, begin *C.zfsvol_nvlist, writer *C.zfsvol_writer) C.int32_t {
	to, err := lent[*splitter](context).next(begin)
	if err != nil {
		return C.int32_t(errnoOf(err))
	}
	*writer = to.lend()
	return 0
}

//export zfsvolGoVisit
func zfsvolGoVisit(context unsafe.Pointer, file *C.zfsvol_nvlist) {
	lent[func(cList)](context)(file)
}

//export zfsvolGoClock
func zfsvolGoClock(context unsafe.Pointer) (nanoseconds C.uint64_t) {
	defer func() {
		if recover() != nil {
			nanoseconds = C.uint64_t(time.Now().UnixNano())
		}
	}()
	return C.uint64_t(max(lent[func() time.Time](context)().UnixNano(), 0))
}

// cut is at most so many bytes of a text, and no part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
