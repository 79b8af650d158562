package zfsvol

import (
	"context"
	"syscall"
	"testing"
)

func TestPoolIsLookedAfter(t *testing.T) {
	zfs := embedded(t)
	tank := zfs.Pool("tank")
	ok(t, tank.Scrub(ScrubStart))
	ok(t, tank.Checkpoint())
	fails(t, tank.Checkpoint(), ErrInProgress)
	ok(t, tank.DiscardCheckpoint())
	ok(t, tank.Clear(0))
	ok(t, tank.Reopen(false))
	must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	count := 0
	for record, err := range tank.History() {
		ok(t, err)
		if record.Kind == "" {
			t.Fatalf("record: %+v", record)
		}
		count++
	}
	if count == 0 {
		t.Fatal("nothing was done to it")
	}
	for _, err := range zfs.Pool("none").History() {
		fails(t, err, ErrNotFound)
	}
	ok(t, tank.Destroy())
	fails(t, tank.Export(ExportClean), ErrNotFound)
}

func TestQuotasOfOwnersAreSet(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	ok(t, a.SetOwnerQuotas(OwnerQuota{User, 1000, AccountQuota, 1 << 20}, OwnerQuota{Group, 7, AccountObjectQuota, 10}))
	same(t, must(a.Owner(User, 1000))(t).Quota, 1<<20)
	owners := must(a.Owners(Group))(t)
	same(t, len(owners), 1)
	same(t, owners[0].ObjectQuota, 10)
	for number, err := range a.Accounts(User, AccountQuota) {
		ok(t, err)
		same(t, number, OwnerNumber{ID: 1000, Number: 1 << 20})
	}
	ok(t, a.UpgradeQuotas())
	must(zfs.CreateZvol("tank/disk", 1<<20, nil, nil))(t)
	_, err := zfs.Dataset("tank/disk").Owners(User)
	fails(t, err, ErrWrongType)
}

func TestSnapshotsAreCompared(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	one := must(a.TakeSnapshot("one"))(t)
	two := must(a.TakeSnapshot("two"))(t)
	for change, err := range one.DiffTo(t.Context(), two.Name()) {
		t.Fatalf("nothing changed: %+v, %v", change, err)
	}
	for _, err := range two.DiffTo(t.Context(), one.Name()) {
		fails(t, err, ErrUnrelated)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range one.DiffTo(ctx, two.Name()) {
		cancelled(t, err)
	}
	_, err := one.ObjectPath(1 << 40)
	fails(t, err, ErrNotFound)
}

func TestChangeIsWhatTheLibrarySays(t *testing.T) {
	change := changeOf(List{"kind": "renamed", "path": "/a", "detail": "/b", "file": "file", "object": uint64(7)})
	same(t, change.Kind+change.Path+change.NewPath+change.File, "renamed/a/bfile")
	same(t, change.Object == 7 && change.Links == 0, true)
	same(t, changeOf(List{"kind": "links", "detail": int64(-2)}).Links, -2)

	zfs := embedded(t)
	one := written(t, zfs, "tank/a", 1<<20)
	two := must(one.Dataset().TakeSnapshot("two"))(t)
	for _, err := range one.DiffTo(t.Context(), two.Name()) {
		fails(t, err, ErrWrongType)
	}
	same(t, must(two.WrittenSince(one.Name()))(t).Used, 0)
	same(t, must(one.Dataset().WrittenSince(one.Name()))(t).Used, 0)
	b := must(zfs.CreateFilesystem("tank/b", nil, nil))(t)
	for _, err := range must(b.TakeSnapshot("s"))(t).DiffTo(t.Context(), "tank/b") {
		// The kernel in this process has no files to take one for.
		fails(t, err, syscall.ENOTSUP)
	}
	// The temporary snapshot is gone.
	for name, err := range zfs.Names(ListOptions{Roots: []string{"tank/b"}, Kinds: Snapshots}) {
		ok(t, err)
		same(t, name, "tank/b@s")
	}
}
