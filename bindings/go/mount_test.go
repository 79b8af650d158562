package zfsvol

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFilesystemIsMounted(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	path, mounted, err := a.Mount(MountOptions{At: "/mnt/a", ReadOnly: MountOn})
	ok(t, err)
	same(t, path, "/mnt/a")
	same(t, mounted, true)
	same(t, strings.Join(must(a.MountedAt())(t), " "), "/mnt/a")
	ok(t, a.Remount(MountOptions{ReadOnly: MountOff}))
	same(t, must(a.Unmount(0))(t), true)
	same(t, must(a.Unmount(UnmountForce))(t), false)
	s := must(a.TakeSnapshot("s"))(t)
	same(t, must(s.Mount("/mnt/s"))(t), true)
	same(t, len(must(s.MountedAt())(t)), 1)
	same(t, must(s.Unmount(0))(t), true)
}

func TestEventsComeUntilTheContextEnds(t *testing.T) {
	zfs := embedded(t)
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	count := 0
	prompt(t, func() {
		for event, err := range zfs.Events(ctx) {
			if err != nil {
				cancelled(t, err)
				break
			}
			if event.EID == 0 || event.Class == "" {
				t.Errorf("event: %+v", event)
			}
			count++
			time.AfterFunc(50*time.Millisecond, cancel)
		}
	})
	if count == 0 {
		t.Fatal("nothing happened")
	}
	for range zfs.Events(t.Context()) {
		break
	}
}

func TestEventsAreSoughtAndCleared(t *testing.T) {
	zfs := embedded(t)
	within := func(eid uint64, wait time.Duration) (KernelEvent, error) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		for event, err := range zfs.EventsAfter(ctx, eid) {
			return event, err
		}
		return KernelEvent{}, nil
	}
	first := func(eid uint64) (KernelEvent, error) { return within(eid, 30*time.Second) }
	none := func(eid uint64) {
		_, err := within(eid, 100*time.Millisecond)
		fails(t, err, context.DeadlineExceeded)
	}
	one := must(first(EventsOldest))(t)
	same(t, one.Dropped, 0)
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	two := must(first(one.EID))(t)
	same(t, two.EID, one.EID+1)
	none(EventsNewest)
	_, err := first(1 << 40)
	fails(t, err, ErrNotFound)
	if cleared := must(zfs.ClearEvents())(t); cleared < 2 {
		t.Fatalf("%d were cleared", cleared)
	}
	same(t, must(zfs.ClearEvents())(t), 0)
	none(EventsOldest)
}

func TestTreeIsMountedAndUnmounted(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	must(zfs.CreateFilesystem("tank/a/b", Settings{"canmount": "noauto"}, nil))(t)
	must(zfs.CreateFilesystem("tank/a/c", Settings{"mountpoint": "legacy"}, nil))(t)
	must(zfs.CreateFilesystem("tank/a/d", Settings{"mountpoint": "/d"}, nil))(t)
	same(t, must(a.MountPlace())(t), MountPlace{Kind: "at", Path: "/tank/a"})
	same(t, must(zfs.Dataset("tank/a/c").MountPlace())(t), MountPlace{Kind: "legacy"})
	_, _, err := a.Mount(MountOptions{})
	ok(t, err)
	tree := must(a.MountTree(MountOptions{ReadOnly: MountOn}))(t)
	same(t, len(tree.Mounted), 2)
	same(t, slices.Contains(tree.Mounted, TreeMount{Name: "tank/a", Path: "/tank/a", Already: true}), true)
	same(t, slices.Contains(tree.Mounted, TreeMount{Name: "tank/a/d", Path: "/d"}), true)
	same(t, tree.Skipped["tank/a/b"]+" "+tree.Skipped["tank/a/c"], "noauto legacy")
	same(t, strings.Join(must(a.UnmountTree(0))(t), " "), "/d /tank/a")
	same(t, len(must(a.UnmountTree(UnmountForce))(t)), 0)
	none := zfs.Dataset("tank/none")
	_, err = none.MountTree(MountOptions{})
	fails(t, err, ErrNotFound)
	_, err = none.MountPlace()
	fails(t, err, ErrNotFound)
	must(zfs.CreateZvol("tank/disk", 1<<20, nil, nil))(t)
	_, err = zfs.Dataset("tank/disk").MountPlace()
	fails(t, err, ErrWrongType)
	_, err = a.UnmountTree(99)
	fails(t, err, ErrUnknownNumber)
}

func TestBookmarkIsLookedUp(t *testing.T) {
	zfs := embedded(t)
	s := must(must(zfs.CreateFilesystem("tank/a", nil, nil))(t).TakeSnapshot("s"))(t)
	ok(t, s.Bookmark("b"))
	one := must(zfs.Bookmark("tank/a#b"))(t)
	guid, _, err := s.Property("guid")
	ok(t, err)
	same(t, one.GUID, guid.Number)
	same(t, one.CreateTXG != 0 && !one.Created.IsZero(), true)
	_, err = zfs.Bookmark("tank/a#none")
	fails(t, err, ErrNotFound)
	_, err = zfs.Bookmark("tank/a@s")
	fails(t, err, ErrInvalidName)
}

func TestBatchesSayOfEach(t *testing.T) {
	node := nodeOf(t, one, NodeOptions{})
	results := must(node.CreateVolumes([]string{"a", "b", "a"}, VolumeSpec{QuotaBytes: 1 << 30, Properties: Settings{"atime": "off"}}, 2))(t)
	same(t, results[1].Info.Quota, 1<<30)
	same(t, (results[0].Err == nil) != (results[2].Err == nil), true)
	_, err := node.CreateVolumes([]string{"a/b"}, VolumeSpec{}, 0)
	fails(t, err, ErrInvalidName)
	results = must(node.SnapshotVolumes([]string{"a", "none", "b"}, "s", 0))(t)
	same(t, len(results), 3)
	same(t, results[0].Done && results[2].Done && !results[1].Done, true)
	fails(t, results[1].Err, ErrNotFound)
	results = must(node.CloneVolumes([]VolumeCopy{{"a", "s", "c"}, {"a", "", "d"}, {"a", "", "b"}}, 2))(t)
	same(t, results[0].Info.Name, "c")
	fails(t, results[2].Err, ErrExists)
	results = must(node.DestroyVolumes([]string{"c", "d", "none"}, 0))(t)
	same(t, results[0].Done && results[1].Done && !results[2].Done, true)
}
