package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"context"
	"io"
	"sync"
	"unsafe"
)

// CopyStream copies a stream, verifies it on the way, and says what it consists of.
//
// What this and the other functions that make streams of streams read and write can be anything. When the context ends first, a Read or Write that waits is
// ended by a deadline in the past, of what takes deadlines (sockets, pipes), or else by Close, of what has that: half a stream is of no use. Any other must return by itself.
//
// Fails with [ErrStreamDamaged], [ErrStreamTruncated], [ErrCancelled], and with what reading or writing fails with.
func CopyStream(ctx context.Context, to io.Writer, from io.Reader) (*StreamSummary, error) {
	var list List
	err := rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) (status cStatus) {
		var out cList
		if status = C.zfsvol_stream_copy(reader, writer, &out, e); status == C.ZFSVOL_STATUS_OK {
			list = decode(out)
			freeList(out)
		}
		return status
	})
	if err != nil {
		return nil, err
	}
	return summaryOf(list), nil
}

// DecompressStream copies a stream with its blocks as they are uncompressed. Fails as [CopyStream].
func DecompressStream(ctx context.Context, to io.Writer, from io.Reader) error {
	return rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus {
		return C.zfsvol_stream_decompress(reader, writer, e)
	})
}

// RecompressStream copies a stream with its blocks compressed by that algorithm: "lz4", "zle", "gzip-6" and so on. Fails as [CopyStream], and with
// [ErrInvalid] for an algorithm that there is not.
func RecompressStream(ctx context.Context, to io.Writer, from io.Reader, compression string) error {
	return rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus {
		return C.zfsvol_stream_recompress(reader, writer, lend(compression), e)
	})
}

// CutStream makes of a stream the rest that a resumed send would send: what finishes a receive that has got as far as that object and the offset in it, which a
// resume token names; see [DecodeToken]. Fails as [CopyStream], and with [ErrInvalid] for a package.
func CutStream(ctx context.Context, to io.Writer, from io.Reader, object, offset uint64) error {
	return rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus {
		return C.zfsvol_stream_cut(reader, writer, C.uint64_t(object), C.uint64_t(offset), e)
	})
}

// DropRecords copies a stream without the blocks that begin at that offset of the object, and says how many these were. It changes what is received: this is
// for repairs. Fails as [CopyStream].
func DropRecords(ctx context.Context, to io.Writer, from io.Reader, object, offset uint64) (dropped uint64, err error) {
	var n C.uint64_t
	err = rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus {
		return C.zfsvol_stream_drop_record(reader, writer, C.uint64_t(object), C.uint64_t(offset), &n, e)
	})
	return uint64(n), err
}

// FilterStream copies a stream without the records that keep refuses, which are given to it without payload; what begins and ends the stream stays. It changes what
// is received: this is for repairs. Fails as [CopyStream].
func FilterStream(ctx context.Context, to io.Writer, from io.Reader, keep func(Record) bool) error {
	f := &filter{keep: keep}
	context := lendGo(f)
	defer zfsvolGoRelease(context)
	err := rewrite(ctx, to, from, func(reader *C.zfsvol_reader, writer *C.zfsvol_writer, e *cError) cStatus {
		return C.zfsvol_stream_filter(reader, writer, (*[0]byte)(C.zfsvolGoKeep), context, e)
	})
	if err == nil {
		return f.err
	}
	return err
}

// SplitStream takes a package apart: open is called for each stream, and says where that one is to go, which is closed when it is over. A stream by itself is
// copied. Package is what the package says of its streams, for [JoinStreams]; nil if it says nothing.
//
// Fails as [CopyStream], and with what open and Close fail with. Each that was opened is closed in any case.
func SplitStream(ctx context.Context, from io.Reader, open func(StreamBegin) (io.WriteCloser, error)) (pack List, err error) {
	s := &splitter{ctx: ctx, open: open}
	context := lendGo(s)
	defer zfsvolGoRelease(context)
	in := &source{ctx: ctx, r: from}
	err = moving(ctx, func() (err error) {
		reader := in.lend()
		pack, err = answer(func(out *cList, e *cError) cStatus {
			return C.zfsvol_stream_split(&reader, (*[0]byte)(C.zfsvolGoOpen), context, out, e)
		})
		if closed := s.close(); err == nil {
			err = closed
		}
		return err
	}, in, s)
	if err != nil {
		return nil, err
	}
	return pack, nil
}

// JoinStreams puts streams together into one package, which "zfs receive" takes in one go, in the order in which they are to be received. Name is the snapshot that
// the package is of. Increments of one dataset need no more, and pack is nil; else it is one of [SplitStream].
//
// Fails as [CopyStream]; with [ErrInvalid] when one of them is a package itself, the name is too long or pack is none.
func JoinStreams(ctx context.Context, to io.Writer, name string, pack List, from ...io.Reader) error {
	var a arena
	defer a.free()
	said, err := a.list(pack)
	if err != nil {
		return err
	}
	out := &sink{ctx: ctx, w: to}
	ends := []end{out}
	var sources []*source
	for _, r := range from {
		one := &source{ctx: ctx, r: r}
		sources, ends = append(sources, one), append(ends, one)
	}
	return moving(ctx, func() error {
		readers, writer := (*C.zfsvol_reader)(a.alloc(len(sources), unsafe.Sizeof(C.zfsvol_reader{}))), out.lend()
		for i, one := range sources {
			unsafe.Slice(readers, len(sources))[i] = one.lend()
		}
		return done(func(e *cError) cStatus {
			return C.zfsvol_stream_join(readers, C.size_t(len(sources)), lend(name), said, &writer, e)
		})
	}, ends...)
}

// filter is what C asks about records.
type filter struct {
	keep func(Record) bool
	// What it panicked with first.
	err error
}

func (f *filter) keeps(record cList) (kept bool) {
	if f.err != nil {
		return true
	}
	defer func() {
		if v := recover(); v != nil {
			f.err = errPanic(v)
		}
	}()
	return f.keep(recordOf(decode(record)))
}

// splitter has the streams of a package go somewhere, one after the other.
type splitter struct {
	ctx  context.Context
	open func(StreamBegin) (io.WriteCloser, error)
	// What is written now, which is closed when the next begins.
	file io.WriteCloser
	// What to open or to close failed with first.
	err error

	mu sync.Mutex
	// What was written to last.
	to *sink
}

func (s *splitter) next(begin cList) (to *sink, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errPanic(v)
		}
		if s.err == nil {
			s.err = err
		}
	}()
	if err := s.close(); err != nil {
		return nil, err
	}
	file, err := s.open(*beginOf(decode(begin)))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.to = file, &sink{ctx: s.ctx, w: file}
	return s.to, nil
}

// close closes the one that is written.
func (s *splitter) close() error {
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return file.Close()
}

func (s *splitter) wake() {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	if to != nil {
		to.wake()
	}
}

func (s *splitter) failed() error {
	if s.err == nil && s.to != nil {
		return s.to.failed()
	}
	return s.err
}
