package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// Zfs is OpenZFS, or a kernel in this process that answers as OpenZFS does: what operations are done with.
//
// Can be used by any number of goroutines at once. What was made with it keeps what it needs of it, so it can be closed before that: but a [Dataset] or
// [Snapshot] is a name and this Zfs, and nothing of its own.
type Zfs struct{ h *handle }

// Open opens the kernel that a URI names: "zfs:" is the OpenZFS module of this machine ("zfs:/some/device" by another device node than /dev/zfs), "embedded:" a new kernel in this process with one empty pool
// "tank", which needs neither root nor ZFS, and "embedded:/some/directory" the same with its state kept there: see [EmbeddedOptions].
//
// Fails with [ErrInvalid] for any other, [ErrNoModule] when there is no /dev/zfs, [ErrUnsupported] when the module is older than 2.1, [ErrDenied].
func Open(uri string) (*Zfs, error) {
	return openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_zfs_open(lend(uri), out, e)
	})
}

// Release is a release of OpenZFS that an embedded kernel imitates.
type Release uint32

const (
	ReleaseDefault Release = C.ZFSVOL_RELEASE_DEFAULT // the one that is imitated where nothing is said: OpenZFS 2.3
	Release21      Release = C.ZFSVOL_RELEASE_2_1     // OpenZFS 2.1
	Release23      Release = C.ZFSVOL_RELEASE_2_3     // OpenZFS 2.3
	Release24      Release = C.ZFSVOL_RELEASE_2_4     // OpenZFS 2.4
)

// EmbeddedPool is a pool of an embedded kernel.
type EmbeddedPool struct {
	Name string
	// At least 64 MiB.
	Bytes uint64
}

// EmbeddedOptions say what an embedded kernel is like. The zero value is OpenZFS 2.3 with no pool.
type EmbeddedOptions struct {
	// Which release it imitates.
	Release Release
	// Its pools.
	Pools []EmbeddedPool
	// Answers as to a caller who is not root.
	Unprivileged bool
	// Has GUIDs follow from Seed, so that a program that does the same has the same.
	Seeded bool
	Seed   uint64
	// What time it is, in place of the system's. Called from any goroutine, several at once. If it panics, that is the system's.
	Clock func() time.Time
	// Where its state is kept; with "" it is in memory alone. The directory is made if it is not there, and the pools only where there is no state yet. What a
	// call has changed is durable when it returns; mounts, loaded keys, events and temporary holds end with the process. One process has it at a time.
	Directory string
}

// OpenEmbedded opens a kernel in this process, made to measure. A pool whose name no pool can have, or that is too small, is left out.
//
// With a directory it fails with [ErrBusy] (another has it), [ErrCorrupt], [ErrUnsupported] (another version wrote it, or it has a pool with a feature that the
// release does not know), [ErrDenied], [ErrNoSpace], [ErrIO].
func OpenEmbedded(options EmbeddedOptions) (*Zfs, error) {
	var (
		a arena
		o C.zfsvol_embedded_options
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.release = C.zfsvol_release(options.Release)
	o.unprivileged = C.bool(options.Unprivileged)
	o.seeded = C.bool(options.Seeded)
	o.seed = C.uint64_t(options.Seed)
	if options.Directory != "" {
		o.directory = a.str(options.Directory)
	}
	o.pools = (*C.zfsvol_embedded_pool)(a.alloc(len(options.Pools), unsafe.Sizeof(C.zfsvol_embedded_pool{})))
	o.pool_count = C.size_t(len(options.Pools))
	for i, pool := range options.Pools {
		unsafe.Slice(o.pools, len(options.Pools))[i] = C.zfsvol_embedded_pool{name: a.str(pool.Name), bytes: C.uint64_t(pool.Bytes)}
	}
	if options.Clock != nil {
		o.clock, o.context, o.release_context = (*[0]byte)(C.zfsvolGoClock), lendGo(options.Clock), (*[0]byte)(C.zfsvolGoRelease)
	}
	return openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_zfs_open_embedded(&o, out, e)
	})
}

// Close closes the handle, and does nothing if it is closed. An embedded kernel ends with the last thing that uses it. Waits for calls that are under way.
func (z *Zfs) Close() error {
	z.h.close()
	return nil
}

// Module says which OpenZFS answers.
type Module struct {
	// As the module has it: "2.3.2-1".
	Version             string
	Major, Minor, Patch int
	// What it can do.
	KernelFeatures, PoolFeatures, DatasetProperties, PoolProperties []string
}

// Module says which OpenZFS answers, and what it can do.
func (z *Zfs) Module() (*Module, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_zfs_module(zfs, out, e)
	})
	if err != nil {
		return nil, err
	}
	return &Module{
		Version: list.text("version"),
		Major:   int(list.number("major")), Minor: int(list.number("minor")), Patch: int(list.number("patch")),
		KernelFeatures: list.texts("kernel_features"), PoolFeatures: list.texts("pool_features"),
		DatasetProperties: list.texts("dataset_properties"), PoolProperties: list.texts("pool_properties"),
	}, nil
}

// ReadOnly is a door through which nothing can be changed: such calls fail with [ErrReadOnly]. It binds those who are given it; it is no sandbox.
func (z *Zfs) ReadOnly() (*Zfs, error) {
	return z.door(func(zfs *C.zfsvol_zfs, out **C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_door_read_only(zfs, out, e)
	})
}

// Subtree is a door through which nothing is seen or changed but the dataset root and what is below it. With mountsBelow, not empty, file systems are
// mounted below that directory only.
func (z *Zfs) Subtree(root, mountsBelow string) (*Zfs, error) {
	return z.door(func(zfs *C.zfsvol_zfs, out **C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_door_subtree(zfs, lend(root), lendAny(mountsBelow), out, e)
	})
}

func openZfs(open func(out **C.zfsvol_zfs, e *cError) cStatus) (*Zfs, error) {
	var out *C.zfsvol_zfs
	if err := done(func(e *cError) cStatus { return open(&out, e) }); err != nil {
		return nil, err
	}
	z := &Zfs{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_zfs_free((*C.zfsvol_zfs)(p)) }, nil)}
	return caught(z, z.h), nil
}

func (z *Zfs) door(open func(zfs *C.zfsvol_zfs, out **C.zfsvol_zfs, e *cError) cStatus) (door *Zfs, err error) {
	err = z.use(func(zfs *C.zfsvol_zfs) error {
		door, err = openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus { return open(zfs, out, e) })
		return err
	})
	return door, err
}

// use runs f with what C knows it by.
func (z *Zfs) use(f func(zfs *C.zfsvol_zfs) error) error {
	p, err := z.h.use()
	if err != nil {
		return err
	}
	defer z.h.done()
	return f((*C.zfsvol_zfs)(p))
}

// done runs a call that has no answer.
func (z *Zfs) done(call func(zfs *C.zfsvol_zfs, e *cError) cStatus) error {
	return z.use(func(zfs *C.zfsvol_zfs) error {
		return done(func(e *cError) cStatus { return call(zfs, e) })
	})
}

// answer runs a call whose answer is a list.
func (z *Zfs) answer(call func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus) (list List, err error) {
	err = z.use(func(zfs *C.zfsvol_zfs) error {
		list, err = answer(func(out *cList, e *cError) cStatus { return call(zfs, out, e) })
		return err
	})
	return list, err
}

// given runs a call whose answer is a text.
func (z *Zfs) given(call func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus) (s string, there bool, err error) {
	err = z.use(func(zfs *C.zfsvol_zfs) error {
		s, there, err = given(func(out *C.zfsvol_buffer, e *cError) cStatus { return call(zfs, out, e) })
		return err
	})
	return s, there, err
}
