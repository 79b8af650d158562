package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"syscall"
	"time"
	"unsafe"
)

// Call is a call to the kernel that is about to be carried out, or was.
type Call struct {
	// What is called and what for, for people: "ZFS_IOC_SNAPSHOT 'tank'".
	Text string
	// The pools, datasets, snapshots and bookmarks it is about, those inside of lists included.
	Names []string
	// The number of the ioctl, ZFS_IOC_...; 0 for a mount, an unmount or the opening of a device.
	Ioctl uint32
	// Afterwards: the errno, 0 if it was carried out well.
	Errno syscall.Errno
	// Afterwards: how long it took below this door.
	Took time.Duration
	// Afterwards: whether Before had refused it.
	Refused bool
}

// Observer looks at calls. Both functions run in the thread that calls, so several at once when several goroutines call, and calls wait for them.
type Observer struct {
	// Before a call: 0 to have it carried out, an errno to refuse it with. May be nil. If it panics, that is EIO.
	Before func(Call) syscall.Errno
	// After a call, refused ones too. May be nil.
	After func(Call)
}

// Observe is a door that shows each call to functions: policy, tracing, metrics, audit.
func (z *Zfs) Observe(observer Observer) (*Zfs, error) {
	return z.door(func(zfs *C.zfsvol_zfs, out **C.zfsvol_zfs, e *cError) cStatus {
		var o C.zfsvol_observer
		o.size = C.size_t(unsafe.Sizeof(o))
		o.context = lendGo(observer)
		o.release = (*[0]byte)(C.zfsvolGoRelease)
		if observer.Before != nil {
			o.before = (*[0]byte)(C.zfsvolGoBefore)
		}
		if observer.After != nil {
			o.after = (*[0]byte)(C.zfsvolGoAfter)
		}
		return C.zfsvol_door_observe(zfs, &o, out, e)
	})
}

// callOf copies what C lends.
func callOf(call *C.zfsvol_call) Call {
	made := Call{
		Text: text(call.text), Ioctl: uint32(call.ioctl), Errno: syscall.Errno(call.error_number),
		Took: time.Duration(call.nanoseconds), Refused: bool(call.refused),
	}
	if call.name_count > 0 {
		for _, name := range unsafe.Slice(call.names, int(call.name_count)) {
			made.Names = append(made.Names, text(name))
		}
	}
	return made
}
