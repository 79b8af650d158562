package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strconv"
	"unsafe"
)

// Changes are which objects, and which ranges of them, streams change: what there is to copy after an increment, with no kernel. By one goroutine at a time;
// others wait.
type Changes struct{ e eater }

// Range is a range of bytes, or of numbers, that ends before End.
type Range struct{ Begin, End uint64 }

// ChangedObject is what streams change of an object.
type ChangedObject struct {
	// Of a zvol, 1 is the block device. Of a file system, the number of an inode.
	Object uint64
	// OpenZFS's number of what it is (dmu_object_type_t), and its size of blocks; 0 where no stream said it.
	Type, BlockBytes uint32
	// Where it ends, as far as the streams say.
	End uint64
	// In bytes, in their order: what has new data, what has none any more, and what was left out.
	Written, Freed, Redacted []Range
}

// ChangeList is all that streams change.
type ChangeList struct {
	// By their numbers.
	Objects []ChangedObject
	// The numbers of objects that are gone.
	FreedObjects []Range
}

// NewChanges are those of no stream yet.
func NewChanges() (*Changes, error) {
	var out *C.zfsvol_changes
	if err := done(func(e *cError) cStatus { return C.zfsvol_changes_new(&out, e) }); err != nil {
		return nil, err
	}
	c := &Changes{newEater(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_changes_free((*C.zfsvol_changes)(p)) })}
	return caught(c, c.e.h), nil
}

// Add adds what a stream changes, or all streams of a package of one dataset. Memory grows with what it names. When the context ends, a Read that waits is
// ended as [CopyStream] says. Fails as [VerifyStream].
func (c *Changes) Add(ctx context.Context, stream io.Reader) error {
	return c.e.eat(ctx, stream, func(changes unsafe.Pointer, reader *C.zfsvol_reader, e *cError) cStatus {
		return C.zfsvol_changes_add((*C.zfsvol_changes)(changes), reader, e)
	})
}

// List is all of it.
func (c *Changes) List() (changed ChangeList, err error) {
	err = c.e.use(func(changes unsafe.Pointer) error {
		list, err := answer(func(out *cList, e *cError) cStatus {
			return C.zfsvol_changes_list((*C.zfsvol_changes)(changes), out, e)
		})
		changed = changesOf(list)
		return err
	})
	return changed, err
}

// Close ends an Add that runs, and frees the changes. Does nothing if it is closed.
func (c *Changes) Close() error {
	c.e.h.close()
	return nil
}

func changesOf(list List) ChangeList {
	changed := ChangeList{FreedObjects: rangesOf(list.list("freed_objects"))}
	objects := list.list("objects")
	for name := range objects {
		one := objects.list(name)
		number, _ := strconv.ParseUint(name, 10, 64)
		changed.Objects = append(changed.Objects, ChangedObject{
			Object: number, Type: uint32(one.number("object_type")), BlockBytes: uint32(one.number("block_bytes")), End: one.number("end"),
			Written: rangesOf(one.list("written")), Freed: rangesOf(one.list("freed")), Redacted: rangesOf(one.list("redacted")),
		})
	}
	slices.SortFunc(changed.Objects, func(a, b ChangedObject) int { return cmp.Compare(a.Object, b.Object) })
	return changed
}

func rangesOf(list List) []Range {
	var all []Range
	for begin := range list {
		number, _ := strconv.ParseUint(begin, 10, 64)
		all = append(all, Range{number, list.number(begin)})
	}
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.Begin, b.Begin) })
	return all
}
