package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"iter"
	"unsafe"
)

// Kinds are kinds of dataset, added up.
type Kinds uint32

const (
	Filesystems Kinds = C.ZFSVOL_KIND_FILESYSTEM
	Snapshots   Kinds = C.ZFSVOL_KIND_SNAPSHOT
	Zvols       Kinds = C.ZFSVOL_KIND_VOLUME
	Bookmarks   Kinds = C.ZFSVOL_KIND_BOOKMARK
)

// ListOptions say what to list. The zero value is the file systems and zvols of all imported pools, at every depth, without properties.
type ListOptions struct {
	// Only these datasets and what is below them. Nil for all pools; with none of them nothing is listed.
	Roots []string
	// Only these kinds; 0 for file systems and zvols.
	Kinds Kinds
	// Only so many levels below each root, if not nil: 0 for the roots alone, with their snapshots and bookmarks.
	Depth *uint64
	// With these properties, as far as each has them.
	Properties []string
	// With all properties.
	AllProperties bool
	// From how many threads the kernel is asked; 0 for what fits the machine.
	Threads int
}

// Entry is a dataset, snapshot or bookmark of a listing.
type Entry struct {
	// Its full name.
	Name string
	// "filesystem", "volume", "snapshot" or "bookmark".
	Kind            string
	GUID, CreateTXG uint64
	// The snapshot that a clone was made of.
	Origin     string
	Properties Properties
}

// List lists datasets. A failure is the last of the sequence, with an empty entry.
//
//	for entry, err := range zfs.List(zfsvol.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(entry.Name)
//	}
func (z *Zfs) List(options ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var listing *C.zfsvol_listing
		err := z.withListOptions(options, func(zfs *C.zfsvol_zfs, o *C.zfsvol_list_options, e *cError) cStatus {
			return C.zfsvol_listing_open(zfs, o, &listing, e)
		})
		if err != nil {
			yield(Entry{}, err)
			return
		}
		each(
			func(out *cList, e *cError) cStatus { return C.zfsvol_listing_next(listing, out, e) },
			func() { C.zfsvol_listing_free(listing) },
			func(list List, err error) bool { return yield(entryOf(list), err) },
		)
	}
}

// Names lists names, which asks the kernel less. Options about properties mean nothing to it. A failure is the last of the sequence.
func (z *Zfs) Names(options ListOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names *C.zfsvol_names
		err := z.withListOptions(options, func(zfs *C.zfsvol_zfs, o *C.zfsvol_list_options, e *cError) cStatus {
			return C.zfsvol_names_open(zfs, o, &names, e)
		})
		if err != nil {
			yield("", err)
			return
		}
		defer C.zfsvol_names_free(names)
		for {
			name, there, err := given(func(out *C.zfsvol_buffer, e *cError) cStatus { return C.zfsvol_names_next(names, out, e) })
			if err != nil {
				yield("", err)
				return
			}
			if !there || !yield(name, nil) {
				return
			}
		}
	}
}

func (z *Zfs) withListOptions(options ListOptions, call func(zfs *C.zfsvol_zfs, o *C.zfsvol_list_options, e *cError) cStatus) error {
	var (
		a arena
		o C.zfsvol_list_options
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.roots, o.root_count = a.strs(options.Roots)
	o.kinds = C.zfsvol_kind(options.Kinds)
	if options.Depth != nil {
		o.limit_depth, o.depth = true, C.uint64_t(*options.Depth)
	}
	o.all_properties = C.bool(options.AllProperties)
	o.properties, o.property_count = a.strs(options.Properties)
	o.threads = C.size_t(max(options.Threads, 0))
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return call(zfs, &o, e) })
}

func entryOf(list List) Entry {
	return Entry{
		Name: list.text("name"), Kind: list.text("kind"),
		GUID: list.number("guid"), CreateTXG: list.number("createtxg"),
		Origin: list.text("origin"), Properties: propertiesOf(list.list("properties")),
	}
}
