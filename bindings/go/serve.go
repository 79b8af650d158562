package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"sync"
	"time"
	"unsafe"
)

// ServeOptions say how to serve a connection. The zero value is a caller without identity.
type ServeOptions struct {
	// Who the connection found the caller to be: the policy is told.
	Identity string
	// After how long without a byte the caller is given up: 100 ms to an hour; 0 for 30 s.
	Silence time.Duration
	// How much of a stream may be under way or wait to be written, 64 KiB to 256 MiB; 0 for 4 MiB.
	WindowBytes uint64
}

// Served says what became of a connection.
type Served struct {
	// The UUID of the node at its other end.
	Caller string
	// How many requests it made.
	Requests uint64
	// How many bytes of streams came.
	Received uint64
}

// Serve serves one connection of a peer until the peer ends it or the context does: does what is asked, and the policy permits. The connection belongs to it,
// and is closed when it returns. Refusals are told to the peer, and end nothing.
//
//	for {
//		conn, err := listener.Accept()
//		...
//		go node.Serve(ctx, conn, policy, zfsvol.ServeOptions{Identity: nameIn(conn)})
//	}
//
// Fails with [ErrNotPermitted] (the policy does not let it connect), [ErrDisconnected], [ErrTimedOut] (it was silent for too long), [ErrProtocol],
// [ErrUnsupported] (other versions of the protocol), [ErrCancelled].
func (n *Node) Serve(ctx context.Context, conn io.ReadWriteCloser, policy Policy, options ServeOptions) (*Served, error) {
	defer conn.Close()
	var (
		a    arena
		o    C.zfsvol_serve_options
		made *C.zfsvol_policy
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.identity = a.str(options.Identity)
	o.silence_milliseconds = within(options.Silence)
	o.window_bytes = C.uint64_t(options.WindowBytes)
	if err := done(func(e *cError) cStatus { return policy.made(&made, e) }); err != nil {
		return nil, err
	}
	defer C.zfsvol_policy_free(made)
	t, err := newTransport(conn)
	if err != nil {
		return nil, err
	}
	defer t.free()
	list, err := n.run(ctx, nil, func(node *C.zfsvol_node, out **C.zfsvol_transfer, e *cError) cStatus {
		return C.zfsvol_node_serve(node, t.ptr, made, &o, out, e)
	})
	if err != nil {
		return nil, err
	}
	return &Served{Caller: list.text("caller"), Requests: list.number("requests"), Received: list.number("received")}, nil
}

// run starts a transfer of the node and waits for its end. Only the start counts as a call, so that the node can be closed meanwhile.
func (n *Node) run(ctx context.Context, watch func(Progress), start func(node *C.zfsvol_node, out **C.zfsvol_transfer, e *cError) cStatus) (List, error) {
	p, err := n.h.use()
	if err != nil {
		return nil, err
	}
	letGo := sync.OnceFunc(n.h.done)
	defer letGo()
	return run(ctx, watch, func(out **C.zfsvol_transfer, e *cError) cStatus {
		defer letGo()
		return start((*C.zfsvol_node)(p), out, e)
	})
}
