package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// Rewind says how far back a damaged pool may go to be opened. What was written later is lost.
type Rewind uint32

const (
	RewindNone       Rewind = C.ZFSVOL_REWIND_NONE       // not at all
	RewindCheckpoint Rewind = C.ZFSVOL_REWIND_CHECKPOINT // to its checkpoint
	RewindRecover    Rewind = C.ZFSVOL_REWIND_RECOVER    // a few transaction groups if need be, "zpool import -F"
	RewindExtreme    Rewind = C.ZFSVOL_REWIND_EXTREME    // as far as it takes, "zpool import -FX": may read the whole pool, and leave damage
	RewindTXG        Rewind = C.ZFSVOL_REWIND_TXG        // to the transaction group that is given, or before
)

// ImportOptions say how to import a pool. The zero value is nothing special.
type ImportOptions struct {
	// Under another name.
	NewName string
	// The other name is for this import only.
	TemporaryName bool
	// A directory that all mountpoints are taken to be below. Keeps the pool out of the cache file.
	Altroot string
	// Properties of the pool for this import: cachefile, comment.
	Properties Settings
	// What to do if it cannot be opened as it is.
	Rewind Rewind
	// The transaction group of RewindTXG.
	TXG uint64
	// Nothing is written to it.
	ReadOnly bool
	// Even if another host was using it last.
	Force bool
	// Even if it was destroyed.
	Destroyed bool
	// Even if a log device is missing: what was only in the log is lost.
	MissingLog bool
}

// Importable are pools that are not imported, as they were found on devices. It does not change: look again to see what is there by now.
type Importable struct {
	h   *handle
	zfs *Zfs
	// Ordered by name and GUID.
	Pools []ImportablePool
}

// ImportablePool is a pool that is not imported.
type ImportablePool struct {
	found *Importable
	index C.size_t

	// What it was called when it was last imported.
	Name string
	GUID uint64
	// The transaction group of its newest label.
	TXG uint64
	// It was destroyed, and can be imported all the same while nothing has overwritten it; it was exported, so that no host has it in use.
	Destroyed, Exported bool
	// How it would be, as far as the kernel can tell: see [PoolStatus].
	Health string
	// What speaks against importing it, unless it is forced; nil for nothing.
	InUse *HostUse
	// Features it needs that the loaded module does not know, and whether it can be imported read-only without them.
	UnsupportedFeatures []string
	ReadOnlyPossible    bool
	// Its vdevs, below one of kind "root".
	Root VdevStatus
	// All of it: besides these "config" (List), what is handed to the kernel.
	Details List
}

// HostUse says who else may have a pool in use.
type HostUse struct {
	// "imported" (another host has it imported now, and to force does not help), "no_host_id" (it has the property multihost, and this host no hostid) or
	// "last_used" (another host had it imported last, and did not export it).
	Kind string
	// Of that host.
	Hostname string
	HostID   uint64
}

// FindPools looks for pools that can be imported, by the labels on these files, devices and directories, whose files and devices are all looked at; with
// destroyed, for destroyed ones too. Issues ZFS_IOC_POOL_CONFIGS, and ZFS_IOC_POOL_TRYIMPORT for each.
//
// Fails with [ErrNotFound] (a path), [ErrDenied].
func (z *Zfs) FindPools(paths []string, destroyed bool) (*Importable, error) {
	var (
		a   arena
		out *C.zfsvol_importable
	)
	defer a.free()
	all, count := a.strs(paths)
	err := z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_importable_search(zfs, all, count, C.bool(destroyed), &out, e)
	})
	if err != nil {
		return nil, err
	}
	found := &Importable{
		h:   hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_importable_free((*C.zfsvol_importable)(p)) }, nil),
		zfs: z,
	}
	caught(found, found.h)
	for index := C.size_t(0); index < C.zfsvol_importable_count(out); index++ {
		list, err := answer(func(list *cList, e *cError) cStatus { return C.zfsvol_importable_get(out, index, list, e) })
		if err != nil {
			found.h.close()
			return nil, err
		}
		found.Pools = append(found.Pools, importableOf(found, index, list))
	}
	return found, nil
}

// Close frees what is needed to import, and does nothing if it is closed. What Pools say stays.
func (i *Importable) Close() error {
	i.h.close()
	return nil
}

// Missing are the files and devices of the pool that were not found or cannot be used, by the path they had.
func (p ImportablePool) Missing() (devices []string, err error) {
	err = p.found.use(func(found *C.zfsvol_importable) error {
		list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_importable_missing(found, p.index, out, e) })
		devices = list.texts("devices")
		return err
	})
	return devices, err
}

// Import imports the pool. Nothing is mounted, and no key is loaded. Issues ZFS_IOC_POOL_IMPORT.
//
// Fails with [ErrExists], [ErrPoolUnavailable] (devices are missing, which are named; or another host may have it in use), [ErrUnsupported] (a feature),
// [ErrBusy], [ErrCorrupt], [ErrIO], [ErrReadOnly], [ErrInvalidName], [ErrDenied].
func (p ImportablePool) Import(options ImportOptions) (pool Pool, err error) {
	var (
		a arena
		o C.zfsvol_import_options
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.new_name, o.altroot = a.strAny(options.NewName), a.strAny(options.Altroot)
	if o.properties, err = a.settings(options.Properties); err != nil {
		return Pool{}, err
	}
	o.txg, o.rewind = C.uint64_t(options.TXG), C.zfsvol_rewind(options.Rewind)
	o.temporary_name, o.read_only, o.force = C.bool(options.TemporaryName), C.bool(options.ReadOnly), C.bool(options.Force)
	o.destroyed, o.missing_log = C.bool(options.Destroyed), C.bool(options.MissingLog)
	err = p.found.use(func(found *C.zfsvol_importable) error {
		name, _, err := p.found.zfs.given(func(zfs *C.zfsvol_zfs, out *C.zfsvol_buffer, e *cError) cStatus {
			return C.zfsvol_pool_import(zfs, found, p.index, &o, out, e)
		})
		pool = p.found.zfs.Pool(name)
		return err
	})
	if err != nil {
		return Pool{}, err
	}
	return pool, nil
}

func (i *Importable) use(f func(found *C.zfsvol_importable) error) error {
	if i == nil {
		return ErrClosed
	}
	p, err := i.h.use()
	if err != nil {
		return err
	}
	defer i.h.done()
	return f((*C.zfsvol_importable)(p))
}

func importableOf(found *Importable, index C.size_t, list List) ImportablePool {
	pool := ImportablePool{
		found: found, index: index,
		Name: list.text("name"), GUID: list.number("guid"), TXG: list.number("txg"),
		Destroyed: list.truth("destroyed"), Exported: list.truth("exported"), Health: list.text("health"),
		UnsupportedFeatures: list.texts("unsupported_features"), ReadOnlyPossible: list.truth("read_only_possible"),
		Root: vdevOf(list.list("root")), Details: list,
	}
	if use := list.list("in_use"); use != nil {
		pool.InUse = &HostUse{Kind: use.text("kind"), Hostname: use.text("hostname"), HostID: use.number("hostid")}
	}
	return pool
}
