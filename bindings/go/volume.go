package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Volume is a volume of a node, by its name: "db", or "namespace:db". It is there or not: to make one asks the kernel nothing.
type Volume struct {
	node *Node
	name string
}

// VolumeSpec says what a volume is to be. The zero value is a file system without a limit.
type VolumeSpec struct {
	// A block device of so many bytes; 0 for a file system.
	BlockBytes uint64
	// A file system holds at most so many bytes, its snapshots not counted; 0 for no limit.
	QuotaBytes uint64
	// Nothing is reserved for a block device.
	Sparse bool
	// With these properties too.
	Properties Settings
	// Encrypted with this key.
	Key *Key
}

// VolumeInfo says what a volume is.
type VolumeInfo struct {
	Name, Dataset string
	// Its UUID, which it keeps wherever it goes.
	ID string
	// The UUID of the node that owns it, and how often the owner changed.
	Owner string
	Epoch uint64
	// "owned", "replica", or "leaving NODE EPOCH" while it is handed over.
	State string
	// "file_system" or "block".
	Kind string
	// The limit of a file system, 0 for none, or the size of a block device, in bytes.
	Quota, Size uint64
	// In bytes.
	Used, Referenced, Available uint64
	Created                     time.Time
	// The snapshot that a clone was made of.
	Origin string
	// It is mounted; its key is not loaded.
	Mounted, Locked bool
	// All of it.
	Details List
}

// Owned says whether the node that was asked owns it.
func (i VolumeInfo) Owned() bool { return i.State == "owned" }

// VolumeSnapshot is a snapshot of a volume.
type VolumeSnapshot struct {
	// What follows the "@".
	Name            string
	GUID, CreateTXG uint64
	Created         time.Time
	// In bytes.
	Used, Referenced uint64
	// How many holds it has, and its clones.
	Holds  uint64
	Clones []string
}

// Volume is the volume of that name.
func (n *Node) Volume(name string) Volume { return Volume{n, name} }

// CreateVolume creates a volume that this node owns. It is not mounted. Its name is "name" or "namespace:name".
//
// Fails with [ErrExists], [ErrInvalidName], [ErrInvalidProperty], [ErrNoSpace], [ErrDenied].
func (n *Node) CreateVolume(name string, spec VolumeSpec) (Volume, error) {
	var a arena
	defer a.free()
	err := spec.use(&a, func(o *C.zfsvol_volume_spec) error {
		return n.done(func(node *C.zfsvol_node, e *cError) cStatus {
			return C.zfsvol_volume_create(node, lend(name), o, nil, e)
		})
	})
	if err != nil {
		return Volume{}, err
	}
	return n.Volume(name), nil
}

// Name is its name.
func (v Volume) Name() string { return v.name }

// Info says what the volume is. Fails with [ErrNotFound] when there is none of that name.
func (v Volume) Info() (VolumeInfo, error) {
	list, err := v.node.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volume_get(node, lend(v.name), out, e)
	})
	if err != nil {
		return VolumeInfo{}, err
	}
	if list == nil {
		return VolumeInfo{}, &Error{
			Kind: ErrNotFound, Operation: "look up", Target: v.name, Reason: "there is no such volume",
			Message: "cannot look up '" + v.name + "': there is no such volume",
		}
	}
	return volumeOf(list), nil
}

// Dataset is the dataset of the volume, whether there is one or not. It is of the [Zfs] that it is given. Fails with [ErrInvalidName].
func (v Volume) Dataset(zfs *Zfs) (Dataset, error) {
	name, err := v.node.given(func(node *C.zfsvol_node, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_volume_dataset(node, lend(v.name), out, e)
	})
	return zfs.Dataset(name), err
}

// Destroy destroys the volume with its snapshots, and says whether there was one. Fails with [ErrNotOwner], [ErrBusy], and [Error.Busy] says by what.
func (v Volume) Destroy() (destroyed bool, err error) {
	var was C.bool
	err = v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_destroy(node, name, &was, e)
	})
	return bool(was), err
}

// DestroyReplica destroys this node's copy of a volume that another node owns, with its snapshots and what came of it by a push that was interrupted, and says whether there was one. The
// owner's next push makes it anew.
//
// Fails with [ErrInvalid] (this node owns it, or is handing it over), [ErrInProgress] (it is being received), [ErrExists] (no volume), [ErrBusy], and [Error.Busy] says by what.
func (v Volume) DestroyReplica() (destroyed bool, err error) {
	var was C.bool
	err = v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_destroy_replica(node, name, &was, e)
	})
	return bool(was), err
}

// Rename gives the volume another name, and returns it by that. Fails with [ErrNotFound], [ErrExists], [ErrNotOwner], [ErrBusy].
func (v Volume) Rename(to string) (Volume, error) {
	err := v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_rename(node, name, lend(to), e)
	})
	if err != nil {
		return Volume{}, err
	}
	return v.node.Volume(to), nil
}

// Clone makes a volume that begins as this one, or if snapshot is not empty as that snapshot of it. Fails as [Node.CreateVolume], and with [ErrNotFound].
func (v Volume) Clone(snapshot, to string) (Volume, error) {
	err := v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_clone(node, name, lendAny(snapshot), lend(to), nil, e)
	})
	if err != nil {
		return Volume{}, err
	}
	return v.node.Volume(to), nil
}

// Resize changes the size of a block device, or the limit of a file system; 0 takes the limit away. Fails with [ErrNotOwner], [ErrInvalid], [ErrNoSpace].
func (v Volume) Resize(bytes uint64) error {
	return v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_resize(node, name, C.uint64_t(bytes), e)
	})
}

// Snapshot takes a snapshot of the volume. Fails with [ErrExists], [ErrNotFound], [ErrNotOwner].
func (v Volume) Snapshot(snapshot string) error {
	return v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_snapshot(node, name, lend(snapshot), e)
	})
}

// Snapshots are the snapshots of the volume, from oldest to newest.
func (v Volume) Snapshots() ([]VolumeSnapshot, error) {
	list, err := v.node.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volume_snapshots(node, lend(v.name), out, e)
	})
	var all []VolumeSnapshot
	for _, one := range list.lists("snapshots") {
		all = append(all, VolumeSnapshot{
			Name: one.text("name"), GUID: one.number("guid"), CreateTXG: one.number("createtxg"), Created: when(one.signed("created")),
			Used: one.number("used"), Referenced: one.number("referenced"), Holds: one.number("holds"), Clones: one.texts("clones"),
		})
	}
	return all, err
}

// DestroySnapshots destroys snapshots of the volume, all or none; those that are not there are passed over. Fails with [ErrBusy], [ErrNotFound] (the
// volume), [ErrNotOwner].
func (v Volume) DestroySnapshots(snapshots ...string) error {
	var a arena
	defer a.free()
	all, count := a.strs(snapshots)
	return v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_destroy_snapshots(node, name, all, count, e)
	})
}

// Rollback makes the volume what a snapshot of it is; what was written since is lost. Fails with [ErrBusy] (newer snapshots, or it is in use),
// [ErrInProgress] (it is being pushed or handed over), [ErrNotFound], [ErrNotOwner].
func (v Volume) Rollback(snapshot string) error {
	return v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_rollback(node, name, lend(snapshot), e)
	})
}

// Retain destroys the snapshots of the volume that a policy does not keep, and nothing that is needed. [PlanRetention] says beforehand which those are.
func (v Volume) Retain(policy Retention) (*Retained, error) {
	asked, err := policy.encode()
	if err != nil {
		return nil, err
	}
	defer freeList(asked)
	list, err := v.node.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volume_retain(node, lend(v.name), asked, out, e)
	})
	if err != nil {
		return nil, err
	}
	return retainedOf(list), nil
}

// Mount mounts a file system, and says where. Mounted already is no failure. Mounts are those of the mount namespace of the calling thread: see
// [runtime.LockOSThread].
func (v Volume) Mount() (path string, err error) {
	return v.node.given(func(node *C.zfsvol_node, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_volume_mount(node, lend(v.name), out, e)
	})
}

// Unmount unmounts a file system, and says whether it was mounted. Fails with [ErrBusy].
func (v Volume) Unmount() (unmounted bool, err error) {
	var was C.bool
	err = v.done(func(node *C.zfsvol_node, name cStr, e *cError) cStatus {
		return C.zfsvol_volume_unmount(node, name, &was, e)
	})
	return bool(was), err
}

// Path is where a file system is mounted, or would be. Fails with [ErrInvalid] when it has no mountpoint, [ErrWrongType] for a block device.
func (v Volume) Path() (string, error) {
	return v.node.given(func(node *C.zfsvol_node, out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_volume_path(node, lend(v.name), out, e)
	})
}

// OpenDevice opens the block device of the volume, and waits for it until the context ends: it appears a moment after the volume was made or its key loaded.
// A replica can only be read.
//
// Fails with [ErrNotOwner], and as [Dataset.OpenDevice].
func (v Volume) OpenDevice(ctx context.Context, writable bool) (device *Device, err error) {
	err = v.node.use(func(node *C.zfsvol_node) error {
		device, err = openDevice(ctx, func(milliseconds C.int64_t, out **C.zfsvol_device, e *cError) cStatus {
			return C.zfsvol_volume_open_device(node, lend(v.name), C.bool(writable), milliseconds, out, e)
		})
		return err
	})
	return device, err
}

// DevicePath is the node in /dev of a block volume that this node owns, for programs that take a path. It is waited for until the context ends.
//
// Fails with [ErrNotOwner], [ErrWrongType] (a file system), [ErrNotFound] (no volume; or no such node, as for all that is embedded), and as [Dataset.OpenDevice].
func (v Volume) DevicePath(ctx context.Context) (path string, err error) {
	err = awaitDevice(ctx, func(milliseconds C.int64_t) error {
		path, err = v.node.given(func(node *C.zfsvol_node, out *C.zfsvol_buffer, e *cError) cStatus {
			return C.zfsvol_volume_device_path(node, lend(v.name), milliseconds, out, e)
		})
		return err
	})
	return path, err
}

func (v Volume) done(call func(node *C.zfsvol_node, name cStr, e *cError) cStatus) error {
	return v.node.done(func(node *C.zfsvol_node, e *cError) cStatus { return call(node, lend(v.name), e) })
}

// use runs f with what C knows it by, in memory of C, for specs of a batch are pointed to.
func (s VolumeSpec) use(a *arena, f func(o *C.zfsvol_volume_spec) error) (err error) {
	o := (*C.zfsvol_volume_spec)(a.alloc(1, unsafe.Sizeof(C.zfsvol_volume_spec{})))
	o.size = C.size_t(unsafe.Sizeof(*o))
	o.block_bytes, o.quota_bytes, o.sparse = C.uint64_t(s.BlockBytes), C.uint64_t(s.QuotaBytes), C.bool(s.Sparse)
	if o.properties, err = a.settings(s.Properties); err != nil {
		return err
	}
	return s.Key.use(func(key *C.zfsvol_key) error {
		o.key = key
		return f(o)
	})
}

func volumeOf(list List) VolumeInfo {
	return VolumeInfo{
		Name: list.text("name"), Dataset: list.text("dataset"), ID: list.text("id"), Owner: list.text("owner"),
		Epoch: list.number("epoch"), State: list.text("state"), Kind: list.text("kind"),
		Quota: list.number("quota"), Size: list.number("size"),
		Used: list.number("used"), Referenced: list.number("referenced"), Available: list.number("available"),
		Created: when(list.signed("created")), Origin: list.text("origin"),
		Mounted: list.truth("mounted"), Locked: list.truth("locked"), Details: list,
	}
}
