package zfsvol

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// machine is a kernel without pools, and files to make some of.
func machine(t *testing.T, files int) (zfs *Zfs, folder string, paths []string) {
	t.Helper()
	zfs = must(OpenEmbedded(EmbeddedOptions{Release: Release24}))(t)
	t.Cleanup(func() { zfs.Close() })
	folder = t.TempDir()
	for i := range files {
		path := filepath.Join(folder, fmt.Sprint(i))
		ok(t, os.WriteFile(path, nil, 0o600))
		ok(t, os.Truncate(path, 128<<20))
		paths = append(paths, path)
	}
	return zfs, folder, paths
}

// pond is a pool of a mirror of the first two files.
func pond(t *testing.T, zfs *Zfs, paths []string) Pool {
	t.Helper()
	topology := Topology{Vdevs: []VdevSpec{{Devices: paths[:2], Redundancy: Mirror}}, Ashift: 12}
	return must(zfs.CreatePool("pond", topology, PoolOptions{}))(t)
}

// leaf is the vdev of that path; its GUID is 0 if there is none.
func leaf(t *testing.T, pool Pool, path string) Vdev {
	t.Helper()
	status := must(pool.Status())(t)
	for vdev := range status.Root.All() {
		if vdev.Path == path {
			return pool.Vdev(vdev.GUID)
		}
	}
	return pool.Vdev(0)
}

func TestPoolIsMadeOfATopology(t *testing.T) {
	zfs, _, paths := machine(t, 8)
	topology := Topology{
		Vdevs: []VdevSpec{
			{Devices: paths[:3], Redundancy: Raidz, Parity: 1},
			{Devices: paths[3:4], Class: ClassLog},
		},
		Spares: paths[4:5], Cache: paths[5:6], Ashift: 12,
	}
	secret := must(Passphrase("correct horse battery staple"))(t)
	defer secret.Close()
	pool := must(zfs.CreatePool("pond", topology, PoolOptions{
		Features: FeaturesOnly, FeatureNames: []string{"encryption", "lz4_compress", "allocation_classes"},
		Properties: Settings{"comment": "mine"}, RootProperties: Settings{"compression": "lz4"}, RootKey: secret,
	}))(t)
	status := must(pool.Status())(t)
	same(t, status.Root.Kind, "root")
	same(t, status.Root.Children[0].Kind, "raidz")
	same(t, len(status.Root.Children[0].Children), 3)
	same(t, status.Root.Children[1].Class, "log")
	same(t, status.Spares[0].Path, paths[4])
	same(t, status.Cache[0].Path, paths[5])
	same(t, status.ReadOnly || status.Errors != 0, false)
	first := status.Root.Children[0].Children[0]
	same(t, first.Path, paths[0])
	same(t, first.State, "online")
	same(t, status.Root.Size != 0 && status.Root.GUID == status.GUID, true)
	same(t, must(pool.Properties())(t)["comment"].Text, "mine")
	root := must(zfs.Dataset("pond").Properties())(t)
	same(t, root["compression"].Text, "lz4")
	same(t, root["encryptionroot"].Text, "pond")
	same(t, status.Features["encryption"], "active")
	same(t, status.Features["large_blocks"], "")
	ok(t, pool.EnableFeatures(FeaturesOnly, "large_blocks"))
	same(t, must(pool.Status())(t).Features["large_blocks"], "enabled")
	all := must(zfs.PoolStatuses())(t)
	same(t, len(all), 1)
	same(t, all[0].GUID, status.GUID)
	ok(t, pool.Reguid(4711))
	same(t, must(pool.Status())(t).GUID, 4711)

	more := Topology{Vdevs: []VdevSpec{{Devices: paths[6:8], Redundancy: Mirror, Class: ClassSpecial}}}
	ok(t, pool.AddVdevs(more, true))
	same(t, must(pool.Status())(t).Root.Children[2].Class, "special")
	fails(t, pool.AddVdevs(more, false), ErrBusy)
	count := 0
	for range status.Root.All() {
		if count++; count == 2 {
			break
		}
	}
}

func TestPoolThatCannotBeIsRefused(t *testing.T) {
	zfs, folder, paths := machine(t, 2)
	one := Topology{Vdevs: []VdevSpec{{Devices: paths[:1]}}}
	_, err := zfs.CreatePool("pond", Topology{}, PoolOptions{})
	fails(t, err, ErrInvalid)
	_, err = zfs.CreatePool("pond", one, PoolOptions{FeatureNames: []string{"encryption"}})
	fails(t, err, ErrInvalid)
	_, err = zfs.CreatePool("pond", one, PoolOptions{Features: 3})
	fails(t, err, ErrUnknownNumber)
	_, err = zfs.CreatePool("pond", Topology{Vdevs: []VdevSpec{{Redundancy: 9}}}, PoolOptions{})
	fails(t, err, ErrUnknownNumber)
	_, err = zfs.CreatePool("pond", Topology{Vdevs: []VdevSpec{{Devices: []string{folder + "/none"}}}}, PoolOptions{})
	fails(t, err, ErrNotFound)
	_, err = zfs.CreatePool("pond", one, PoolOptions{Properties: Settings{"compression": "lz4"}})
	fails(t, err, ErrInvalidProperty)
	pool := must(zfs.CreatePool("pond", one, PoolOptions{}))(t)
	_, err = zfs.CreatePool("lake", one, PoolOptions{})
	fails(t, err, ErrBusy)
	fails(t, zfs.Pool("none").EnableFeatures(FeaturesAll), ErrNotFound)
	fails(t, zfs.Pool("none").Reguid(0), ErrNotFound)
	closed := must(Passphrase("correct horse battery staple"))(t)
	closed.Close()
	_, err = zfs.CreatePool("lake", one, PoolOptions{RootKey: closed})
	fails(t, err, ErrClosed)
	zfs.Close()
	_, err = pool.Status()
	fails(t, err, ErrClosed)
	_, err = zfs.PoolStatuses()
	fails(t, err, ErrClosed)
}

func TestDevicesComeAndGo(t *testing.T) {
	zfs, _, paths := machine(t, 6)
	pool := pond(t, zfs, paths)
	left, right := leaf(t, pool, paths[0]), leaf(t, pool, paths[1])
	same(t, left.Pool().Name(), "pond")
	ok(t, left.Attach(NewDevice{Path: paths[2]}))
	_, err := pool.Wait(t.Context(), ActivityResilver)
	ok(t, err)
	added := leaf(t, pool, paths[2])
	if added.GUID() == 0 {
		t.Fatal("it was not attached")
	}
	ok(t, added.Detach())
	same(t, leaf(t, pool, paths[2]).GUID(), 0)
	ok(t, right.Replace(NewDevice{Path: paths[3], Force: true}))
	_, err = pool.Wait(t.Context(), ActivityReplace)
	ok(t, err)
	same(t, leaf(t, pool, paths[1]).GUID(), 0)
	same(t, leaf(t, pool, paths[3]).GUID() != 0, true)
	none := pool.Vdev(1)
	fails(t, none.Attach(NewDevice{Path: paths[4]}), ErrNotFound)
	fails(t, none.Replace(NewDevice{}), ErrInvalid)
	fails(t, none.Detach(), ErrNotFound)
	fails(t, none.Remove(), ErrNotFound)
	fails(t, pool.CancelRemoval(), ErrNotFound)

	ok(t, pool.AddVdevs(Topology{Vdevs: []VdevSpec{{Devices: paths[4:5], Class: ClassLog}}}, true))
	ok(t, leaf(t, pool, paths[4]).Remove())
	_, err = pool.Wait(t.Context(), ActivityRemove)
	ok(t, err)
	same(t, leaf(t, pool, paths[4]).GUID(), 0)
}

func TestDeviceIsTakenOutOfUseAndBack(t *testing.T) {
	zfs, _, paths := machine(t, 2)
	pool := pond(t, zfs, paths)
	left := leaf(t, pool, paths[0])
	state := func() string {
		for vdev := range must(pool.Status())(t).Root.All() {
			if vdev.GUID == left.GUID() {
				return vdev.State
			}
		}
		return ""
	}
	ok(t, left.Offline(OfflineTemporary))
	same(t, state(), "offline")
	same(t, must(pool.Status())(t).Health, "degraded")
	fails(t, leaf(t, pool, paths[1]).Offline(OfflinePersistent), ErrBusy)
	same(t, must(left.Online(true))(t), "online")
	same(t, state(), "online")
	ok(t, left.Offline(OfflineFaulted))
	same(t, state(), "faulted")
	ok(t, pool.Clear(left.GUID()))
	same(t, state(), "online")
	fails(t, left.Offline(9), ErrUnknownNumber)
	ok(t, left.SetPath(paths[0]))
	ok(t, left.Set("comment", "left"))
	same(t, must(left.Properties())(t)["comment"].Text, "left")
	fails(t, left.Set("allocating", "maybe"), ErrInvalidProperty)
	none := pool.Vdev(1)
	_, err := none.Online(false)
	fails(t, err, ErrNotFound)
	_, err = none.Properties()
	fails(t, err, ErrNotFound)
	fails(t, none.SetPath(paths[0]), ErrNotFound)
}

func TestActivitiesOfDevicesBeginAndEnd(t *testing.T) {
	zfs, _, paths := machine(t, 2)
	pool := pond(t, zfs, paths)
	left := leaf(t, pool, paths[0])
	ok(t, pool.Initialize(InitializeStart, left.GUID()))
	err := pool.Initialize(InitializeStart, left.GUID())
	fails(t, err, ErrInProgress)
	same(t, must(left.Wait(t.Context(), ActivityInitialize))(t), true)
	same(t, must(left.Wait(t.Context(), ActivityInitialize))(t), false)
	ok(t, pool.Initialize(InitializeForget, left.GUID()))
	err = pool.Initialize(InitializeStart, 1)
	fails(t, err, ErrNotFound)
	same(t, err.(*Error).Failures[0].Name, "1")
	fails(t, pool.Initialize(9, left.GUID()), ErrUnknownNumber)
	err = pool.Trim(TrimStart, TrimOptions{BytesPerSecond: 1 << 20}, left.GUID())
	ok(t, err)
	same(t, must(pool.Wait(t.Context(), ActivityTrim))(t), true)
	fails(t, pool.Trim(TrimSuspend, TrimOptions{}, left.GUID()), ErrNotFound)
	_, err = left.Wait(t.Context(), ActivityScrub)
	fails(t, err, ErrInvalid)
	ok(t, pool.Scrub(ScrubStart))
	same(t, must(pool.Wait(t.Context(), ActivityScrub))(t), true)
	_, err = zfs.Pool("none").Wait(t.Context(), ActivityScrub)
	fails(t, err, ErrNotFound)
	_, err = pool.Wait(t.Context(), 99)
	fails(t, err, ErrUnknownNumber)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pool.Wait(ctx, ActivityScrub)
	cancelled(t, err)

	a := must(zfs.CreateFilesystem("pond/a", nil, nil))(t)
	same(t, must(a.WaitDeleteQueue(t.Context()))(t), false)
	_, err = zfs.Dataset("pond/b").WaitDeleteQueue(t.Context())
	fails(t, err, ErrNotFound)

	ok(t, pool.Prefetch(PrefetchDDT))
	ok(t, pool.Prefetch(PrefetchBRT))
	fails(t, zfs.Pool("none").Prefetch(PrefetchDDT), ErrNotFound)
	ok(t, pool.PruneDDT(PruneSeconds, 60))
	fails(t, pool.PruneDDT(PrunePercent, 101), ErrInvalid)
	fails(t, pool.Condense(true), ErrUnsupported)
}

func TestContextEndsAWaitInTheKernel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	interruptions := 0
	prompt(t, func() {
		// As the module does, it comes back from a wait when a signal does.
		cancelled(t, interruptible(ctx, func() error {
			interruptions++
			if syscall.Nanosleep(&syscall.Timespec{Sec: 60}, nil) != nil {
				return ErrInterrupted
			}
			return nil
		}))
	})
	// Another signal does not end it: the runtime sends such ones too.
	again := 0
	ok(t, interruptible(t.Context(), func() error {
		if again++; again < 3 {
			return ErrInterrupted
		}
		return nil
	}))
	same(t, again, 3)
	same(t, interruptions > 0, true)
}

func TestPoolIsExportedFoundAndImported(t *testing.T) {
	zfs, folder, paths := machine(t, 2)
	pool := pond(t, zfs, paths)
	guid := must(pool.Status())(t).GUID
	ok(t, pool.Export(ExportClean))
	_, err := zfs.FindPools([]string{"/nowhere/at/all"}, false)
	fails(t, err, ErrNotFound)
	found := must(zfs.FindPools([]string{folder}, false))(t)
	defer found.Close()
	same(t, len(found.Pools), 1)
	one := found.Pools[0]
	same(t, one.Name, "pond")
	same(t, one.GUID, guid)
	same(t, one.Exported && !one.Destroyed && one.InUse == nil && one.TXG > 0, true)
	same(t, one.Health, "online")
	same(t, len(one.Root.Children[0].Children), 2)
	same(t, len(must(one.Missing())(t)), 0)
	_, err = one.Import(ImportOptions{Rewind: 9})
	fails(t, err, ErrUnknownNumber)
	_, err = one.Import(ImportOptions{NewName: "no such/name"})
	fails(t, err, ErrInvalidName)
	lake := must(one.Import(ImportOptions{NewName: "lake", TemporaryName: true, Properties: Settings{"comment": "now"}}))(t)
	same(t, lake.Name(), "lake")
	same(t, must(lake.Properties())(t)["comment"].Text, "now")
	same(t, must(lake.ZvolReservation(1<<30, 0, 0))(t), 1092616192)
	_, err = zfs.Pool("none").ZvolReservation(1<<30, 0, 0)
	fails(t, err, ErrNotFound)
	used := importableOf(found, 0, List{"in_use": List{"kind": "last_used", "hostname": "other", "hostid": uint64(7)}})
	same(t, *used.InUse, HostUse{Kind: "last_used", Hostname: "other", HostID: 7})
	ok(t, found.Close())
	_, err = one.Missing()
	fails(t, err, ErrClosed)
	_, err = one.Import(ImportOptions{})
	fails(t, err, ErrClosed)
	_, err = ImportablePool{}.Import(ImportOptions{})
	fails(t, err, ErrClosed)

	ok(t, lake.Destroy())
	found = must(zfs.FindPools(paths, false))(t)
	same(t, len(found.Pools), 0)
	ok(t, found.Close())
	ok(t, os.Remove(paths[1]))
	found = must(zfs.FindPools(paths[:1], true))(t)
	defer found.Close()
	same(t, found.Pools[0].Destroyed, true)
	same(t, slices.Equal(must(found.Pools[0].Missing())(t), paths[1:]), true)
}

func TestPoolKeepsDetails(t *testing.T) {
	zfs := embedded(t)
	tank := zfs.Pool("tank")
	same(t, len(must(tank.ErrorLog())(t)), 0)
	_, err := zfs.Pool("none").ErrorLog()
	fails(t, err, ErrNotFound)
	same(t, damagedOf(List{"dataset_id": uint64(5), "object": uint64(7), "blocks": uint64(1), "dataset": "tank/a", "path": "/f"}),
		DamagedObject{DatasetID: 5, Object: 7, Blocks: 1, Dataset: "tank/a", Path: "/f"})
	ok(t, tank.SetBootEnvironment(List{"version": uint64(1), "freebsd:bootonce": "zfs:tank/a:"}))
	same(t, must(tank.BootEnvironment())(t)["freebsd:bootonce"], any("zfs:tank/a:"))
	fails(t, tank.SetBootEnvironment(List{"version": uint64(9)}), ErrInvalid)
	fails(t, tank.SetBootEnvironment(List{"version": struct{}{}}), ErrWrongType)
	_, err = zfs.Pool("none").BootEnvironment()
	fails(t, err, ErrNotFound)
}
