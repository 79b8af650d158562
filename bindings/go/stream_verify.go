package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"time"
	"unsafe"
)

// StreamSummary says what a stream consists of, or has so far.
type StreamSummary struct {
	// Of a package, what begins it; nil for a stream by itself.
	Package *StreamBegin
	// What begins the first and the last stream; nil as long as none has begun.
	First, Last *StreamBegin
	// How many streams have begun, and how many bytes have come.
	Streams, Bytes uint64
	// By the kind of record: "BEGIN", "OBJECT", "WRITE" and so on.
	Counts map[string]RecordCount
	// The sending machine has the most significant byte first.
	BigEndian bool
}

// StreamBegin is what a stream, or a package, begins with. All of it comes from the sender.
type StreamBegin struct {
	// The name of the snapshot on the sending side: a hint, and nothing to be used as a path.
	ToName string
	// The GUID of the snapshot; 0 of a package.
	ToGUID uint64
	// The GUID of the snapshot or bookmark it starts from; 0 for a full stream.
	FromGUID uint64
	// When the snapshot was made.
	Created time.Time
	// It is of a zvol, and not of a file system.
	Zvol bool
	// All of it.
	Details List
}

// RecordCount counts the records of a kind, and the bytes that follow them.
type RecordCount struct {
	Records, PayloadBytes uint64
}

// objsetZvol is DMU_OST_ZVOL, the type of what is in a zvol.
const objsetZvol = 3

// VerifyStream reads a stream to its end, and says what it consists of and whether it is sound: every checksum is right, all records are there and in order,
// and nothing follows. When the context ends, a Read that waits is ended as [CopyStream] says.
//
// Fails with [ErrStreamDamaged], [ErrStreamTruncated], [ErrCancelled], and with what reading fails with.
func VerifyStream(ctx context.Context, r io.Reader) (*StreamSummary, error) {
	verifier, err := NewVerifier()
	if err != nil {
		return nil, err
	}
	defer verifier.Close()
	in := &source{ctx: ctx, r: r}
	err = moving(ctx, func() error {
		_, err := io.CopyBuffer(struct{ io.Writer }{verifier}, struct{ io.Reader }{in}, make([]byte, streamBytes))
		return err
	}, in)
	if err != nil {
		return nil, err
	}
	return verifier.Finish()
}

// Verifier verifies a stream on its way: it is an [io.Writer], for [io.TeeReader] and [io.MultiWriter]. By one goroutine at a time.
//
//	verifier, err := zfsvol.NewVerifier()
//	...
//	defer verifier.Close()
//	if _, err := io.Copy(backup, io.TeeReader(stream, verifier)); err != nil {
//		return err
//	}
//	summary, err := verifier.Finish()
type Verifier struct{ h *handle }

// NewVerifier is a verifier that has seen nothing yet.
func NewVerifier() (*Verifier, error) {
	var out *C.zfsvol_verifier
	if err := done(func(e *cError) cStatus { return C.zfsvol_verifier_new(&out, e) }); err != nil {
		return nil, err
	}
	v := &Verifier{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_verifier_free((*C.zfsvol_verifier)(p)) }, nil)}
	return caught(v, v.h), nil
}

// Write is given the next part of the stream, cut anywhere. Fails with [ErrStreamDamaged] at the first thing that is wrong, [ErrConsumed].
func (v *Verifier) Write(p []byte) (int, error) {
	err := v.use(func(verifier *C.zfsvol_verifier) error {
		return done(func(e *cError) cStatus {
			ptr, n := bytesOf(p)
			return C.zfsvol_verifier_feed(verifier, ptr, n, e)
		})
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Progress says what has come so far. Fails with [ErrConsumed].
func (v *Verifier) Progress() (*StreamSummary, error) {
	return v.summary(func(verifier *C.zfsvol_verifier, out *cList, e *cError) cStatus {
		return C.zfsvol_verifier_progress(verifier, out, e)
	})
}

// Finish says that the stream is over, and what it consists of. Uses the verifier up. Fails with [ErrStreamDamaged], [ErrStreamTruncated], [ErrConsumed].
func (v *Verifier) Finish() (*StreamSummary, error) {
	return v.summary(func(verifier *C.zfsvol_verifier, out *cList, e *cError) cStatus {
		return C.zfsvol_verifier_finish(verifier, out, e)
	})
}

// Close frees the verifier, and does nothing if it is closed.
func (v *Verifier) Close() error {
	v.h.close()
	return nil
}

func (v *Verifier) summary(call func(verifier *C.zfsvol_verifier, out *cList, e *cError) cStatus) (summary *StreamSummary, err error) {
	err = v.use(func(verifier *C.zfsvol_verifier) error {
		list, err := answer(func(out *cList, e *cError) cStatus { return call(verifier, out, e) })
		if err == nil {
			summary = summaryOf(list)
		}
		return err
	})
	return summary, err
}

func (v *Verifier) use(f func(verifier *C.zfsvol_verifier) error) error {
	p, err := v.h.use()
	if err != nil {
		return err
	}
	defer v.h.done()
	return f((*C.zfsvol_verifier)(p))
}

func summaryOf(list List) *StreamSummary {
	summary := &StreamSummary{
		BigEndian: list.truth("big_endian"), Streams: list.number("streams"), Bytes: list.number("bytes"),
		Package: beginOf(list.list("package")), First: beginOf(list.list("first")), Last: beginOf(list.list("last")),
		Counts: map[string]RecordCount{},
	}
	counts := list.list("counts")
	for kind := range counts {
		count := counts.list(kind)
		summary.Counts[kind] = RecordCount{Records: count.number("records"), PayloadBytes: count.number("payload_bytes")}
	}
	return summary
}

// beginOf is what a begin record says; nil of none.
func beginOf(list List) *StreamBegin {
	if list == nil {
		return nil
	}
	return &StreamBegin{
		ToName: list.text("to_name"), ToGUID: list.number("to_guid"), FromGUID: list.number("from_guid"),
		Created: when(int64(list.number("creation_time"))), Zvol: list.number("objset_type") == objsetZvol, Details: list,
	}
}
