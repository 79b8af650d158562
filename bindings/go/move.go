package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"sync"
	"unsafe"
)

// Bandwidth is a limit on how fast streams are sent, shared by all pushes that are given it.
type Bandwidth struct{ h *handle }

// NewBandwidth is a limit of so many bytes a second.
func NewBandwidth(bytesPerSecond uint64) (*Bandwidth, error) {
	var out *C.zfsvol_bandwidth
	if err := done(func(e *cError) cStatus { return C.zfsvol_bandwidth_new(C.uint64_t(bytesPerSecond), &out, e) }); err != nil {
		return nil, err
	}
	b := &Bandwidth{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_bandwidth_free((*C.zfsvol_bandwidth)(p)) }, nil)}
	return caught(b, b.h), nil
}

// Close frees the limit; pushes that have it keep to it. Does nothing if it is closed.
func (b *Bandwidth) Close() error {
	b.h.close()
	return nil
}

// PushOptions say how to push. The zero value is as fast as it goes.
type PushOptions struct {
	// No faster than this.
	Bandwidth *Bandwidth
	// Called every [ProgressEvery] while it runs, in the goroutine that called.
	Progress func(Progress)
}

// Pushed says what was sent.
type Pushed struct {
	// The GUID of the snapshot that the peer has now.
	Snapshot uint64
	// The snapshots that were sent.
	Sent []string
	// Of streams.
	Bytes uint64
}

// Push brings a peer's copy of the volume up to date: sends what is missing there. The volume can be in use.
//
// Fails with [ErrNotFound], [ErrNotOwner] (here, or the peer has seen a higher epoch), [ErrDestinationModified], [ErrDisconnected], [ErrCancelled] when the
// context ends, and as sends and receives do. What came through before is not sent again by the next push.
func (v Volume) Push(ctx context.Context, peer *Peer, options PushOptions) (*Pushed, error) {
	return v.move(ctx, peer, options, func(node *C.zfsvol_node, peer *C.zfsvol_peer, o *C.zfsvol_push_options, out **C.zfsvol_transfer, e *cError) cStatus {
		return C.zfsvol_volume_push(node, lend(v.name), peer, o, out, e)
	})
}

// Handoff hands the volume over to a peer: pushes, stops writing, pushes the rest, and has the peer own it. There is no moment with two owners; should this
// process or the connection die on the way, or the context end, [Volume.Recover] says who owns the volume.
//
// Fails as [Volume.Push], and with [ErrBusy]: it is mounted, and in use.
func (v Volume) Handoff(ctx context.Context, peer *Peer, options PushOptions) (*Pushed, error) {
	return v.move(ctx, peer, options, func(node *C.zfsvol_node, peer *C.zfsvol_peer, o *C.zfsvol_push_options, out **C.zfsvol_transfer, e *cError) cStatus {
		return C.zfsvol_volume_handoff(node, lend(v.name), peer, o, out, e)
	})
}

// Ownership says who owns a volume.
type Ownership struct {
	// The UUID of the volume, and of its owner.
	ID, Owner string
	// How often the owner changed.
	Epoch uint64
	// As in [VolumeInfo].
	State string
}

// Takeover takes a replica over, because whoever calls this knows that its owner is gone.
//
// Fails with [ErrNotFound], [ErrInvalid] (this node owns it), [ErrStreamTruncated] (its first push never came to its end), [ErrInProgress] (it is being received), and as making
// bookmarks and setting properties do.
func (v Volume) Takeover() (Ownership, error) {
	list, err := v.node.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volume_takeover(node, lend(v.name), out, e)
	})
	return Ownership{list.text("id"), list.text("owner"), list.number("epoch"), list.text("state")}, err
}

// Outcome says what there was to put right.
type Outcome string

const (
	OutcomeNothing    Outcome = "nothing"     // nothing had to be done
	OutcomeHandedOver Outcome = "handed_over" // the peer owns it: the handoff was finished
	OutcomeTakenBack  Outcome = "taken_back"  // this node owns it: the handoff was undone
	OutcomeSuperseded Outcome = "superseded"  // somebody took it over meanwhile
)

// Recovered says what was put right.
type Recovered struct {
	Outcome Outcome
	// The name of the volume under which was kept what this node alone had; empty if there was nothing.
	SetAside string
}

// Recover puts the volume right after something died: asks the peer who owns it, and finishes or undoes. It ends when the context does while it waits for
// the peer; once that has answered, what follows is done to its end.
//
// Fails with [ErrNotFound]; [ErrInvalid] (it is being handed over to another peer); [ErrBusy] (another node has taken it over, and it is mounted here and in
// use); [ErrCancelled] when the context ends; and with what asking the peer fails with. The volume is then as it was, or as another recovery finds it.
func (v Volume) Recover(ctx context.Context, peer *Peer) (Recovered, error) {
	list, err := v.run(ctx, peer, nil, func(node *C.zfsvol_node, peer *C.zfsvol_peer, out **C.zfsvol_transfer, e *cError) cStatus {
		return C.zfsvol_volume_recover_start(node, lend(v.name), peer, out, e)
	})
	return Recovered{Outcome(list.text("outcome")), list.text("set_aside")}, err
}

type cMove = func(node *C.zfsvol_node, peer *C.zfsvol_peer, o *C.zfsvol_push_options, out **C.zfsvol_transfer, e *cError) cStatus

type cAsk = func(node *C.zfsvol_node, peer *C.zfsvol_peer, out **C.zfsvol_transfer, e *cError) cStatus

func (v Volume) move(ctx context.Context, peer *Peer, options PushOptions, start cMove) (*Pushed, error) {
	var o C.zfsvol_push_options
	o.size = C.size_t(unsafe.Sizeof(o))
	if options.Bandwidth != nil {
		limit, err := options.Bandwidth.h.use()
		if err != nil {
			return nil, err
		}
		defer options.Bandwidth.h.done()
		o.bandwidth = (*C.zfsvol_bandwidth)(limit)
	}
	list, err := v.run(ctx, peer, options.Progress, func(node *C.zfsvol_node, peer *C.zfsvol_peer, out **C.zfsvol_transfer, e *cError) cStatus {
		return start(node, peer, &o, out, e)
	})
	if err != nil {
		return nil, err
	}
	return &Pushed{Snapshot: list.number("snapshot"), Sent: list.texts("sent"), Bytes: list.number("bytes")}, nil
}

// run starts a transfer that asks a peer, and waits for its end. As of the node: only the start is a call of the peer.
func (v Volume) run(ctx context.Context, peer *Peer, watch func(Progress), start cAsk) (List, error) {
	p, err := peer.h.use()
	if err != nil {
		return nil, err
	}
	letGo := sync.OnceFunc(peer.h.done)
	defer letGo()
	return v.node.run(ctx, watch, func(node *C.zfsvol_node, out **C.zfsvol_transfer, e *cError) cStatus {
		defer letGo()
		return start(node, (*C.zfsvol_peer)(p), out, e)
	})
}
