package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"iter"
)

// Record is a record of a stream. What it says is vouched for by the checksum of the one after it.
type Record struct {
	// Its number, and where it begins, in bytes.
	Index, Offset uint64
	// Where it is: "package_head", "stream" or "package_end".
	Part string
	// "BEGIN", "OBJECT", "WRITE" and so on.
	Kind string
	// As "zstream dump" prints it.
	Text string
	// The object that it is about; 0 where it is about none.
	Object uint64
	// What it says, each field by its name.
	Fields List
	// How many bytes follow it, and these if they were asked for. Behind a BEGIN, if any, they are a list, for [UnpackList].
	PayloadBytes uint64
	Payload      []byte
	// The stream has the most significant byte of numbers first.
	BigEndian bool
	// The record as it is in the stream, if payloads were asked for: what of it is no field stays as it is when it is written again. Nil of a new record.
	Header []byte
}

// StreamRecords reads a stream record by record, and verifies it on the way; with payloads, records come with the bytes that follow them. A failure is the last
// of the sequence: without one, the stream was sound. When the context ends, a Read that waits is ended as [CopyStream] says.
//
// Fails as [VerifyStream].
func StreamRecords(ctx context.Context, r io.Reader, payloads bool) iter.Seq2[Record, error] {
	return streamRecords(ctx, r, payloads, func(*C.zfsvol_records, *cError) cStatus { return C.ZFSVOL_STATUS_OK })
}

// StreamRecordsToEnd is [StreamRecords] for a stream that something else follows: it reads as far as the stream goes, and leaves the rest in r.
func StreamRecordsToEnd(ctx context.Context, r io.Reader, payloads bool) iter.Seq2[Record, error] {
	return streamRecords(ctx, r, payloads, func(records *C.zfsvol_records, e *cError) cStatus { return C.zfsvol_records_stop_at_end(records, e) })
}

func streamRecords(ctx context.Context, r io.Reader, payloads bool, prepare func(records *C.zfsvol_records, e *cError) cStatus) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := begin(ctx); err != nil {
			yield(Record{}, err)
			return
		}
		in := &source{ctx: ctx, r: r}
		reader := in.lend()
		var records *C.zfsvol_records
		if err := done(func(e *cError) cStatus { return C.zfsvol_records_open(&reader, &records, e) }); err != nil {
			yield(Record{}, err)
			return
		}
		defer C.zfsvol_records_free(records)
		if err := done(func(e *cError) cStatus { return prepare(records, e) }); err != nil {
			yield(Record{}, err)
			return
		}
		for {
			var list List
			err := awake(ctx, []end{in}, func() (err error) {
				list, err = answer(func(out *cList, e *cError) cStatus { return C.zfsvol_records_next(records, C.bool(payloads), out, e) })
				return err
			})
			if err != nil {
				yield(Record{}, err)
				return
			}
			if list == nil || !yield(recordOf(list), nil) {
				return
			}
		}
	}
}

func recordOf(list List) Record {
	payload, _ := list["payload"].([]byte)
	header, _ := list["header"].([]byte)
	return Record{
		Index: list.number("index"), Offset: list.number("offset"), Part: list.text("part"), Kind: list.text("kind"), Text: list.text("text"),
		Object: list.number("object"), Fields: list.list("fields"), PayloadBytes: list.number("payload_bytes"), Payload: payload,
		BigEndian: list.truth("big_endian"), Header: header,
	}
}
