package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"unsafe"
)

// ByteOrder says which byte of a number comes first.
type ByteOrder uint32

const (
	ByteOrderHost   ByteOrder = C.ZFSVOL_BYTE_ORDER_HOST   // as this machine has it
	ByteOrderLittle ByteOrder = C.ZFSVOL_BYTE_ORDER_LITTLE // the least significant
	ByteOrderBig    ByteOrder = C.ZFSVOL_BYTE_ORDER_BIG    // the most significant
)

// StreamWriter writes a stream or a package record by record: those of another stream, changed or not, and new ones. The checksums are filled in, whatever those
// of the records say. By one goroutine at a time.
//
// A stream is a BEGIN, what it consists of, and an END; a package is a BEGIN, an END, streams, and an END. What a record means together with others is not
// looked at.
type StreamWriter struct {
	eater
	out *sink
}

// NewStreamWriter writes to what is given, with numbers in that order; where the first record is one that was read, in the order of that. Small pieces are
// written as they come: [bufio.Writer] joins them, and is flushed after [StreamWriter.Finish].
func NewStreamWriter(to io.Writer, order ByteOrder) (*StreamWriter, error) {
	w := &StreamWriter{out: &sink{w: to}}
	writer := w.out.lend()
	var out *C.zfsvol_stream_writer
	if err := done(func(e *cError) cStatus {
		return C.zfsvol_stream_writer_open(&writer, C.zfsvol_byte_order(order), &out, e)
	}); err != nil {
		return nil, err
	}
	w.eater = newEater(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_stream_writer_free((*C.zfsvol_stream_writer)(p)) })
	w.out.ctx = w.ctx
	return caught(w, w.h), nil
}

// NewRecord is a record of that kind, to be filled in and written: "BEGIN", "OBJECT", "FREEOBJECTS", "WRITE" and so on. It has all fields of the kind, which are
// zero or empty but for the "magic" of a BEGIN. Its "version_info" is 1 for a stream and 2 for a package, and its features times 4: [NumbersOfStreams].
//
// Fails with [ErrInvalid] for a kind that there is not.
func NewRecord(kind string) (Record, error) {
	list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_stream_record_new(lend(kind), out, e) })
	if err != nil {
		return Record{}, err
	}
	return recordOf(list), nil
}

// StreamNumbers are the numbers in records that have a name, by that. Those of features, types and compressions are OpenZFS's own.
type StreamNumbers struct {
	// What is in the "version_info" of a BEGIN, times 4, and in its "flags".
	Features, BeginFlags map[string]uint64
	// What "object_type" and "compression" can be.
	ObjectTypes, Compressions map[string]uint64
}

// NumbersOfStreams are the numbers that records are written with.
func NumbersOfStreams() (StreamNumbers, error) {
	list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_stream_numbers(out, e) })
	named := func(name string) map[string]uint64 {
		numbers := map[string]uint64{}
		for word := range list.list(name) {
			numbers[word] = list.list(name).number(word)
		}
		return numbers
	}
	return StreamNumbers{Features: named("features"), BeginFlags: named("begin_flags"), ObjectTypes: named("object_types"), Compressions: named("compressions")}, err
}

// WriteRecord writes the next record: its Fields, which are all fields of its kind and no others, and its Payload, which is as long as they say. Numbers can have
// any type that they fit in. With the Header of a record that was read with payloads, bytes that are no field stay as they were, so that a record that was not
// changed is written byte for byte as it was. All else in a Record is passed over.
//
// A record that is refused leaves no trace, and another can be written in its place. Once the writer has failed, or the context has ended while it waited,
// nothing more can be written.
//
// Fails with [ErrInvalid] for a record that is not due here, lacks a field, has one too much or of the wrong type, or whose payload has another length;
// [ErrConsumed], [ErrCancelled], and with what writing fails with.
func (w *StreamWriter) WriteRecord(ctx context.Context, record Record) error {
	list := List{"fields": record.Fields}
	if record.Header != nil {
		list["header"], list["big_endian"] = record.Header, record.BigEndian
	}
	made, err := encode(list)
	if err != nil {
		return err
	}
	defer freeList(made)
	return w.until(ctx, func(ctx context.Context, ptr unsafe.Pointer) error {
		return moving(ctx, func() error {
			return done(func(e *cError) cStatus {
				payload, n := bytesOf(record.Payload)
				return C.zfsvol_stream_writer_write((*C.zfsvol_stream_writer)(ptr), made, payload, n, e)
			})
		}, w.out)
	})
}

// Finish says that all has been written, and whether it is a whole stream. Uses the writer up, and does not close what it writes to.
//
// Fails with [ErrInvalid] when the last END is missing, [ErrConsumed].
func (w *StreamWriter) Finish() error {
	return w.done(func(ptr unsafe.Pointer, e *cError) cStatus {
		return C.zfsvol_stream_writer_finish((*C.zfsvol_stream_writer)(ptr), e)
	})
}

// Close frees the writer, at the end of the stream or before, and does nothing if it is closed. It does not close what it writes to.
func (w *StreamWriter) Close() error {
	w.h.close()
	return nil
}
