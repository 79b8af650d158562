package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// Kind says what became of a call, and so what the caller can do about it. Kinds are errors themselves, to be found by [errors.Is]:
//
//	if errors.Is(err, zfsvol.ErrBusy) { ... }
//
// A newer library may have kinds that are not here: take those for [ErrOther].
type Kind uint32

// The kinds of failure. Numbers and meanings are those of zfsvol.h.
const (
	// The caller gave something that cannot be: correct it.

	ErrInvalidName     Kind = C.ZFSVOL_STATUS_INVALID_NAME     // a name breaks the rules of names
	ErrInvalid         Kind = C.ZFSVOL_STATUS_INVALID          // an argument, or the combination of them, is not one the kernel takes
	ErrInvalidProperty Kind = C.ZFSVOL_STATUS_INVALID_PROPERTY // a property does not exist, or cannot be set there or to that
	ErrWrongType       Kind = C.ZFSVOL_STATUS_WRONG_TYPE       // it is a file system where a zvol is needed, a dataset where a snapshot is

	// What is there is not what the call needs.

	ErrNotFound  Kind = C.ZFSVOL_STATUS_NOT_FOUND // it is not there; also fs.ErrNotExist
	ErrExists    Kind = C.ZFSVOL_STATUS_EXISTS    // it is there already; also fs.ErrExist
	ErrUnrelated Kind = C.ZFSVOL_STATUS_UNRELATED // the two are of other pools, or not an ancestor

	// Something is in the way: wait for it, or end it.

	ErrBusy          Kind = C.ZFSVOL_STATUS_BUSY           // held, cloned, mounted or open: see Error.Busy
	ErrInProgress    Kind = C.ZFSVOL_STATUS_IN_PROGRESS    // the same runs already
	ErrResumePending Kind = C.ZFSVOL_STATUS_RESUME_PENDING // an interrupted receive is to be resumed or aborted first

	// The caller may not.

	ErrDenied       Kind = C.ZFSVOL_STATUS_DENIED         // no privilege; also fs.ErrPermission
	ErrReadOnly     Kind = C.ZFSVOL_STATUS_READ_ONLY      // it can only be read
	ErrKeyNotLoaded Kind = C.ZFSVOL_STATUS_KEY_NOT_LOADED // it is encrypted, and its key is not loaded
	ErrWrongKey     Kind = C.ZFSVOL_STATUS_WRONG_KEY      // that key does not open it
	ErrNotOwner     Kind = C.ZFSVOL_STATUS_NOT_OWNER      // it belongs to another node: ask that
	ErrNotPermitted Kind = C.ZFSVOL_STATUS_NOT_PERMITTED  // the peer's policy refuses; also fs.ErrPermission

	// There is not enough.

	ErrNoSpace       Kind = C.ZFSVOL_STATUS_NO_SPACE       // the pool is full
	ErrQuotaExceeded Kind = C.ZFSVOL_STATUS_QUOTA_EXCEEDED // a quota or limit is reached
	ErrTooLarge      Kind = C.ZFSVOL_STATUS_TOO_LARGE      // more than one call can do

	// The kernel or the pool cannot do it.

	ErrUnsupported     Kind = C.ZFSVOL_STATUS_UNSUPPORTED      // the module is too old; also errors.ErrUnsupported
	ErrFeatureDisabled Kind = C.ZFSVOL_STATUS_FEATURE_DISABLED // the pool does not have the feature
	ErrNoModule        Kind = C.ZFSVOL_STATUS_NO_MODULE        // there is no /dev/zfs

	// Streams.

	ErrStreamUnsupported   Kind = C.ZFSVOL_STATUS_STREAM_UNSUPPORTED   // it has a feature that cannot be received here
	ErrStreamDamaged       Kind = C.ZFSVOL_STATUS_STREAM_DAMAGED       // it is damaged, or is none
	ErrStreamTruncated     Kind = C.ZFSVOL_STATUS_STREAM_TRUNCATED     // it ended too early
	ErrDestinationModified Kind = C.ZFSVOL_STATUS_DESTINATION_MODIFIED // the destination was changed since the base
	ErrBaseMissing         Kind = C.ZFSVOL_STATUS_BASE_MISSING         // the snapshot it starts from is not there
	ErrEncryptionMismatch  Kind = C.ZFSVOL_STATUS_ENCRYPTION_MISMATCH  // the encryption of both does not go together
	ErrDisconnected        Kind = C.ZFSVOL_STATUS_DISCONNECTED         // the other end is closed

	// Devices.

	ErrPoolSuspended   Kind = C.ZFSVOL_STATUS_POOL_SUSPENDED   // its devices stopped answering
	ErrPoolUnavailable Kind = C.ZFSVOL_STATUS_POOL_UNAVAILABLE // it cannot be opened
	ErrIO              Kind = C.ZFSVOL_STATUS_IO               // reading or writing failed
	ErrCorrupt         Kind = C.ZFSVOL_STATUS_CORRUPT          // what is on disk, or came back, is damaged

	// It was ended.

	ErrCancelled   Kind = C.ZFSVOL_STATUS_CANCELLED   // the caller cancelled it; also the error of the context it was done by
	ErrInterrupted Kind = C.ZFSVOL_STATUS_INTERRUPTED // a signal interrupted it: call again
	ErrTimedOut    Kind = C.ZFSVOL_STATUS_TIMED_OUT   // it took longer than was allowed

	// The rest.

	ErrProgramFailed Kind = C.ZFSVOL_STATUS_PROGRAM_FAILED // a channel program failed
	ErrSeveral       Kind = C.ZFSVOL_STATUS_SEVERAL        // names of a batch failed for several reasons: see Error.Failures
	ErrProtocol      Kind = C.ZFSVOL_STATUS_PROTOCOL       // an answer was not understood
	ErrOther         Kind = C.ZFSVOL_STATUS_OTHER          // an errno that was not expected: see Error.Errno

	// Mistakes of the program, or of this package.

	ErrNull          Kind = C.ZFSVOL_STATUS_NULL           // what must be there is missing
	ErrNotUTF8       Kind = C.ZFSVOL_STATUS_NOT_UTF8       // a text is not UTF-8
	ErrPanic         Kind = C.ZFSVOL_STATUS_PANIC          // the library panicked: a bug in it
	ErrConsumed      Kind = C.ZFSVOL_STATUS_CONSUMED       // it was used up by an earlier call
	ErrWrongHandle   Kind = C.ZFSVOL_STATUS_WRONG_HANDLE   // a handle of another kind
	ErrUnknownNumber Kind = C.ZFSVOL_STATUS_UNKNOWN_NUMBER // a number that stands for nothing
)

// Error is the word for the kind: "not found".
func (k Kind) Error() string {
	return text(C.zfsvol_status_name(C.zfsvol_status(k)))
}

// Is says which errors of the standard library a kind stands for: [fs.ErrNotExist], [fs.ErrExist], [fs.ErrPermission], [errors.ErrUnsupported].
func (k Kind) Is(target error) bool {
	switch k {
	case ErrNotFound:
		return target == fs.ErrNotExist
	case ErrExists:
		return target == fs.ErrExist
	case ErrDenied, ErrNotPermitted:
		return target == fs.ErrPermission
	case ErrUnsupported:
		return target == errors.ErrUnsupported
	}
	return false
}

// Error is everything about a failure. [errors.Is] finds its Kind, its Errno and its Cause.
type Error struct {
	// What a program decides by.
	Kind Kind
	// The kernel's errno, where the kernel refused; else 0.
	Errno syscall.Errno
	// What was being done, in OpenZFS's words: "snapshot".
	Operation string
	// The dataset, snapshot or pool it was done to; empty where there is none, as when some names of a batch failed.
	Target string
	// The reason alone.
	Reason string
	// What to do about it; empty where that is not known.
	Help string
	// All of it, for people, in one line.
	Message string
	// The names of a batch that failed.
	Failures []Failure
	// How many more failed than the kernel named.
	FailuresOmitted uint64
	// What keeps the target busy, as far as that can be known.
	Busy []Busy
	// What this package knows more: the error of the context that ended it, or of the reader or writer that failed.
	Cause error
}

// Failure is one name of a batch that failed.
type Failure struct {
	// As it was given.
	Name string
	// What this name alone would have failed with.
	Kind Kind
	// The kernel's errno for this name.
	Errno syscall.Errno
	// The reason in words.
	Reason string
	// What keeps it busy.
	Busy []Busy
}

// Busy is something that keeps a dataset or snapshot busy.
type Busy struct {
	// One of "holds", "clones", "children", "newer", "mounted", "receive_pending", "receiving", "device_open".
	Why string
	// The tags, datasets, paths, the resume token or the device.
	Names []string
}

// Error is the whole message: operation, target, reason, errno and what to do.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap gives the kind, the errno and the cause.
func (e *Error) Unwrap() []error {
	all := []error{e.Kind}
	if e.Errno != 0 {
		all = append(all, e.Errno)
	}
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	return all
}

// check makes an error of a status that is not 0, and frees the one of C. It is given a pointer because the call sets it.
func check(status cStatus, e *cError) error {
	if status == C.ZFSVOL_STATUS_OK {
		return nil
	}
	// Nobody asked for details, or there was no memory for them.
	made := &Error{Kind: Kind(status), Message: Kind(status).Error()}
	if *e == nil {
		return made
	}
	defer C.zfsvol_error_free(*e)
	details := C.zfsvol_error_details(*e)
	if details == nil {
		return made
	}
	defer C.zfsvol_nvlist_free(details)
	return errorOf(decode(details))
}

// errorOf makes an error of its details, which results of batches have as well.
func errorOf(list List) *Error {
	e := &Error{
		Kind:            Kind(list.number("status")),
		Errno:           syscall.Errno(list.signed("errno")),
		Operation:       list.text("operation"),
		Target:          list.text("target"),
		Reason:          list.text("reason"),
		Help:            list.text("help"),
		Message:         list.text("message"),
		FailuresOmitted: list.number("failures_omitted"),
		Busy:            busyOf(list),
	}
	for _, failure := range list.lists("failures") {
		e.Failures = append(e.Failures, Failure{
			Name:   failure.text("name"),
			Kind:   Kind(failure.number("status")),
			Errno:  syscall.Errno(failure.signed("errno")),
			Reason: failure.text("reason"),
			Busy:   busyOf(failure),
		})
	}
	return e
}

func busyOf(list List) []Busy {
	var all []Busy
	for _, busy := range list.lists("busy") {
		all = append(all, Busy{Why: busy.text("why"), Names: slices.Clone(busy.texts("names"))})
	}
	return all
}

// because adds a cause to an error of this package, if there is one.
func because(err, cause error) error {
	var e *Error
	if cause != nil && errors.As(err, &e) {
		e.Cause = cause
	}
	return err
}

// begin fails if the context has ended.
func begin(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return &Error{Kind: ErrCancelled, Message: ErrCancelled.Error(), Cause: cause}
	}
	return nil
}

// ended adds the error of the context to a failure by which its end shows.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, ErrCancelled) || errors.Is(err, ErrDisconnected) || errors.Is(err, ErrTimedOut)) {
		return because(err, context.Cause(ctx))
	}
	return err
}
