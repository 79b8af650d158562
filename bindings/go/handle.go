package zfsvol

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// ErrClosed is what a method of an object fails with after its Close. It wraps [os.ErrClosed].
var ErrClosed = fmt.Errorf("zfsvol: %w", os.ErrClosed)

// live counts the objects of the library that this package holds, and the Go values that the library holds. Tests end by comparing it with 0.
var live atomic.Int64

// handle holds an object of the library.
//
// Calls are counted, so that close can wait until none is under way. As the count is in the handle, which the cleanup of the outer object holds as well, an
// object that the garbage collector takes during a call of its own is freed after that call: no method needs runtime.KeepAlive.
type handle struct {
	free func(unsafe.Pointer)
	// Ends calls that wait, from any goroutine. Nil where there are none.
	cancel func(unsafe.Pointer)

	mu      sync.Mutex
	idle    sync.Cond
	ptr     unsafe.Pointer
	uses    int
	closing bool
}

// hold takes ownership of an object. Cancel may be nil.
func hold(ptr unsafe.Pointer, free, cancel func(unsafe.Pointer)) *handle {
	h := &handle{ptr: ptr, free: free, cancel: cancel}
	h.idle.L = &h.mu
	live.Add(1)
	return h
}

// caught has the object freed when the collector takes its owner: a net for owners that were not closed, and nothing to rely on.
func caught[T any](owner *T, h *handle) *T {
	// In a goroutine of its own, for to free can take a while and there are other cleanups.
	runtime.AddCleanup(owner, func(h *handle) { go h.close() }, h)
	return owner
}

// use gives the object for a call, at whose end done is called. Fails with ErrClosed.
func (h *handle) use() (unsafe.Pointer, error) {
	abuse()
	if h == nil {
		return nil, ErrClosed
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil, ErrClosed
	}
	h.uses++
	return h.ptr, nil
}

func (h *handle) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uses--
	if h.uses == 0 {
		h.idle.Broadcast()
	}
}

// interrupt ends calls that wait, unless the object is closed.
func (h *handle) interrupt() {
	if ptr, err := h.use(); err == nil {
		h.cancel(ptr)
		h.done()
	}
}

// close refuses further calls, ends those that wait, waits for the others and frees the object. Whoever closes it second returns once it is freed too.
func (h *handle) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.closing
	h.closing = true
	if first && h.cancel != nil {
		// Only who closed it frees it, so it is there.
		h.mu.Unlock()
		h.cancel(h.ptr)
		h.mu.Lock()
	}
	for h.uses > 0 || (!first && h.ptr != nil) {
		h.idle.Wait()
	}
	if first {
		h.free(h.ptr)
		h.ptr = nil
		live.Add(-1)
		h.idle.Broadcast()
	}
}
