package zfsvol

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A small form of the behaviour suite. The names are those of the scenarios in tests/src/suite, and the same bodies run on the embedded kernel and on
// OpenZFS: there as root, in a dataset that exists and that nobody needs, with ZFSVOL_TEST_URI=zfs: and ZFSVOL_TEST_DATASET=POOL/DATASET.
var scenarios = []struct {
	name string
	run  func(world)
}{
	{"a_file_system_is_created_and_exists", fileSystemIsCreated},
	{"a_zvol_is_created_with_its_size", zvolIsCreated},
	{"create_refuses_what_is_there_and_what_has_no_parent", createRefuses},
	{"promote_swaps_clone_and_origin", promoteSwaps},
	{"destroy_names_children_and_snapshots", destroyNamesChildren},
	{"rollback_goes_to_the_newest_snapshot", rollbackGoesToTheNewest},
	{"many_snapshots_are_made_at_once", manySnapshots},
	{"one_that_cannot_be_made_keeps_all_from_being_made", oneKeepsAll},
	{"destroying_passes_over_what_is_not_there", destroyingPassesOver},
	{"a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others", heldSnapshotStays},
	{"a_deferred_destroy_waits_for_the_last_hold", deferredDestroyWaits},
	{"a_tree_is_snapshotted_in_one_transaction_group", treeIsSnapshotted},
	{"holds_are_put_listed_and_released", holdsAreListed},
	{"a_temporary_hold_ends_with_its_handle", temporaryHoldEnds},
	{"a_full_stream_makes_the_same_volume", fullStream},
	{"an_increment_from_a_snapshot_makes_the_same_volume", incrementFromSnapshot},
	{"an_increment_from_a_bookmark_makes_the_same_volume", incrementFromBookmark},
	{"an_increment_needs_its_base_at_the_destination", incrementNeedsItsBase},
	{"a_changed_destination_is_refused_unless_forced", changedDestinationIsRefused},
	{"an_interrupted_full_receive_is_resumed", interruptedReceiveIsResumed},
	{"a_raw_stream_needs_no_key_and_stays_encrypted", rawStreamStaysEncrypted},
	{"a_stream_made_of_nothing_is_a_volume", streamOfNothing},
	{"a_handoff_changes_the_owner_and_keeps_the_data", handoffKeepsTheData},
}

// How many scenarios have begun: where OpenZFS was asked for, a run of none is a failure.
var scenariosRun atomic.Int64

func TestScenarios(t *testing.T) {
	uri, below := os.Getenv("ZFSVOL_TEST_URI"), os.Getenv("ZFSVOL_TEST_DATASET")
	if uri == "" {
		uri, below = "embedded:", "tank"
	}
	for i, scenario := range scenarios {
		t.Run(scenario.name, func(t *testing.T) {
			scenariosRun.Add(1)
			zfs := must(Open(uri))(t)
			defer zfs.Close()
			w := world{t, zfs, fmt.Sprintf("%s/go-%d-%d", below, os.Getpid(), i)}
			root := must(zfs.CreateFilesystem(w.root, Settings{"mountpoint": "none"}, nil))(t)
			// Also when the scenario has ended with a failure.
			defer func() { must(root.DestroyRecursive())(t) }()
			scenario.run(w)
		})
	}
}

// world is a kernel, and a dataset of one's own in it.
type world struct {
	testing.TB
	zfs  *Zfs
	root string
}

func (w world) at(name string) string { return w.root + "/" + name }

func (w world) there(name string) bool {
	w.Helper()
	return must(w.zfs.Dataset(name).Exists())(w)
}

func (w world) fileSystem(name string) Dataset {
	w.Helper()
	return must(w.zfs.CreateFilesystem(w.at(name), Settings{"mountpoint": "none"}, nil))(w)
}

// volume is a zvol of 4 MiB with something on it.
func (w world) volume(name string, key *Key) Dataset {
	w.Helper()
	made := must(w.zfs.CreateZvol(w.at(name), 4<<20, Settings{"volblocksize": "16384"}, key))(w)
	something := make([]byte, 1<<20)
	must(rand.Read(something))(w)
	w.write(made, 0, something)
	return made
}

func (w world) write(to Dataset, offset int64, data []byte) {
	w.Helper()
	device := must(to.OpenDevice(w.Context(), true))(w)
	defer device.Close()
	must(device.WriteAt(data, offset))(w)
	ok(w, device.Sync())
}

func (w world) content(of Dataset) []byte {
	w.Helper()
	device := must(of.OpenDevice(w.Context(), false))(w)
	defer device.Close()
	all := make([]byte, must(device.Size())(w))
	_, err := device.ReadAt(all, 0)
	ok(w, err)
	return all
}

// hasContent compares what is on the zvol of that name.
func (w world) hasContent(name string, expected []byte) {
	w.Helper()
	if !bytes.Equal(w.content(w.zfs.Dataset(w.at(name))), expected) {
		w.Fatalf("%s has not the data", name)
	}
}

func (w world) snapshot(of Dataset, name string) Snapshot {
	w.Helper()
	return must(of.TakeSnapshot(name))(w)
}

func (w world) stream(snapshot Snapshot, options SendOptions) []byte {
	w.Helper()
	stream := must(snapshot.Send(w.Context(), options))(w)
	defer stream.Close()
	return must(io.ReadAll(stream))(w)
}

func (w world) receive(snapshot string, stream []byte, options ReceiveOptions) error {
	_, err := w.zfs.Snapshot(w.at(snapshot)).Receive(w.Context(), bytes.NewReader(stream), options)
	return err
}

func fileSystemIsCreated(w world) {
	same(w, w.there(w.at("a")), false)
	a := w.fileSystem("a")
	same(w, w.there(a.Name()), true)
	found := false
	for name, err := range w.zfs.Names(ListOptions{Roots: []string{w.root}}) {
		ok(w, err)
		found = found || name == a.Name()
	}
	same(w, found, true)
}

func zvolIsCreated(w world) {
	disk := must(w.zfs.CreateZvol(w.at("v"), 8<<20, nil, nil))(w)
	same(w, must(disk.Properties())(w)["volsize"].Number, 8<<20)
}

func createRefuses(w world) {
	a := w.fileSystem("a")
	_, err := w.zfs.CreateFilesystem(a.Name(), nil, nil)
	fails(w, err, ErrExists)
	_, err = w.zfs.CreateFilesystem(w.at("none/a"), nil, nil)
	fails(w, err, ErrNotFound)
}

func promoteSwaps(w world) {
	a := w.fileSystem("a")
	b := must(w.snapshot(a, "s").Clone(w.at("b"), Settings{"mountpoint": "none"}))(w)
	ok(w, b.Promote())
	origins := map[string]string{}
	for entry, err := range w.zfs.List(ListOptions{Roots: []string{w.root}}) {
		ok(w, err)
		origins[entry.Name] = entry.Origin
	}
	same(w, origins[a.Name()], b.Name()+"@s")
	same(w, origins[b.Name()], "")
}

func destroyNamesChildren(w world) {
	a := w.fileSystem("a")
	b := w.fileSystem("a/b")
	err := a.Destroy()
	fails(w, err, ErrBusy)
	var e *Error
	same(w, errors.As(err, &e), true)
	same(w, slices.ContainsFunc(e.Busy, func(busy Busy) bool {
		return busy.Why == "children" && slices.Equal(busy.Names, []string{b.Name()})
	}), true)
}

func rollbackGoesToTheNewest(w world) {
	v := w.volume("v", nil)
	before := w.content(v)
	w.snapshot(v, "s")
	w.write(v, 0, bytes.Repeat([]byte("x"), 4096))
	same(w, must(v.Rollback())(w).Name(), v.Name()+"@s")
	w.hasContent("v", before)
}

func manySnapshots(w world) {
	var names []string
	for _, name := range []string{"a", "b", "c"} {
		names = append(names, w.fileSystem(name).Name()+"@s")
	}
	ok(w, w.zfs.CreateSnapshots(names, nil))
	groups := map[uint64]bool{}
	for _, name := range names {
		groups[must(w.zfs.Snapshot(name).Properties())(w)["createtxg"].Number] = true
	}
	same(w, len(groups), 1)
}

func oneKeepsAll(w world) {
	first, second := w.fileSystem("a"), w.fileSystem("b")
	w.snapshot(second, "s")
	err := w.zfs.CreateSnapshots([]string{first.Name() + "@s", second.Name() + "@s"}, nil)
	fails(w, err, ErrExists)
	var e *Error
	same(w, errors.As(err, &e), true)
	same(w, len(e.Failures), 1)
	same(w, e.Failures[0].Name, second.Name()+"@s")
	same(w, w.there(first.Name()+"@s"), false)
}

func destroyingPassesOver(w world) {
	s := w.snapshot(w.fileSystem("a"), "s")
	ok(w, w.zfs.DestroySnapshots([]string{w.at("a@none"), s.Name()}, false))
	same(w, w.there(s.Name()), false)
}

func heldSnapshotStays(w world) {
	a := w.fileSystem("a")
	held, free := w.snapshot(a, "held"), w.snapshot(a, "free")
	must(w.zfs.Hold([]Hold{{held.Name(), "t"}}, nil))(w)
	err := w.zfs.DestroySnapshots([]string{held.Name(), free.Name()}, false)
	fails(w, err, ErrBusy)
	var e *Error
	same(w, errors.As(err, &e), true)
	same(w, len(e.Failures), 1)
	same(w, e.Failures[0].Name, held.Name())
	same(w, fmt.Sprint(e.Failures[0].Busy), "[{holds [t]}]")
	same(w, w.there(free.Name()), true)
	must(w.zfs.Release([]Hold{{held.Name(), "t"}}))(w)
}

func deferredDestroyWaits(w world) {
	s := w.snapshot(w.fileSystem("a"), "s")
	must(w.zfs.Hold([]Hold{{s.Name(), "t"}}, nil))(w)
	ok(w, w.zfs.DestroySnapshots([]string{s.Name()}, true))
	same(w, w.there(s.Name()), true)
	must(w.zfs.Release([]Hold{{s.Name(), "t"}}))(w)
	same(w, w.there(s.Name()), false)
}

func treeIsSnapshotted(w world) {
	a := w.fileSystem("a")
	b := w.fileSystem("a/b")
	var names []string
	for _, made := range must(a.TakeSnapshots("s", nil))(w) {
		names = append(names, made.Name())
	}
	slices.Sort(names)
	same(w, strings.Join(names, " "), b.Name()+"@s "+a.Name()+"@s")
	groups := map[uint64]bool{}
	for entry, err := range w.zfs.List(ListOptions{Roots: []string{a.Name()}, Kinds: Snapshots}) {
		ok(w, err)
		groups[entry.CreateTXG] = true
	}
	same(w, len(groups), 1)
}

func holdsAreListed(w world) {
	s := w.snapshot(w.fileSystem("a"), "s")
	tags := func() string {
		var all []string
		for _, held := range must(s.Holds())(w) {
			all = append(all, held.Tag)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	same(w, tags(), "")
	must(w.zfs.Hold([]Hold{{s.Name(), "b"}}, nil))(w)
	must(w.zfs.Hold([]Hold{{s.Name(), "a"}}, nil))(w)
	same(w, tags(), "a b")
	missing := must(w.zfs.Release([]Hold{{s.Name(), "a"}, {s.Name(), "b"}}))(w)
	same(w, len(missing), 0)
	same(w, tags(), "")
}

func temporaryHoldEnds(w world) {
	s := w.snapshot(w.fileSystem("a"), "s")
	holder := must(w.zfs.OpenHolder())(w)
	defer holder.Close()
	must(w.zfs.Hold([]Hold{{s.Name(), "t"}}, holder))(w)
	same(w, len(must(s.Holds())(w)), 1)
	ok(w, holder.Close())
	pool, _, _ := strings.Cut(w.root, "/")
	ok(w, w.zfs.Pool(pool).Sync(false))
	same(w, len(must(s.Holds())(w)), 0)
}

// copied is a volume with a snapshot "s", and its copy at "w".
func (w world) copied() (Dataset, Snapshot) {
	w.Helper()
	v := w.volume("v", nil)
	s := w.snapshot(v, "s")
	ok(w, w.receive("w@s", w.stream(s, SendOptions{}), ReceiveOptions{}))
	return v, s
}

var more = bytes.Repeat([]byte("more"), 4096)

func fullStream(w world) {
	v, _ := w.copied()
	w.hasContent("w", w.content(v))
}

func incrementFromSnapshot(w world) {
	v, s := w.copied()
	w.write(v, 2<<20, more)
	t := w.snapshot(v, "t")
	ok(w, w.receive("w@t", w.stream(t, SendOptions{Base: s.Name()}), ReceiveOptions{}))
	w.hasContent("w", w.content(v))
}

func incrementFromBookmark(w world) {
	v, s := w.copied()
	ok(w, s.Bookmark("s"))
	ok(w, s.Destroy())
	w.write(v, 2<<20, more)
	t := w.snapshot(v, "t")
	ok(w, w.receive("w@t", w.stream(t, SendOptions{Base: v.Name() + "#s"}), ReceiveOptions{}))
	w.hasContent("w", w.content(v))
}

func incrementNeedsItsBase(w world) {
	v := w.volume("v", nil)
	s, t := w.snapshot(v, "s"), w.snapshot(v, "t")
	ok(w, w.receive("w@other", w.stream(t, SendOptions{}), ReceiveOptions{}))
	fails(w, w.receive("w@t", w.stream(t, SendOptions{Base: s.Name()}), ReceiveOptions{}), ErrBaseMissing)
}

func changedDestinationIsRefused(w world) {
	v, s := w.copied()
	t := w.snapshot(v, "t")
	w.write(w.zfs.Dataset(w.at("w")), 0, []byte("changed"))
	increment := w.stream(t, SendOptions{Base: s.Name()})
	fails(w, w.receive("w@t", increment, ReceiveOptions{}), ErrDestinationModified)
	ok(w, w.receive("w@t", increment, ReceiveOptions{Force: true}))
	w.hasContent("w", w.content(v))
}

func interruptedReceiveIsResumed(w world) {
	v := w.volume("v", nil)
	stream := w.stream(w.snapshot(v, "s"), SendOptions{})
	fails(w, w.receive("w@s", stream[:len(stream)*2/3], ReceiveOptions{Resumable: true}), ErrStreamTruncated)
	token := must(w.zfs.Dataset(w.at("w")).ReceiveToken())(w)
	rest := must(w.zfs.SendResumed(w.Context(), token, ""))(w)
	defer rest.Close()
	must(w.zfs.Snapshot(w.at("w@s")).Receive(w.Context(), rest, ReceiveOptions{Resumable: true}))(w)
	w.hasContent("w", w.content(v))
}

func rawStreamStaysEncrypted(w world) {
	key := must(RawKey(bytes.Repeat([]byte("k"), 32)))(w)
	defer key.Close()
	v := w.volume("v", key)
	content := w.content(v)
	s := w.snapshot(v, "s")
	ok(w, v.UnloadKey())
	ok(w, w.receive("w@s", w.stream(s, SendOptions{Flags: SendRaw}), ReceiveOptions{}))
	received := w.zfs.Dataset(w.at("w"))
	_, err := received.OpenDevice(w.Context(), false)
	fails(w, err, ErrKeyNotLoaded)
	ok(w, received.LoadKey(key))
	w.hasContent("w", content)
}

func streamOfNothing(w world) {
	const size, guid = 4 << 20, 0x5eed5eed5eed
	block := bytes.Repeat([]byte("made"), 4096)
	// The ZAP of one block that says the size of a zvol.
	zap := make([]byte, 512)
	binary.LittleEndian.PutUint64(zap, 1<<63+3)
	binary.LittleEndian.PutUint64(zap[8:], 0x12345679)
	binary.LittleEndian.PutUint64(zap[64:], size)
	copy(zap[78:], "size")
	types := must(NumbersOfStreams())(w).ObjectTypes
	disk, properties := types["zvol object"], types["zvol prop"]
	var stream bytes.Buffer
	writer := must(NewStreamWriter(&stream, ByteOrderLittle))(w)
	defer writer.Close()
	put := func(kind string, payload []byte, fields List) {
		record := must(NewRecord(kind))(w)
		record.Payload, record.Fields["to_guid"] = payload, guid
		maps.Copy(record.Fields, fields)
		ok(w, writer.WriteRecord(w.Context(), record))
	}
	put("BEGIN", nil, List{"version_info": 1, "creation_time": 1_700_000_000, "objset_type": 3, "flags": 4, "to_name": "nowhere/disk@s"})
	put("OBJECT", nil, List{"object": 1, "object_type": disk, "block_bytes": len(block), "slots": 1})
	put("FREE", nil, List{"object": 1, "offset": size, "length": uint64(math.MaxUint64)})
	put("WRITE", block, List{"object": 1, "object_type": disk, "offset": len(block), "logical_bytes": len(block)})
	put("OBJECT", nil, List{"object": 2, "object_type": properties, "block_bytes": len(zap), "slots": 1})
	put("WRITE", zap, List{"object": 2, "object_type": properties, "logical_bytes": len(zap)})
	put("END", nil, nil)
	ok(w, writer.Finish())
	ok(w, w.receive("w@s", stream.Bytes(), ReceiveOptions{}))
	expected := make([]byte, size)
	copy(expected[len(block):], block)
	w.hasContent("w", expected)
}

func handoffKeepsTheData(w world) {
	node := func(name, id string) *Node {
		opened := must(w.zfs.OpenNode(w.at(name), id, NodeOptions{}))(w)
		w.Cleanup(func() { opened.Close() })
		return opened
	}
	here, there := node("one", "11111111-1111-4111-8111-111111111111"), node("two", "22222222-2222-4222-8222-222222222222")
	volume := must(here.CreateVolume("db", VolumeSpec{BlockBytes: 4 << 20, Sparse: true}))(w)
	on := func(volume Volume, writable bool, use func(*Device)) {
		device := must(volume.OpenDevice(context.Background(), writable))(w)
		defer device.Close()
		use(device)
	}
	on(volume, true, func(device *Device) {
		must(device.WriteAt([]byte("hello"), 0))(w)
		ok(w, device.Sync())
	})
	peer := must(LocalPeer(there))(w)
	defer peer.Close()
	must(volume.Push(w.Context(), peer, PushOptions{}))(w)
	must(volume.Handoff(w.Context(), peer, PushOptions{}))(w)
	same(w, must(volume.Info())(w).State, "replica")
	same(w, must(there.Volume("db").Info())(w).State, "owned")
	on(there.Volume("db"), false, func(device *Device) {
		said := make([]byte, 5)
		must(device.ReadAt(said, 0))(w)
		same(w, string(said), "hello")
	})
	// What pushes keep goes with the volumes.
	must(there.Volume("db").Destroy())(w)
	must(volume.Takeover())(w)
	must(volume.Destroy())(w)
}
