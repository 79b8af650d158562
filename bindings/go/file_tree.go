package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
	"unsafe"
)

// FileTree is the files of a file system, from its streams, with no kernel: their names and what is known of them, without their data. By one goroutine at a
// time; others wait.
type FileTree struct{ e eater }

// TreeFile is a file of a [FileTree].
type TreeFile struct {
	// From the root of the file system, without a "/" before it.
	Path string
	// By which [OpenFileImage] takes it.
	Object uint64
	// "file", "directory", "link", "pipe", "socket", "block_device", "character_device" or "unknown".
	Kind string
	// In bytes; of a directory, how many entries.
	Size uint64
	// Permissions and type, as stat has them.
	Mode            uint32
	UID, GID, Links uint64
	Modified        time.Time
	// What a symbolic link points to.
	Target string
}

// walkBatch is how many files wait for who visits them, so that not each takes two switches of goroutines.
const walkBatch = 64

// NewFileTree is a tree of nothing yet: a full stream comes first. It keeps so many bytes at most; 0 for 1 GiB, which is for some ten million names.
func NewFileTree(limit uint64) (*FileTree, error) {
	var out *C.zfsvol_file_tree
	if err := done(func(e *cError) cStatus { return C.zfsvol_file_tree_new(C.uint64_t(limit), &out, e) }); err != nil {
		return nil, err
	}
	t := &FileTree{newEater(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_file_tree_free((*C.zfsvol_file_tree)(p)) })}
	return caught(t, t.e.h), nil
}

// Apply makes it the tree at the snapshot of this stream. When the context ends, a Read that waits is ended as [CopyStream] says.
//
// Fails as [VerifyStream], also when the stream does not start from what the tree is; with [ErrInvalid] (it is not of a file system; raw, redacted or resumed;
// more than the limit).
func (t *FileTree) Apply(ctx context.Context, stream io.Reader) error {
	return t.e.eat(ctx, stream, func(tree unsafe.Pointer, reader *C.zfsvol_reader, e *cError) cStatus {
		return C.zfsvol_file_tree_apply((*C.zfsvol_file_tree)(tree), reader, e)
	})
}

// Walk calls visit with every file, directories before what is in them, names in their order, until it returns an error, which Walk then returns; of
// [fs.SkipAll], nil. Visit must not call methods of the tree, which wait for the walk to end.
//
// Fails with [ErrInvalid] (there is no file system), [ErrCorrupt].
func (t *FileTree) Walk(visit func(TreeFile) error) error {
	// C walks in another goroutine, so that visit can end this one, by a panic or runtime.Goexit, and not C.
	files, left, over := make(chan TreeFile, walkBatch), make(chan struct{}), make(chan error, 1)
	go func() {
		err := t.walk(func(list cList) {
			select {
			case <-left:
				return
			default:
			}
			select {
			case files <- fileOf(decode(list)):
			case <-left:
			}
		})
		over <- err
		close(files)
	}()
	// The tree is free when it returns.
	defer func() {
		close(left)
		for range files {
		}
	}()
	for file := range files {
		if err := visit(file); err != nil {
			if errors.Is(err, fs.SkipAll) {
				return nil
			}
			return err
		}
	}
	return <-over
}

// Find is what is at a path: its object and its length in bytes, for [OpenFileImage] and [FileImage.Finish]. Fails with [ErrNotFound], and as
// [FileTree.Walk].
func (t *FileTree) Find(path string) (object, size uint64, err error) {
	var o, n C.uint64_t
	err = t.e.done(func(tree unsafe.Pointer, e *cError) cStatus {
		return C.zfsvol_file_tree_find((*C.zfsvol_file_tree)(tree), lend(path), &o, &n, e)
	})
	return uint64(o), uint64(n), err
}

// Close ends an Apply that runs, and frees the tree. Does nothing if it is closed.
func (t *FileTree) Close() error {
	t.e.h.close()
	return nil
}

func (t *FileTree) walk(visit func(cList)) error {
	context := lendGo(visit)
	defer zfsvolGoRelease(context)
	return t.e.done(func(tree unsafe.Pointer, e *cError) cStatus {
		return C.zfsvol_file_tree_walk((*C.zfsvol_file_tree)(tree), (*[0]byte)(C.zfsvolGoVisit), context, e)
	})
}

func fileOf(list List) TreeFile {
	return TreeFile{
		Path: list.text("path"), Object: list.number("object"), Kind: list.text("kind"), Size: list.number("size"), Mode: uint32(list.number("mode")),
		UID: list.number("uid"), GID: list.number("gid"), Links: list.number("links"), Modified: when(int64(list.number("modified"))), Target: list.text("target"),
	}
}
