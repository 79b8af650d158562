package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// Pool is a pool, by its name. It is there or not: to make one asks the kernel nothing.
type Pool struct {
	zfs  *Zfs
	name string
}

// Pool is the pool of that name.
func (z *Zfs) Pool(name string) Pool { return Pool{z, name} }

// Pools are the names of all imported pools. Issues ZFS_IOC_POOL_CONFIGS.
func (z *Zfs) Pools() ([]string, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus { return C.zfsvol_pool_names(zfs, out, e) })
	return list.texts("pools"), err
}

// PoolStatus is how a pool is.
type PoolStatus struct {
	Name string
	GUID uint64
	// "online", "degraded", "faulted", "unavailable", "offline", "removed", "suspended" or "unknown".
	Health string
	// In bytes.
	Size, Allocated, Free uint64
	// Its vdevs, below one of kind "root".
	Root VdevStatus
	// Its hot spares, and the devices of its read cache.
	Spares, Cache []VdevStatus
	// The features that are enabled, by their short names, and whether they are in use: "enabled" or "active".
	Features map[string]string
	// How many objects have permanent errors: see [Pool.ErrorLog].
	Errors uint64
	// It was imported so that nothing is written to it.
	ReadOnly bool
	// All of it: besides these "scan", "checkpoint", "config" and more.
	Details List
}

// Name is its name.
func (p Pool) Name() string { return p.name }

// Status says how the pool is. Issues ZFS_IOC_POOL_STATS. Fails with [ErrNotFound].
func (p Pool) Status() (*PoolStatus, error) {
	list, err := p.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_pool_status(zfs, lend(p.name), out, e)
	})
	if err != nil {
		return nil, err
	}
	status := poolStatusOf(list)
	return &status, nil
}

// PoolStatuses say how all imported pools are. Issues ZFS_IOC_POOL_CONFIGS, and ZFS_IOC_POOL_STATS for each.
func (z *Zfs) PoolStatuses() ([]PoolStatus, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus { return C.zfsvol_pool_list(zfs, out, e) })
	var all []PoolStatus
	for _, one := range list.lists("pools") {
		all = append(all, poolStatusOf(one))
	}
	return all, err
}

// Properties are all properties of the pool, but for "feature@...": its features are in [PoolStatus]. Issues ZFS_IOC_POOL_GET_PROPS.
func (p Pool) Properties() (Properties, error) {
	list, err := p.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_pool_properties(zfs, lend(p.name), out, e)
	})
	return propertiesOf(list), err
}

// Set sets properties of the pool. Issues ZFS_IOC_POOL_SET_PROPS once. Fails with [ErrInvalidProperty], [ErrNotFound], [ErrDenied].
func (p Pool) Set(properties Settings) error {
	var a arena
	defer a.free()
	props, err := a.settings(properties)
	if err != nil || props == nil {
		return err
	}
	return p.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_pool_set_properties(zfs, lend(p.name), props, e)
	})
}

// Sync has everything that was written so far on disk when it returns; force also where nothing was. Issues ZFS_IOC_POOL_SYNC.
func (p Pool) Sync(force bool) error {
	return p.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_pool_sync(zfs, lend(p.name), C.bool(force), e)
	})
}

// ProgramOptions say how to run a channel program. The zero value is without arguments, with the limits that the "zfs" command has.
type ProgramOptions struct {
	// What the program gets as "...".
	Arguments List
	// Stops it after so many instructions; 0 for 10,000,000.
	InstructionsMax uint64
	// Stops it when it takes so many bytes of memory; 0 for 10 MiB.
	MemoryBytesMax uint64
	// Runs it without a transaction group of its own: it can read only.
	ReadOnly bool
}

// Program runs a channel program, a script in Lua: all it changes is changed in one transaction group. Returns what the program returned, nil for nothing.
// Issues ZFS_IOC_CHANNEL_PROGRAM once.
//
// Fails with [ErrProgramFailed], and its own message; [ErrDenied], [ErrNotFound], [ErrTooLarge].
func (p Pool) Program(script string, options ProgramOptions) (any, error) {
	var (
		a   arena
		o   C.zfsvol_program_options
		err error
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	if o.arguments, err = a.list(options.Arguments); err != nil {
		return nil, err
	}
	o.instructions_max = C.uint64_t(options.InstructionsMax)
	o.memory_bytes_max = C.uint64_t(options.MemoryBytesMax)
	o.nosync = C.bool(options.ReadOnly)
	list, err := p.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_pool_program(zfs, lend(p.name), lend(script), &o, out, e)
	})
	return list["return"], err
}

func poolStatusOf(list List) PoolStatus {
	features := map[string]string{}
	for name, state := range list.list("features") {
		features[name], _ = state.(string)
	}
	return PoolStatus{
		Name: list.text("name"), GUID: list.number("guid"), Health: list.text("health"),
		Size: list.number("size"), Allocated: list.number("allocated"), Free: list.number("free"),
		Root: vdevOf(list.list("root")), Spares: vdevsOf(list.lists("spares")), Cache: vdevsOf(list.lists("cache")),
		Features: features, Errors: list.number("errors"), ReadOnly: list.truth("read_only"), Details: list,
	}
}
