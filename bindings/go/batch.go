package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// VolumeResult is what became of one volume of a batch.
type VolumeResult struct {
	// Its name; of a clone, that of the new volume.
	Name string
	// What it is now, where it was created or cloned.
	Info VolumeInfo
	// Whether it was done, where it was to be destroyed or snapshotted: false also for one that was not there to be destroyed.
	Done bool
	// Nil, or why it failed.
	Err error
}

// VolumeCopy is a clone to be made: the volume it begins as, a snapshot of it or "" for how it is now, and the new volume.
type VolumeCopy struct {
	From, Snapshot, To string
}

// CreateVolumes creates volumes of one kind: [Node.CreateVolume] for each, threads at the same time, 0 for 32. That some fail is no failure of the call.
func (n *Node) CreateVolumes(names []string, spec VolumeSpec, threads int) ([]VolumeResult, error) {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	var results []VolumeResult
	err := spec.use(&a, func(o *C.zfsvol_volume_spec) (err error) {
		specs := (**C.zfsvol_volume_spec)(a.alloc(len(names), unsafe.Sizeof(o)))
		for i := range names {
			unsafe.Slice(specs, len(names))[i] = o
		}
		results, err = resultsOf(n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
			return C.zfsvol_volumes_create(node, all, specs, count, C.size_t(max(threads, 0)), out, e)
		}))
		return err
	})
	return results, err
}

// CloneVolumes clones volumes: [Volume.Clone] for each, threads at the same time, 0 for 32. That some fail is no failure of the call.
func (n *Node) CloneVolumes(copies []VolumeCopy, threads int) ([]VolumeResult, error) {
	var a arena
	defer a.free()
	all := (*C.zfsvol_volume_copy)(a.alloc(len(copies), unsafe.Sizeof(C.zfsvol_volume_copy{})))
	for i, one := range copies {
		unsafe.Slice(all, len(copies))[i] = C.zfsvol_volume_copy{from: a.str(one.From), snapshot: a.strAny(one.Snapshot), to: a.str(one.To)}
	}
	return resultsOf(n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volumes_clone(node, all, C.size_t(len(copies)), C.size_t(max(threads, 0)), out, e)
	}))
}

// DestroyVolumes destroys volumes with their snapshots: [Volume.Destroy] for each, threads at the same time, 0 for 32. That some fail is no failure of the
// call.
func (n *Node) DestroyVolumes(names []string, threads int) ([]VolumeResult, error) {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	return resultsOf(n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volumes_destroy(node, all, count, C.size_t(max(threads, 0)), out, e)
	}))
}

// SnapshotVolumes takes a snapshot of that name of each volume: all that can be taken in one transaction group, so of one moment. That some fail is no failure
// of the call. Issues ZFS_IOC_SNAPSHOT once, and once more after failures.
func (n *Node) SnapshotVolumes(names []string, snapshot string, threads int) ([]VolumeResult, error) {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	return resultsOf(n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus {
		return C.zfsvol_volumes_snapshot(node, all, count, lend(snapshot), C.size_t(max(threads, 0)), out, e)
	}))
}

func resultsOf(list List, err error) ([]VolumeResult, error) {
	var all []VolumeResult
	for _, one := range list.lists("results") {
		result := VolumeResult{Name: one.text("name"), Done: one.truth("destroyed") || one.truth("taken")}
		if info := one.list("info"); info != nil {
			result.Info, result.Done = volumeOf(info), true
		}
		if details := one.list("error"); details != nil {
			result.Err = errorOf(details)
		}
		all = append(all, result)
	}
	return all, err
}
