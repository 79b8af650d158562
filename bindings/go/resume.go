package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"os"
)

// ResumePoint is where an interrupted stream is to go on.
type ResumePoint struct {
	// The object to go on with, and where in it, in bytes.
	Object, Offset uint64
	// How much of the stream was received, for estimates.
	Bytes uint64
}

// ResumeToken is what a resume token says: see [Dataset.ReceiveToken].
type ResumeToken struct {
	// The snapshot that was being sent, by the name it had on the sending side then, and its GUID.
	ToName string
	ToGUID uint64
	// The GUID of the snapshot or bookmark that an increment starts from; 0 of a full stream.
	FromGUID uint64
	// What the stream could have in it: the rest must have the same.
	Flags SendFlags
	ResumePoint
	// Of a redacted stream: the GUIDs of the snapshots that it was redacted by, and of those by which what it starts from was. Nil of any other.
	RedactSnapshots, FromRedactSnapshots []uint64
}

// DecodeToken says what a resume token says. Asks no kernel. Fails with [ErrInvalid] for what is no token.
func DecodeToken(token string) (ResumeToken, error) {
	list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_token_decode(lend(token), out, e) })
	redact, _ := list["redact_snapshots"].([]uint64)
	from, _ := list["from_redact_snapshots"].([]uint64)
	return ResumeToken{
		RedactSnapshots: redact, FromRedactSnapshots: from,
		ToName: list.text("to_name"), ToGUID: list.number("to_guid"), FromGUID: list.number("from_guid"), Flags: SendFlags(list.number("flags")),
		ResumePoint: ResumePoint{Object: list.number("object"), Offset: list.number("offset"), Bytes: list.number("bytes")},
	}, err
}

// SendResumed sends the rest of what a resume token stands for. The snapshot is looked for by its GUID, in the dataset within or, if that is empty, in that
// of the token's name.
//
// Fails as [Snapshot.Send], and with [ErrInvalid] for what is no token.
func (z *Zfs) SendResumed(ctx context.Context, token, within string) (*Stream, error) {
	return z.withSendOptions(ctx, SendOptions{}, func(zfs *C.zfsvol_zfs, _ *C.zfsvol_send_options, out **C.zfsvol_send, e *cError) cStatus {
		return C.zfsvol_send_start_resumed(zfs, lend(token), lendAny(within), out, e)
	})
}

// ResumeOptions is what [Zfs.SendResumed] would send, and how: for a look at it, and for [Snapshot.SendSpace]. Fails as that.
func (z *Zfs) ResumeOptions(token, within string) (snapshot Snapshot, options SendOptions, err error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_send_resume_options(zfs, lend(token), lendAny(within), out, e)
	})
	if err != nil {
		return Snapshot{}, SendOptions{}, err
	}
	return z.Snapshot(list.text("snapshot")), SendOptions{
		Base: list.text("base"), Flags: SendFlags(list.number("flags")),
		Resume: &ResumePoint{Object: list.number("resume_object"), Offset: list.number("resume_offset"), Bytes: list.number("resume_bytes")},
	}, nil
}

// SendProgress says how far a send of the snapshot is that something else in this process, and not this package, runs to a file: so many bytes, and so many
// blocks. Issues ZFS_IOC_SEND_PROGRESS. A [Stream] says it by [Stream.Bytes].
//
// Fails with [ErrNotFound] when there is no such send, or it is over.
func (s Snapshot) SendProgress(file *os.File) (bytes, blocks uint64, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var failed error
	list, err := s.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) (status cStatus) {
		status, failed = withDescriptor(raw, func(fd C.int32_t) cStatus { return C.zfsvol_send_progress(zfs, lend(s.name), fd, out, e) })
		if failed != nil {
			status = C.ZFSVOL_STATUS_IO
		}
		return status
	})
	return list.number("bytes"), list.number("blocks"), because(err, failed)
}
