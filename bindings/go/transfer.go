package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Phase says what a push or handoff does now.
type Phase uint32

const (
	PhaseComparing Phase = C.ZFSVOL_PHASE_COMPARING // it asks the peer what it has, and takes a snapshot if anything is missing there
	PhaseSending   Phase = C.ZFSVOL_PHASE_SENDING   // it sends a stream
	PhaseSettling  Phase = C.ZFSVOL_PHASE_SETTLING  // it keeps what the next push begins from, and hands over
)

// Progress says how far a push, a handoff or a stream is.
type Progress struct {
	// How many bytes of streams came through so far. They only grow.
	Bytes uint64
	// How many there will be, as the kernel estimates it; 0 where that is not known.
	Total uint64
	Phase Phase
}

// ProgressEvery is how often functions that watch progress are called.
const ProgressEvery = time.Second

// progressEvery is what tests make shorter.
var progressEvery = ProgressEvery

// run starts a transfer, which runs in threads of the library, and waits for its end. It is cancelled when the context ends. Watch, if not nil, is told now
// and then how far it is.
func run(ctx context.Context, watch func(Progress), start func(out **C.zfsvol_transfer, e *cError) cStatus) (List, error) {
	if err := begin(ctx); err != nil {
		return nil, err
	}
	var transfer *C.zfsvol_transfer
	if err := done(func(e *cError) cStatus { return start(&transfer, e) }); err != nil {
		return nil, err
	}
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.zfsvol_transfer_cancel(transfer)
		close(cancelled)
	})
	defer func() {
		if !stop() {
			<-cancelled
		}
		C.zfsvol_transfer_free(transfer)
	}()
	list, err := wait(transfer, watch)
	return list, ended(ctx, err)
}

// wait waits for the end of a transfer.
func wait(transfer *C.zfsvol_transfer, watch func(Progress)) (List, error) {
	milliseconds := C.int64_t(-1)
	if watch != nil {
		milliseconds = C.int64_t(progressEvery.Milliseconds())
	}
	for {
		list, err := answer(func(out *cList, e *cError) cStatus {
			return C.zfsvol_transfer_wait(transfer, milliseconds, out, e)
		})
		if watch == nil || !errors.Is(err, ErrTimedOut) {
			return list, err
		}
		// Either it still runs, or that was the failure of the transfer itself, which nobody can ask about any more.
		var progress C.zfsvol_progress
		progress.size = C.size_t(unsafe.Sizeof(progress))
		if done(func(e *cError) cStatus { return C.zfsvol_transfer_progress(transfer, &progress, e) }) != nil {
			return list, err
		}
		watch(Progress{Bytes: uint64(progress.bytes), Total: uint64(progress.total), Phase: Phase(progress.phase)})
	}
}

// descriptor is the descriptor of a file, pipe or socket, if that is all there is to reading and writing it: a type of somebody else's may do more, whatever
// it embeds.
func descriptor(v any) (syscall.RawConn, bool) {
	var conn syscall.Conn
	switch v := v.(type) {
	case *os.File:
		conn = v
	case *net.TCPConn:
		conn = v
	case *net.UnixConn:
		conn = v
	default:
		return nil, false
	}
	raw, err := conn.SyscallConn()
	return raw, err == nil
}

// withDescriptor runs a call with a descriptor that stays open for it. The library duplicates it. Fails with os.ErrClosed or net.ErrClosed.
func withDescriptor(raw syscall.RawConn, call func(fd C.int32_t) cStatus) (status cStatus, err error) {
	err = raw.Control(func(fd uintptr) { status = call(C.int32_t(fd)) })
	if err != nil && !errors.Is(err, net.ErrClosed) {
		// Of a file, package os has an error of its own here that cannot be found, and no other.
		err = os.ErrClosed
	}
	return status, err
}
