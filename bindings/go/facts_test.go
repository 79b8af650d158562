package zfsvol

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestNamesAreTakenApart(t *testing.T) {
	same(t, must(ParseName("tank/a/b@c"))(t), Name{Kind: "snapshot", Pool: "tank", Dataset: "tank/a/b", Parent: "tank/a", Snapshot: "c", Depth: 2})
	same(t, must(ParseName("tank#m"))(t), Name{Kind: "bookmark", Pool: "tank", Dataset: "tank", Bookmark: "m"})
	same(t, must(ParseName("tank"))(t), Name{Kind: "dataset", Pool: "tank", Dataset: "tank"})
	for _, wrong := range []string{"", "tank/", "tank/a b@", "tank@a@b", "/tank"} {
		_, err := ParseName(wrong)
		fails(t, err, ErrInvalidName)
	}
}

func TestRetentionIsPlanned(t *testing.T) {
	at := func(hour int64) time.Time { return time.Unix(hour*3600, 0) }
	// From oldest to newest, and not as their names are ordered.
	snapshots := []Candidate{{Name: "d", Created: at(1)}, {Name: "c", Created: at(2), Holds: []string{"backup"}}, {Name: "b", Created: at(3)}, {Name: "a", Created: at(4)}}
	plan := must(PlanRetention(Retention{Last: 1}, snapshots))(t)
	if !slices.Equal(plan.Destroyed, []string{"d", "b"}) || len(plan.Kept) != 2 || !slices.Equal(plan.Kept["c"], []string{"held by 'backup'"}) || len(plan.Kept["a"]) != 1 {
		t.Fatalf("%+v", plan)
	}
	plan = must(PlanRetention(Retention{}, snapshots))(t)
	same(t, len(plan.Destroyed), 0)
	snapshots[0].Foreign, snapshots[2].Clones, snapshots[2].Pushes = true, []string{"tank/copy"}, []string{"there"}
	plan = must(PlanRetention(Retention{Last: 1}, snapshots))(t)
	same(t, len(plan.Destroyed), 0)
	same(t, len(plan.Kept["b"]), 2)
}

func TestPropertiesAreKnown(t *testing.T) {
	zfs := embedded(t)
	table := must(zfs.PropertyTable())(t)
	compression := table["compression"]
	same(t, compression.Kind, "index")
	same(t, compression.Words["on"], 1)
	same(t, compression.Access, "inheritable")
	same(t, compression.Default, any("on"))
	same(t, compression.Visible, true)
	if !slices.Equal(compression.Types, []string{"filesystem", "volume"}) {
		t.Fatalf("%+v", compression)
	}
	same(t, table["quota"].Unit, "bytes")
	same(t, must(zfs.PoolPropertyTable())(t)["ashift"].Access, "settable")
}

func TestLabelsAreRead(t *testing.T) {
	zfs := embedded(t)
	path := filepath.Join(t.TempDir(), "device")
	device := must(os.Create(path))(t)
	defer device.Close()
	ok(t, device.Truncate(128<<20))
	if label := must(ReadLabel(device))(t); label != nil {
		t.Fatalf("%+v", label)
	}
	pool := must(zfs.CreatePool("pond", Topology{Vdevs: []VdevSpec{{Devices: []string{path}}}}, PoolOptions{}))(t)
	label := must(ReadLabel(device))(t)
	same(t, label.State, "active")
	same(t, label.Pool.Name, "pond")
	same(t, label.Config.text("name"), "pond")
	if label.GUID == 0 || label.Txg == 0 || label.Pool.GUID == 0 || label.Pool.TopGUID == 0 {
		t.Fatalf("%+v", label)
	}
	ok(t, pool.Export(ExportClean))
	same(t, must(ReadLabel(device))(t).State, "exported")
	for _, at := range []int64{0, 256 << 10, 128<<20 - 512<<10, 128<<20 - 256<<10} {
		must(device.WriteAt([]byte("damage"), at+16<<10+100))(t)
	}
	_, err := ReadLabel(device)
	fails(t, err, ErrCorrupt)
	ok(t, device.Close())
	_, err = ReadLabel(device)
	fails(t, err, os.ErrClosed)
}

func TestEmbeddedKernelIsKeptInADirectory(t *testing.T) {
	options := EmbeddedOptions{Pools: []EmbeddedPool{{"pond", 1 << 30}}, Directory: filepath.Join(t.TempDir(), "kept")}
	zfs := must(OpenEmbedded(options))(t)
	must(zfs.CreateFilesystem("pond/a", nil, nil))(t)
	_, err := OpenEmbedded(options)
	fails(t, err, ErrBusy)
	ok(t, zfs.Close())
	zfs = must(OpenEmbedded(options))(t)
	same(t, must(zfs.Dataset("pond/a").Exists())(t), true)
	ok(t, zfs.Close())
	zfs = must(Open("embedded:" + options.Directory))(t)
	same(t, must(zfs.Dataset("pond/a").Exists())(t), true)
	ok(t, zfs.Close())
	_, err = OpenEmbedded(EmbeddedOptions{Directory: "/proc/none"})
	if err == nil {
		t.Fatal("there is a place below /proc")
	}
}
