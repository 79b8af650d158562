package zfsvol

import (
	"context"
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
