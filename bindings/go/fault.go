package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"syscall"
	"unsafe"
)

// FaultRule says which calls to the kernel fail, and how. With no more than Errno it is every call, before it is carried out.
type FaultRule struct {
	// What they fail with.
	Errno syscall.Errno
	// Only the ioctl of this number, as [Call] has it; 0 for all.
	Ioctl uint32
	// Only calls about a name that begins so.
	NamePrefix string
	// Not the first so many of those that match.
	Skip uint64
	// At most so many calls; 0 for no limit.
	Times uint64
	// About one in so many of those that match; 0 for all.
	OneIn uint64
	// Which of them, with OneIn: the same in each run.
	Seed uint64
	// They are carried out, and the answer lost.
	After bool
}

// Fault is a door behind which chosen calls fail, for tests of a program.
type Fault struct{ h *handle }

// Fault is a door with these rules: the first that chooses a call decides.
//
// Fails with [ErrUnknownNumber] for an ioctl that there is not.
func (z *Zfs) Fault(rules ...FaultRule) (*Fault, error) {
	var (
		a   arena
		out *C.zfsvol_fault
	)
	defer a.free()
	all := (*C.zfsvol_fault_rule)(a.alloc(len(rules), unsafe.Sizeof(C.zfsvol_fault_rule{})))
	for i, rule := range rules {
		unsafe.Slice(all, len(rules))[i] = a.fault(rule)
	}
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_fault_new(zfs, all, C.size_t(len(rules)), &out, e)
	})
	if err != nil {
		return nil, err
	}
	f := &Fault{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_fault_free((*C.zfsvol_fault)(p)) }, nil)}
	return caught(f, f.h), nil
}

// Zfs is a handle that goes through the door, to be closed.
func (f *Fault) Zfs() (zfs *Zfs, err error) {
	err = f.use(func(fault *C.zfsvol_fault) error {
		zfs, err = openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_fault_zfs(fault, out, e) })
		return err
	})
	return zfs, err
}

// Failed says how many calls each rule has let fail so far, in the order of the rules.
func (f *Fault) Failed() (failed []uint64, err error) {
	err = f.use(func(fault *C.zfsvol_fault) error {
		list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_fault_failed(fault, out, e) })
		failed, _ = list["failed"].([]uint64)
		return err
	})
	return failed, err
}

// Close closes it, and does nothing if it is closed. Handles that go through the door go on doing so.
func (f *Fault) Close() error {
	f.h.close()
	return nil
}

func (f *Fault) use(call func(fault *C.zfsvol_fault) error) error {
	p, err := f.h.use()
	if err != nil {
		return err
	}
	defer f.h.done()
	return call((*C.zfsvol_fault)(p))
}

func (a *arena) fault(rule FaultRule) C.zfsvol_fault_rule {
	return C.zfsvol_fault_rule{
		error_number: C.int32_t(rule.Errno), ioctl: C.uint32_t(rule.Ioctl), name_prefix: a.strAny(rule.NamePrefix),
		skip: C.uint64_t(rule.Skip), times: C.uint64_t(rule.Times), one_in: C.uint64_t(rule.OneIn), seed: C.uint64_t(rule.Seed),
		after: C.bool(rule.After),
	}
}
