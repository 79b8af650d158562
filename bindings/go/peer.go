package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Peer is another node, as this one sees it. Can be used by any number of goroutines at once.
type Peer struct {
	h  *handle
	id string
	// What makes its connections; nil if nothing does.
	dialer *dialer
}

// PeerOptions say how a peer elsewhere is reached. The zero value is nothing special.
type PeerOptions struct {
	// After how long without a byte the peer is given up: 100 ms to an hour; 0 for 30 s.
	Silence time.Duration
	// How long the peer may go on without doing anything that is seen; 0 for as long as it wants.
	Deadline time.Duration
	// How many connections there are at most, so many pushes go on at once; 0 for 8.
	Connections int
	// Called for frames, as by [WatchFrames]: for those of each connection one at a time; nil for nobody.
	OnFrame func(Frame) Pass
}

// LocalPeer is a node of this process as the peer of another: for two pools of one machine, and for tests.
func LocalPeer(node *Node) (*Peer, error) {
	return newPeer(node, nil, func(node *C.zfsvol_node, out **C.zfsvol_peer, e *cError) cStatus {
		return C.zfsvol_peer_local(node, out, e)
	})
}

// PeerOver is the node at the other end of a connection, which [Node.Serve] answers there. The connection belongs to the peer from now on, failure included:
// it is closed when it ends, and when it is lost, it is not made anew; see [Node.Dial]. Nothing is enciphered on it, and nobody asked who they are: that is
// for the connection to do, as package crypto/tls does. Returns when the other end has said who it is, or the context ends.
//
// Fails with [ErrDisconnected], [ErrNotPermitted] (it does not let this node connect), [ErrUnsupported] (they have no version of the protocol in common),
// [ErrTimedOut] or [ErrProtocol] (nobody is there who speaks it), [ErrCancelled].
func (n *Node) PeerOver(ctx context.Context, conn io.ReadWriteCloser) (*Peer, error) {
	if err := begin(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	t, err := newTransport(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer t.free()
	stop := context.AfterFunc(ctx, func() { hangUp(t.conn) })
	peer, err := newPeer(n, nil, func(node *C.zfsvol_node, out **C.zfsvol_peer, e *cError) cStatus {
		return C.zfsvol_peer_over(node, t.ptr, out, e)
	})
	if !stop() && err == nil {
		// It has answered, and was hung up on then.
		peer.Close()
		return nil, begin(ctx)
	}
	return peer, ended(ctx, err)
}

// Dial is the node that a function makes connections to: one now, and later whenever another is needed, several at once, and anew when one was lost. The
// context that the function is given ends when the peer is closed, and for the first connection also when ctx does.
//
// Fails as [Node.PeerOver], and with what the function failed with.
func (n *Node) Dial(ctx context.Context, dial func(context.Context) (net.Conn, error), options PeerOptions) (*Peer, error) {
	if err := begin(ctx); err != nil {
		return nil, err
	}
	d := &dialer{dial: dial, first: ctx, watch: options.OnFrame}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, d.giveUp)
	peer, err := newPeer(n, d, func(node *C.zfsvol_node, out **C.zfsvol_peer, e *cError) cStatus {
		var o C.zfsvol_peer_options
		o.size = C.size_t(unsafe.Sizeof(o))
		o.connect = (*[0]byte)(C.zfsvolGoConnect)
		o.context = lendGo(d)
		o.release = (*[0]byte)(C.zfsvolGoRelease)
		o.silence_milliseconds, o.deadline_milliseconds = within(options.Silence), within(options.Deadline)
		o.connections = C.size_t(max(options.Connections, 0))
		return C.zfsvol_peer_connect(node, &o, out, e)
	})
	if !stop() && err == nil {
		peer.Close()
		return nil, begin(ctx)
	}
	failed := d.connected()
	if err != nil {
		d.cancel()
		if ctx.Err() == nil {
			return nil, because(err, failed)
		}
	}
	return peer, ended(ctx, err)
}

// ID is the UUID of the node.
func (p *Peer) ID() string { return p.id }

// Close ends the connections, and does nothing if it is closed. What runs with the peer goes on with those it has.
func (p *Peer) Close() error {
	p.h.close()
	return nil
}

func newPeer(n *Node, d *dialer, open func(node *C.zfsvol_node, out **C.zfsvol_peer, e *cError) cStatus) (*Peer, error) {
	var out *C.zfsvol_peer
	if err := n.done(func(node *C.zfsvol_node, e *cError) cStatus { return open(node, &out, e) }); err != nil {
		return nil, err
	}
	p := &Peer{h: hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_peer_free((*C.zfsvol_peer)(p)) }, nil), dialer: d}
	if d != nil {
		p.h.cancel = func(unsafe.Pointer) { d.cancel() }
	}
	caught(p, p.h)
	err := p.use(func(peer *C.zfsvol_peer) error {
		info, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_peer_info(peer, out, e) })
		p.id = info.text("id")
		return err
	})
	if err != nil {
		p.h.close()
		return nil, err
	}
	return p, nil
}

func (p *Peer) use(f func(peer *C.zfsvol_peer) error) error {
	ptr, err := p.h.use()
	if err != nil {
		return err
	}
	defer p.h.done()
	return f((*C.zfsvol_peer)(ptr))
}

// dialer makes the connections of a peer.
type dialer struct {
	dial   func(context.Context) (net.Conn, error)
	ctx    context.Context
	cancel context.CancelFunc
	first  context.Context
	watch  func(Frame) Pass

	mu sync.Mutex
	// It has answered once, or never will.
	over bool
	// Nobody waits for the first answer any more.
	gaveUp bool
	// What the first answer is waited for on.
	opened []net.Conn
	// What dialling failed with first.
	err error
}

// connect makes a connection, and gives it to the library.
func (d *dialer) connect(out **C.zfsvol_transport) C.int32_t {
	conn, err := d.dial(d.ctx)
	if err != nil {
		return d.failed(err)
	}
	t, err := newTransport(&watched{conn, d.watch})
	if err != nil {
		conn.Close()
		return d.failed(err)
	}
	*out = t.give()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		t.letGo()
		return 0
	}
	d.opened = append(d.opened, conn)
	if d.gaveUp {
		// The function did not look at its context, or was just done.
		hangUp(conn)
	}
	return 0
}

func (d *dialer) failed(err error) C.int32_t {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
	return C.int32_t(errnoOf(err))
}

// giveUp ends what waits for the first answer.
func (d *dialer) giveUp() {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gaveUp = true
	for _, conn := range d.opened {
		hangUp(conn)
	}
}

// connected says that the first connection was made or will not be, and with what dialling failed.
func (d *dialer) connected() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	for _, conn := range d.opened {
		(&transport{conn: conn}).letGo()
	}
	d.opened = nil
	return d.err
}

// transport is a connection on its way to the library.
type transport struct {
	ptr  *C.zfsvol_transport
	conn io.ReadWriteCloser
}

// newTransport makes a transport of a connection: of a socket by its descriptor, of which the library has a duplicate then, and of anything else by callbacks.
func newTransport(conn io.ReadWriteCloser) (*transport, error) {
	var (
		reader  C.zfsvol_reader
		writer  C.zfsvol_writer
		options C.zfsvol_transport_options
		watch   func(Frame) Pass
	)
	options.size = C.size_t(unsafe.Sizeof(options))
	if w, is := conn.(*watched); is {
		conn, watch = w.ReadWriteCloser, w.watch
	}
	t := &transport{conn: conn}
	if isSocket(conn) {
		if raw, is := descriptor(conn); is {
			var failed error
			err := done(func(e *cError) (status cStatus) {
				status, failed = withDescriptor(raw, func(fd C.int32_t) cStatus {
					hooks{watch: watch}.lend(&options)
					return C.zfsvol_transport_from_fds(fd, fd, &options, &t.ptr, e)
				})
				if failed != nil {
					status = C.ZFSVOL_STATUS_DISCONNECTED
				}
				return status
			})
			return t, because(err, failed)
		}
	}
	reader.context, reader.read, reader.release = lendGo(io.Reader(conn)), (*[0]byte)(C.zfsvolGoRead), (*[0]byte)(C.zfsvolGoRelease)
	writer.context, writer.write, writer.release = lendGo(io.Writer(conn)), (*[0]byte)(C.zfsvolGoWrite), (*[0]byte)(C.zfsvolGoRelease)
	hooks{conn, watch}.lend(&options)
	err := done(func(e *cError) cStatus {
		return C.zfsvol_transport_from_callbacks(&reader, &writer, &options, &t.ptr, e)
	})
	return t, err
}

// give gives the transport away.
func (t *transport) give() *C.zfsvol_transport {
	ptr := t.ptr
	t.ptr = nil
	return ptr
}

// free frees the transport, and lets go of the connection.
func (t *transport) free() {
	C.zfsvol_transport_free(t.ptr)
	t.letGo()
}

// letGo closes the descriptor of a socket, of which the library has one of its own. Other connections are closed by the library.
func (t *transport) letGo() {
	if isSocket(t.conn) {
		t.conn.Close()
	}
}

func isSocket(conn any) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// hangUp ends reads and writes of a connection that wait: of a socket also those with the library's descriptor.
func hangUp(conn io.ReadWriteCloser) {
	if isSocket(conn) {
		if raw, is := descriptor(conn); is {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
		}
		return
	}
	conn.Close()
}
