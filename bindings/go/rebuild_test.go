package zfsvol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// zvols are a full stream of a zvol and an increment, what is on it in the end, and the GUID of that.
func zvols(t *testing.T) (full, increment, data []byte, guid uint64) {
	t.Helper()
	zfs := embedded(t)
	disk := must(zfs.CreateZvol("tank/disk", 1<<20, nil, nil))(t)
	device := must(disk.OpenDevice(t.Context(), true))(t)
	defer device.Close()
	read := func(s Snapshot, base string) []byte {
		stream := must(s.Send(t.Context(), SendOptions{Base: base}))(t)
		defer stream.Close()
		return must(io.ReadAll(stream))(t)
	}
	must(device.WriteAt(bytes.Repeat([]byte{7}, 64<<10), 0))(t)
	one := must(disk.TakeSnapshot("one"))(t)
	must(device.WriteAt(bytes.Repeat([]byte{9}, 16<<10), 128<<10))(t)
	two := must(disk.TakeSnapshot("two"))(t)
	data = make([]byte, 1<<20)
	must(device.ReadAt(data, 0))(t)
	number, _, err := two.Property("guid")
	ok(t, err)
	return read(one, ""), read(two, one.Name()), data, number.Number
}

// file is an empty file.
func file(t *testing.T) *os.File {
	t.Helper()
	f := must(os.Create(filepath.Join(t.TempDir(), "file")))(t)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestZvolIsRebuiltFromItsStreams(t *testing.T) {
	full, increment, data, guid := zvols(t)
	f := file(t)
	image := must(OpenZvolImage(f, 0))(t)
	same(t, must(image.Info())(t), ImageInfo{})
	fails(t, image.Apply(t.Context(), bytes.NewReader(increment)), ErrStreamDamaged)
	ok(t, image.Apply(t.Context(), bytes.NewReader(full)))
	base := must(image.Info())(t)
	same(t, base.GUID != 0 && base.GUID != guid && base.Written >= 64<<10, true)
	ok(t, image.Close())
	ok(t, image.Close())
	_, err := image.Info()
	fails(t, err, ErrClosed)
	fails(t, image.Apply(t.Context(), bytes.NewReader(increment)), ErrClosed)

	image = must(OpenZvolImage(f, base.GUID))(t)
	defer image.Close()
	ok(t, image.Apply(t.Context(), bytes.NewReader(increment)))
	same(t, must(image.Info())(t).GUID, guid)
	must(f.Seek(0, io.SeekStart))(t)
	same(t, bytes.Equal(must(io.ReadAll(f))(t), data), true)

	gone := errors.New("gone")
	fails(t, image.Apply(t.Context(), failing{gone}), gone)
	fails(t, image.Apply(t.Context(), bytes.NewReader(fixture(t, "full.zfs"))), ErrInvalid)
	ok(t, f.Close())
	_, err = OpenZvolImage(f, 0)
	fails(t, err, os.ErrClosed)
	_, err = OpenFileImage(nil, 1)
	fails(t, err, os.ErrInvalid)
}

func TestRangesThatChangedAreTold(t *testing.T) {
	full, increment, _, _ := zvols(t)
	changes := must(NewChanges())(t)
	same(t, len(must(changes.List())(t).Objects), 0)
	ok(t, changes.Add(t.Context(), bytes.NewReader(increment)))
	list := must(changes.List())(t)
	disk := list.Objects[0]
	same(t, disk.Object, 1)
	same(t, fmt.Sprint(disk.Written), "[{131072 147456}]")
	same(t, disk.BlockBytes, 16<<10)
	// What a full stream does not have is not there.
	ok(t, changes.Add(t.Context(), bytes.NewReader(full)))
	same(t, fmt.Sprint(must(changes.List())(t).Objects[0].Written), "[{0 65536}]")
	ok(t, changes.Add(t.Context(), bytes.NewReader(increment)))
	same(t, fmt.Sprint(must(changes.List())(t).Objects[0].Written), "[{0 65536} {131072 147456}]")
	fails(t, changes.Add(t.Context(), bytes.NewReader(full[:1000])), ErrStreamTruncated)
	ok(t, changes.Close())
	ok(t, changes.Close())
	_, err := changes.List()
	fails(t, err, ErrClosed)
	fails(t, changes.Add(t.Context(), bytes.NewReader(full)), ErrClosed)
	same(t, fmt.Sprint(changesOf(List{"freed_objects": List{"20": uint64(30), "3": uint64(5)}}).FreedObjects), "[{3 5} {20 30}]")
}

func TestFilesAreListedAndRebuilt(t *testing.T) {
	stream := fixture(t, "large.zfs")
	tree := must(NewFileTree(0))(t)
	fails(t, tree.Walk(func(TreeFile) error { return nil }), ErrInvalid)
	ok(t, tree.Apply(t.Context(), bytes.NewReader(stream)))
	var all []TreeFile
	ok(t, tree.Walk(func(file TreeFile) error {
		all = append(all, file)
		return nil
	}))
	same(t, len(all), 1)
	same(t, all[0].Path == "file" && all[0].Kind == "file" && all[0].Size == 260000 && all[0].Mode == 0o644 && all[0].Links == 1, true)
	same(t, all[0].Modified.Year(), 2026)
	object, size, err := tree.Find("/file")
	ok(t, err)
	same(t, object, all[0].Object)
	same(t, size, 260000)
	_, _, err = tree.Find("none/at/all")
	fails(t, err, ErrNotFound)
	fails(t, tree.Apply(t.Context(), bytes.NewReader(sent(t))), ErrInvalid)
	ok(t, tree.Close())
	ok(t, tree.Close())
	fails(t, tree.Walk(func(TreeFile) error { return nil }), ErrClosed)
	_, _, err = tree.Find("file")
	fails(t, err, ErrClosed)

	f := file(t)
	image := must(OpenFileImage(f, object))(t)
	ok(t, image.Apply(t.Context(), bytes.NewReader(stream)))
	ok(t, image.Finish(size))
	same(t, must(f.Stat())(t).Size(), 260000)
	fails(t, image.Finish(size), ErrConsumed)
	fails(t, image.Apply(t.Context(), bytes.NewReader(stream)), ErrConsumed)
	ok(t, image.Close())
	ok(t, image.Close())
	fails(t, image.Finish(size), ErrClosed)
}

func TestWalkIsLeft(t *testing.T) {
	tree := must(NewFileTree(0))(t)
	defer tree.Close()
	ok(t, tree.Apply(t.Context(), bytes.NewReader(fixture(t, "dnodes.zfs"))))
	walk := func(leave error) (count int, err error) {
		err = tree.Walk(func(TreeFile) error {
			count++
			return leave
		})
		return count, err
	}
	count, err := walk(nil)
	ok(t, err)
	same(t, count, 3)
	count, err = walk(fs.SkipAll)
	ok(t, err)
	same(t, count, 1)
	enough := errors.New("enough")
	count, err = walk(enough)
	same(t, err, enough)
	same(t, count, 1)
	func() {
		defer func() { same(t, recover(), any("enough")) }()
		_ = tree.Walk(func(TreeFile) error { panic("enough") })
	}()
	_, _, err = tree.Find("1")
	ok(t, err)
	small := must(NewFileTree(1))(t)
	defer small.Close()
	fails(t, small.Apply(t.Context(), bytes.NewReader(fixture(t, "dnodes.zfs"))), ErrInvalid)
}

func TestContextAndCloseEndWhatEatsAStream(t *testing.T) {
	full, _, _, _ := zvols(t)
	for _, end := range []string{"context", "close"} {
		image := must(OpenZvolImage(file(t), 0))(t)
		defer image.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		from, to := io.Pipe()
		go func() {
			// All of it is taken when this returns, so it is under way.
			to.Write(full[:1000])
			if end == "close" {
				image.Close()
			} else {
				cancel()
			}
		}()
		prompt(t, func() {
			err := image.Apply(ctx, from)
			fails(t, err, ErrCancelled)
			if end == "close" {
				fails(t, err, ErrClosed)
			} else {
				fails(t, err, context.Canceled)
			}
		})
	}
}
