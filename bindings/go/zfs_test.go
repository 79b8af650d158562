package zfsvol

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestOpensWhatTheURINames(t *testing.T) {
	_, err := Open("floppy:")
	fails(t, err, ErrInvalid)
	module := must(embedded(t).Module())(t)
	if module.Major < 2 || module.Version == "" || len(module.DatasetProperties) == 0 {
		t.Fatalf("what module is that: %+v", module)
	}
	if Version() == "" {
		t.Fatal("the library has no version")
	}
}

func TestEmbeddedIsMadeToMeasure(t *testing.T) {
	zfs := must(OpenEmbedded(EmbeddedOptions{
		Release: Release21, Seeded: true, Seed: 7,
		Pools: []EmbeddedPool{{"one", 1 << 30}, {"two", 1 << 30}},
	}))(t)
	defer zfs.Close()
	module := must(zfs.Module())(t)
	same(t, module.Major, 2)
	same(t, module.Minor, 1)
	pools := must(zfs.Pools())(t)
	if len(pools) != 2 {
		t.Fatalf("pools: %v", pools)
	}
	status := must(zfs.Pool("two").Status())(t)
	same(t, status.Health, "online")
	if status.GUID == 0 || status.Size == 0 {
		t.Fatalf("status: %+v", status)
	}
	_, err := zfs.Pool("three").Status()
	fails(t, err, ErrNotFound)
	ok(t, zfs.Pool("one").Set(Settings{"comment": "spare"}))
	same(t, must(zfs.Pool("one").Properties())(t)["comment"].Text, "spare")
	ok(t, zfs.Pool("one").Sync(false))
}

func TestCloseIsIdempotentAndUseAfterCloseIsAnError(t *testing.T) {
	zfs := must(Open("embedded:"))(t)
	dataset := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	ok(t, zfs.Close())
	ok(t, zfs.Close())
	_, err := dataset.Exists()
	fails(t, err, ErrClosed)
	fails(t, err, os.ErrClosed)
	for _, err := range zfs.List(ListOptions{}) {
		fails(t, err, ErrClosed)
	}
	fails(t, dataset.Destroy(), ErrClosed)
	_, err = new(Zfs).Module()
	fails(t, err, ErrClosed)
	ok(t, new(Zfs).Close())
}

func TestCloseWaitsForCalls(t *testing.T) {
	zfs := must(Open("embedded:"))(t)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				if _, err := zfs.Dataset("tank").Properties(); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	for range 3 {
		all.Add(1)
		go func() {
			defer all.Done()
			zfs.Close()
		}()
	}
	all.Wait()
}

func TestCollectorFreesWhatNobodyClosed(t *testing.T) {
	before := live.Load()
	func() {
		zfs := must(Open("embedded:"))(t)
		must(zfs.Module())(t)
	}()
	for deadline := time.Now().Add(10 * time.Second); live.Load() > before; {
		if time.Now().After(deadline) {
			t.Fatal("it was not freed")
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestDoorsRefuse(t *testing.T) {
	zfs := embedded(t)
	door := must(zfs.ReadOnly())(t)
	defer door.Close()
	_, err := door.CreateFilesystem("tank/a", nil, nil)
	fails(t, err, ErrReadOnly)
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	must(zfs.CreateFilesystem("tank/b", nil, nil))(t)
	tree := must(zfs.Subtree("tank/a", ""))(t)
	defer tree.Close()
	must(tree.CreateFilesystem("tank/a/below", nil, nil))(t)
	if err := tree.Dataset("tank/b").Destroy(); err == nil {
		t.Fatal("that is not below the root")
	}
}

func TestProgramTakesAndReturnsLists(t *testing.T) {
	zfs := embedded(t)
	_, err := zfs.Pool("tank").Program("this is no Lua", ProgramOptions{})
	if err == nil {
		t.Fatal("it ran")
	}
	_, err = zfs.Pool("tank").Program("return 1", ProgramOptions{Arguments: List{"what": make(chan int)}})
	fails(t, err, ErrWrongType)
}

func TestKindsAreErrorsOfTheStandardLibrary(t *testing.T) {
	zfs := embedded(t)
	_, err := zfs.Dataset("tank/none").Properties()
	fails(t, err, fs.ErrNotExist)
	same(t, ErrBusy.Error(), "busy")
	same(t, errors.Is(err, fs.ErrExist), false)
	var kind Kind
	same(t, errors.As(err, &kind) && kind == ErrNotFound, true)
}

func TestEmbeddedKernelHasAClock(t *testing.T) {
	noon := time.Unix(1700000000, 0)
	now := noon
	zfs := must(OpenEmbedded(EmbeddedOptions{Pools: []EmbeddedPool{{Name: "pond", Bytes: 1 << 30}}, Clock: func() time.Time {
		if now.IsZero() {
			panic("no clock")
		}
		return now
	}}))(t)
	defer zfs.Close()
	created := func(name string) time.Time {
		made := must(zfs.CreateFilesystem(name, nil, nil))(t)
		creation, _, err := made.Property("creation")
		ok(t, err)
		return time.Unix(int64(creation.Number), 0)
	}
	same(t, created("pond/a"), noon)
	now = noon.Add(time.Hour)
	same(t, created("pond/b"), now)
	now = time.Time{}
	same(t, created("pond/c").After(noon.Add(2*time.Hour)), true)
	_, err := OpenEmbedded(EmbeddedOptions{Release: 1, Clock: time.Now})
	fails(t, err, ErrUnknownNumber)
}
