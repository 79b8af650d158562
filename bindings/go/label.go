package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "os"

// Label is what a device says of the pool it is of.
type Label struct {
	// What the pool was doing when it was written: "active", "exported", "destroyed"; or what the device is: "spare", "cache".
	State string
	// The device's own GUID.
	GUID uint64
	// The transaction group in which it was written; 0 for spares and cache devices.
	Txg uint64
	// The pool; nil for spares and cache devices, which belong to no one pool.
	Pool *LabelPool
	// All that it says.
	Config List
}

// LabelPool is the pool that a label names.
type LabelPool struct {
	// As it was last imported.
	Name string
	// Its GUID, and that of the top-level vdev that the device is in.
	GUID, TopGUID uint64
	// The host that had it imported, if it was not exported.
	HostID   uint64
	HostName string
}

// ReadLabel is the newest label of a device or file, or nil if it has none. Asks no kernel.
//
// Fails with [ErrCorrupt] (there are labels, and none that is whole), and with what reading fails with.
func ReadLabel(device *os.File) (*Label, error) {
	var out cList
	err := withFile(device, func(fd C.int32_t, e *cError) cStatus { return C.zfsvol_label_read(fd, &out, e) })
	if err != nil || out == nil {
		return nil, err
	}
	defer freeList(out)
	list := decode(out)
	label := &Label{State: list.text("state"), GUID: list.number("guid"), Txg: list.number("txg"), Config: list.list("config")}
	if pool := list.list("pool"); pool != nil {
		host := pool.list("host")
		label.Pool = &LabelPool{
			Name: pool.text("name"), GUID: pool.number("guid"), TopGUID: pool.number("top_guid"),
			HostID: host.number("hostid"), HostName: host.text("hostname"),
		}
	}
	return label, nil
}
