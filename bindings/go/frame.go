package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import "io"

// Direction says which way a frame goes.
type Direction uint32

const (
	DirectionSent     Direction = C.ZFSVOL_DIRECTION_SENT     // from this side to the other
	DirectionReceived Direction = C.ZFSVOL_DIRECTION_RECEIVED // from the other side to this one
)

// Pass says what becomes of a frame.
type Pass uint32

const (
	PassGo       Pass = C.ZFSVOL_PASS_GO        // it goes on its way
	PassCut      Pass = C.ZFSVOL_PASS_CUT       // it is lost, and the connection with it
	PassCutAfter Pass = C.ZFSVOL_PASS_CUT_AFTER // it goes on its way, and then the connection is lost
)

// Frame is what nodes send each other over a connection: docs/peer-protocol.md.
type Frame struct {
	Direction Direction
	// The number of its kind in the peer protocol.
	Kind uint32
	// The request it is about; 0 for the connection.
	Request uint32
	// How many bytes its body has.
	BodyBytes uint64
}

// WatchFrames is the connection, for [Node.PeerOver] or [Node.Serve], with a function that is called for every frame but those that only say that one is
// there: before it is sent, and when it has come. One at a time. To trace a connection, or to see what becomes of it when it is cut there. If the function
// panics, the connection is cut. Of the connections that [Node.Dial] makes, [PeerOptions] has such a function.
func WatchFrames(conn io.ReadWriteCloser, watch func(Frame) Pass) io.ReadWriteCloser {
	return &watched{conn, watch}
}

// watched is a connection whose frames are seen.
type watched struct {
	io.ReadWriteCloser
	watch func(Frame) Pass
}

// hooks are what the library calls for a connection.
type hooks struct {
	// What is to be hung up; nil where the library does that.
	conn  io.ReadWriteCloser
	watch func(Frame) Pass
}

// lend gives the library what it calls, if it is anything: the context is released by it then, whatever becomes of the call.
func (h hooks) lend(options *C.zfsvol_transport_options) {
	if h.conn == nil && h.watch == nil {
		return
	}
	options.context, options.release = lendGo(h), (*[0]byte)(C.zfsvolGoRelease)
	if h.conn != nil {
		options.close = (*[0]byte)(C.zfsvolGoClose)
	}
	if h.watch != nil {
		options.on_frame = (*[0]byte)(C.zfsvolGoFrame)
	}
}
