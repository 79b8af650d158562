package zfsvol

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestFilesystemIsCreatedAndDestroyed(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", Settings{"compression": "lz4", "recordsize": "32768"}, nil))(t)
	same(t, must(a.Exists())(t), true)
	compression, there, err := a.Property("compression")
	ok(t, err)
	same(t, there, true)
	same(t, compression, Property{Text: "lz4", Source: SourceLocal})
	_, err = zfs.CreateFilesystem("tank/a", nil, nil)
	fails(t, err, ErrExists)
	_, err = zfs.CreateFilesystem("tank/b/c", nil, nil)
	fails(t, err, ErrNotFound)
	_, err = zfs.CreateFilesystem("tank/b", Settings{"compresion": "lz4"}, nil)
	fails(t, err, ErrInvalidProperty)
	_, err = zfs.CreateFilesystem("tank/\xff", nil, nil)
	fails(t, err, ErrNotUTF8)
	_, err = zfs.CreateFilesystem("", nil, nil)
	fails(t, err, ErrInvalidName)
	ok(t, a.Destroy())
	same(t, must(a.Exists())(t), false)
	fails(t, a.Destroy(), ErrNotFound)
}

func TestZvolIsResized(t *testing.T) {
	zfs := embedded(t)
	disk := must(zfs.CreateZvol("tank/disk", 8<<20, Settings{"volblocksize": "16K"}, nil))(t)
	ok(t, disk.Resize(16<<20))
	size, _, err := disk.Property("volsize")
	ok(t, err)
	same(t, size.Number, 16<<20)
	same(t, size.String(), "16777216")
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	fails(t, zfs.Dataset("tank/a").Resize(1<<20), ErrWrongType)
	_, err = zfs.CreateZvol("tank/odd", 1000, nil, nil)
	fails(t, err, ErrInvalid)
}

func TestErrorSaysEverything(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	monday := must(a.TakeSnapshot("monday"))(t)
	must(zfs.Hold([]Hold{{monday.Name(), "backup"}}, nil))(t)
	err := monday.Destroy()
	fails(t, err, ErrBusy)
	fails(t, err, syscall.EBUSY)
	var e *Error
	if !errors.As(err, &e) || len(e.Failures) != 1 {
		t.Fatalf("no details: %#v", err)
	}
	failure := e.Failures[0]
	same(t, failure.Name, "tank/a@monday")
	same(t, failure.Kind, ErrBusy)
	same(t, failure.Errno, syscall.EBUSY)
	if len(failure.Busy) != 1 || failure.Busy[0].Why != "holds" || !slices.Equal(failure.Busy[0].Names, []string{"backup"}) {
		t.Fatalf("by what: %+v", failure.Busy)
	}
	same(t, strings.Contains(err.Error(), "tank/a@monday"), true)
	busy := must(monday.Busy())(t)
	same(t, len(busy), 1)
	_, err = zfs.Hold([]Hold{{monday.Name(), "backup"}}, nil)
	fails(t, err, ErrExists)
	same(t, errors.As(err, &e), true)
	same(t, e.Failures[0].Reason, "tag 'backup': it is held with this tag already")
	missing := must(zfs.Release([]Hold{{monday.Name(), "other"}, {monday.Name(), "backup"}, {"tank/a@none", "backup"}}))(t)
	same(t, slices.Equal(missing, []MissingHold{{Hold{monday.Name(), "other"}, true}, {Hold{"tank/a@none", "backup"}, false}}), true)
	ok(t, monday.Destroy())
}

func TestTreeIsRenamedClonedPromotedAndDestroyed(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	must(zfs.CreateFilesystem("tank/a/b", nil, nil))(t)
	made := must(a.TakeSnapshots("one", Settings{"org.example:why": "test"}))(t)
	same(t, len(made), 2)
	clone := must(a.Snapshot("one").Clone("tank/clone", nil))(t)
	fails(t, a.Promote(), ErrWrongType)
	ok(t, clone.Promote())
	same(t, must(clone.Snapshot("one").Exists())(t), true)
	ok(t, a.Promote())
	renamed := must(a.Rename("tank/z"))(t)
	same(t, renamed.Name(), "tank/z")
	_, err := renamed.Rename("other/z")
	fails(t, err, ErrUnrelated)
	fails(t, renamed.Destroy(), ErrBusy)
	_, err = renamed.DestroyRecursive()
	fails(t, err, ErrBusy)
	ok(t, clone.Destroy())
	how := must(renamed.DestroyRecursive())(t)
	same(t, how == TreeAtOnce || how == TreeOneByOne, true)
	same(t, must(renamed.DestroyRecursive())(t), TreeAbsent)
}

func TestRollbackGoesToTheNewest(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	_, err := a.Rollback()
	fails(t, err, ErrNotFound)
	one := must(a.TakeSnapshot("one"))(t)
	two := must(a.TakeSnapshot("two"))(t)
	same(t, must(a.Rollback())(t).Name(), two.Name())
	fails(t, one.Rollback(), ErrBusy)
	ok(t, two.Rollback())
}

func TestSnapshotsAreTakenTogether(t *testing.T) {
	zfs := embedded(t)
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	must(zfs.CreateFilesystem("tank/b", nil, nil))(t)
	ok(t, zfs.CreateSnapshots([]string{"tank/a@s", "tank/b@s"}, Settings{"org.example:n": "1"}))
	err := zfs.CreateSnapshots([]string{"tank/a@s", "tank/c@s"}, nil)
	var e *Error
	if !errors.As(err, &e) || len(e.Failures) == 0 {
		t.Fatalf("no failures: %v", err)
	}
	renamed := must(zfs.Snapshot("tank/a@s").Rename("t", false))(t)
	same(t, renamed.Name(), "tank/a@t")
	same(t, renamed.Dataset().Name(), "tank/a")
	mark := must(renamed.Properties())(t)["org.example:n"]
	same(t, mark.Text, "1")
	ok(t, renamed.Set(Settings{"org.example:n": "2"}))
	space := must(renamed.SpaceTo(renamed))(t)
	_ = space
	must(zfs.Dataset("tank/a").WrittenSince("tank/a@t"))(t)
	ok(t, zfs.DestroySnapshots([]string{"tank/a@t", "tank/b@s", "tank/b@none"}, false))
	ok(t, zfs.Dataset("tank").DestroySnapshots("none", false))
}

func TestHoldsOfAHolderEndWithIt(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	one := must(a.TakeSnapshot("one"))(t)
	holder := must(zfs.OpenHolder())(t)
	missing := must(zfs.Hold([]Hold{{one.Name(), "t"}, {"tank/a@none", "t"}}, holder))(t)
	same(t, strings.Join(missing, " "), "tank/a@none")
	held := must(one.Holds())(t)
	same(t, len(held), 1)
	same(t, held[0].Tag, "t")
	if held[0].Since.Unix() <= 0 {
		t.Fatalf("since: %v", held[0].Since)
	}
	ok(t, holder.Close())
	same(t, len(must(one.Holds())(t)), 0)
	_, err := zfs.Hold([]Hold{{one.Name(), "t"}}, holder)
	fails(t, err, ErrClosed)
}

func TestBookmarksOutliveTheirSnapshot(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	one := must(a.TakeSnapshot("one"))(t)
	ok(t, one.Bookmark("mark"))
	fails(t, one.Bookmark("mark"), ErrExists)
	ok(t, one.Destroy())
	marks := must(a.Bookmarks())(t)
	same(t, len(marks), 1)
	same(t, marks[0].Name, "tank/a#mark")
	if marks[0].GUID == 0 || marks[0].CreateTXG == 0 {
		t.Fatalf("bookmark: %+v", marks[0])
	}
	ok(t, zfs.DestroyBookmarks([]string{"tank/a#mark"}))
	same(t, len(must(a.Bookmarks())(t)), 0)
}

func TestPropertiesAreSetInheritedAndListed(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	b := must(zfs.CreateFilesystem("tank/a/b", nil, nil))(t)
	ok(t, a.Set(Settings{"atime": "off", "quota": "1G"}))
	all := must(b.Properties())(t)
	same(t, all["atime"], Property{Text: "off", Source: SourceInherited, InheritedFrom: "tank/a"})
	same(t, must(a.Properties())(t)["quota"].Number, 1<<30)
	ok(t, a.Inherit("atime"))
	same(t, must(b.Properties())(t)["atime"].Source, SourceDefault)
	ok(t, a.Revert("quota"))
	fails(t, a.Set(Settings{"atime": "maybe"}), ErrInvalidProperty)
	ok(t, a.Set(nil))
	_, there, err := a.Property("volsize")
	ok(t, err)
	same(t, there, false)
}

func TestListingCanBeLeft(t *testing.T) {
	zfs := embedded(t)
	for _, name := range []string{"tank/a", "tank/a/b", "tank/c"} {
		must(zfs.CreateFilesystem(name, nil, nil))(t)
	}
	must(zfs.Dataset("tank/a").TakeSnapshot("s"))(t)
	var names []string
	for name, err := range zfs.Names(ListOptions{Roots: []string{"tank/a"}, Kinds: Filesystems | Snapshots}) {
		ok(t, err)
		names = append(names, name)
	}
	slices.Sort(names)
	same(t, strings.Join(names, " "), "tank/a tank/a/b tank/a@s")
	zero := uint64(0)
	count := 0
	for entry, err := range zfs.List(ListOptions{Roots: []string{"tank"}, Depth: &zero, AllProperties: true}) {
		ok(t, err)
		same(t, entry.Name, "tank")
		same(t, entry.Kind, "filesystem")
		if entry.GUID == 0 || entry.Properties["used"].Number == 0 {
			t.Fatalf("entry: %+v", entry)
		}
		count++
	}
	same(t, count, 1)
	for range zfs.List(ListOptions{}) {
		break
	}
	for range zfs.List(ListOptions{Roots: []string{}}) {
		t.Fatal("nothing was asked for")
	}
	for _, err := range zfs.Names(ListOptions{Roots: []string{"tank/none"}}) {
		fails(t, err, ErrNotFound)
	}
}

func TestKeysOpenWhatTheyEncrypt(t *testing.T) {
	zfs := embedded(t)
	_, err := RawKey([]byte("short"))
	fails(t, err, ErrInvalid)
	_, err = HexKey("no")
	fails(t, err, ErrInvalid)
	key := must(RawKey(make([]byte, 32)))(t)
	defer key.Close()
	other := must(RawKey([]byte(strings.Repeat("ab", 16))))(t)
	defer other.Close()
	words := must(HexKey(strings.Repeat("ab", 32)))(t)
	defer words.Close()
	secret := must(zfs.CreateFilesystem("tank/secret", nil, key))(t)
	ok(t, secret.UnloadKey())
	fails(t, secret.UnloadKey(), ErrKeyNotLoaded)
	fails(t, secret.LoadKey(other), ErrWrongKey)
	fails(t, secret.LoadKey(words), ErrInvalid)
	ok(t, secret.CheckKey(key))
	ok(t, secret.LoadKey(key))
	ok(t, key.Close())
	fails(t, secret.LoadKey(key), ErrClosed)
	ok(t, secret.ChangeKey(other, nil))
}
