package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import "unsafe"

// Node is a machine's part in moving volumes: a UUID and a root dataset, right below which its volumes are. Can be used by any number of goroutines at
// once; one process serves a node at a time.
type Node struct {
	h        *handle
	id, root string
}

// NodeOptions say how to open a node. The zero value is nothing special.
type NodeOptions struct {
	// Where volumes are mounted: each in a directory below this one that has its name. Counts when the root is created or adopted.
	Mountpoint string
	// Makes the root of what is a dataset of somebody else's now.
	Adopt bool
	// Called after everything that happened to a volume through this node, in the thread that did it, so by several at once when several use the node. What
	// did it waits for that, so be quick.
	OnEvent func(Event)
}

// Event is something that happened to a volume.
type Event struct {
	Volume string
	// "created", "cloned", "destroyed", "replica_destroyed", "renamed", "resized", "snapshotted", "snapshots_destroyed", "rolled_back", "mounted", "unmounted",
	// "pushed", "received", "handed_over", "taken_over" or "set_aside".
	Kind string
	// All of it: as the kind has it, also "detail".
	Details List
}

// OpenNode opens the node whose root is that dataset and whose UUID is id: 8-4-4-4-12 hexadecimal digits. The root is created if it is not there; its
// parent must be.
//
// Fails with [ErrNotOwner] (another node's root), [ErrExists] (no node made it: see NodeOptions.Adopt), [ErrWrongType] (a zvol), [ErrInvalid].
func (z *Zfs) OpenNode(root, id string, options NodeOptions) (*Node, error) {
	var (
		a   arena
		o   C.zfsvol_node_options
		out *C.zfsvol_node
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.mountpoint = a.strAny(options.Mountpoint)
	o.adopt = C.bool(options.Adopt)
	err := z.use(func(zfs *C.zfsvol_zfs) error {
		if options.OnEvent != nil {
			o.on_event = (*[0]byte)(C.zfsvolGoEvent)
			o.context = lendGo(options.OnEvent)
			o.release = (*[0]byte)(C.zfsvolGoRelease)
		}
		return done(func(e *cError) cStatus { return C.zfsvol_node_open(zfs, lend(root), lend(id), &o, &out, e) })
	})
	if err != nil {
		return nil, err
	}
	n := &Node{h: hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_node_free((*C.zfsvol_node)(p)) }, nil)}
	caught(n, n.h)
	info, err := n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus { return C.zfsvol_node_info(node, out, e) })
	if err != nil {
		n.h.close()
		return nil, err
	}
	n.id, n.root = info.text("id"), info.text("root")
	return n, nil
}

// Close closes the node, and does nothing if it is closed. Waits for calls that are under way.
func (n *Node) Close() error {
	n.h.close()
	return nil
}

// ID is the UUID of the node.
func (n *Node) ID() string { return n.id }

// Root is the dataset right below which its volumes are.
func (n *Node) Root() string { return n.root }

// Zfs is the OpenZFS the node is on, as a handle of its own, to be closed.
func (n *Node) Zfs() (z *Zfs, err error) {
	err = n.use(func(node *C.zfsvol_node) error {
		z, err = openZfs(func(out **C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_node_zfs(node, out, e) })
		return err
	})
	return z, err
}

// Damaged is a dataset right below the root of a node whose ownership cannot be told.
type Damaged struct {
	Dataset, Why string
}

// Volumes are all volumes of the node, and those whose ownership cannot be told.
func (n *Node) Volumes() ([]VolumeInfo, []Damaged, error) {
	list, err := n.answer(func(node *C.zfsvol_node, out *cList, e *cError) cStatus { return C.zfsvol_volume_list(node, out, e) })
	if err != nil {
		return nil, nil, err
	}
	var (
		all     []VolumeInfo
		damaged []Damaged
	)
	for _, one := range list.lists("volumes") {
		all = append(all, volumeOf(one))
	}
	for _, one := range list.lists("damaged") {
		damaged = append(damaged, Damaged{one.text("dataset"), one.text("why")})
	}
	return all, damaged, nil
}

// use runs f with what C knows it by.
func (n *Node) use(f func(node *C.zfsvol_node) error) error {
	p, err := n.h.use()
	if err != nil {
		return err
	}
	defer n.h.done()
	return f((*C.zfsvol_node)(p))
}

func (n *Node) done(call func(node *C.zfsvol_node, e *cError) cStatus) error {
	return n.use(func(node *C.zfsvol_node) error {
		return done(func(e *cError) cStatus { return call(node, e) })
	})
}

func (n *Node) answer(call func(node *C.zfsvol_node, out *cList, e *cError) cStatus) (list List, err error) {
	err = n.use(func(node *C.zfsvol_node) error {
		list, err = answer(func(out *cList, e *cError) cStatus { return call(node, out, e) })
		return err
	})
	return list, err
}

func (n *Node) given(call func(node *C.zfsvol_node, out *C.zfsvol_buffer, e *cError) cStatus) (s string, err error) {
	err = n.use(func(node *C.zfsvol_node) error {
		s, _, err = given(func(out *C.zfsvol_buffer, e *cError) cStatus { return call(node, out, e) })
		return err
	})
	return s, err
}
