package zfsvol

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProgressIsTold(t *testing.T) {
	progressEvery = time.Millisecond
	defer func() { progressEvery = ProgressEvery }()
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	db := filled(t, here, "db", strings.Repeat("hello", 1<<18))
	slow := must(NewBandwidth(8 << 20))(t)
	defer slow.Close()
	var seen []Progress
	pushed := must(db.Push(t.Context(), peer, PushOptions{Bandwidth: slow, Progress: func(p Progress) { seen = append(seen, p) }}))(t)
	if len(seen) == 0 {
		t.Fatal("nothing was told")
	}
	for i, p := range seen[1:] {
		if p.Bytes < seen[i].Bytes || p.Bytes > pushed.Bytes {
			t.Fatalf("%d bytes after %d, of %d", p.Bytes, seen[i].Bytes, pushed.Bytes)
		}
	}
}

func TestWatcherThatPanicsLeavesNothing(t *testing.T) {
	progressEvery = time.Millisecond
	defer func() { progressEvery = ProgressEvery }()
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	db := filled(t, here, "db", strings.Repeat("hello", 1<<18))
	slow := must(NewBandwidth(1 << 20))(t)
	defer slow.Close()
	func() {
		defer func() { same(t, recover(), any("enough")) }()
		db.Push(t.Context(), peer, PushOptions{Bandwidth: slow, Progress: func(Progress) { panic("enough") }})
	}()
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
}

func TestDatasetIsSentAsItIs(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 4<<20)
	stream := must(s.Dataset().Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	all := must(io.ReadAll(stream))(t)
	must(VerifyStream(t.Context(), bytes.NewReader(all)))(t)
	_, err := VerifyStream(t.Context(), failing{errors.New("gone")})
	same(t, err.Error(), "gone")
	_, err = stream.WriteTo(failing{errors.New("gone")})
	ok(t, err)

	_, err = zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(all[:3<<20]), ReceiveOptions{Resumable: true})
	fails(t, err, ErrStreamTruncated)
	saved := must(zfs.Dataset("tank/b").SendSaved(t.Context(), SendOptions{}))(t)
	defer saved.Close()
	if n := len(must(io.ReadAll(saved))(t)); n == 0 {
		t.Fatal("nothing was saved")
	}
	same(t, must(zfs.Dataset("tank/b").AbortReceive())(t), true)
	space := must(s.Dataset().WrittenSince(s.Name()))(t)
	same(t, space.Used < 1<<20, true)
}

func TestWriterOfGoThatFailsEndsTheStream(t *testing.T) {
	zfs := embedded(t)
	stream := must(written(t, zfs, "tank/a", 1<<20).Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	gone := errors.New("gone")
	_, err := io.Copy(failing{gone}, stream)
	fails(t, err, gone)
}

func TestReceivedPropertiesAreToldFromOthers(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	stream := must(must(a.TakeSnapshot("s"))(t).Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	options := ReceiveOptions{Received: Settings{"atime": "off", "compression": "lz4"}, Exclude: []string{"compression"}}
	received := must(zfs.Snapshot("tank/b@s").Receive(t.Context(), stream, options))(t)
	same(t, len(received.PropertyFailures), 0)
	b := zfs.Dataset("tank/b")
	same(t, must(b.ReceivedProperties())(t)["atime"].Text, "off")
	same(t, must(b.Properties())(t)["atime"].Source, SourceReceived)
	ok(t, b.Set(Settings{"atime": "on"}))
	ok(t, b.Revert("atime"))
	same(t, must(b.Properties())(t)["atime"].Text, "off")
	guid, there, err := received.Snapshot.Property("guid")
	ok(t, err)
	same(t, there && guid.IsNumber && guid.Number != 0, true)
}

func TestBusyDatasetSaysByWhat(t *testing.T) {
	zfs := embedded(t)
	a := must(zfs.CreateFilesystem("tank/a", nil, nil))(t)
	same(t, len(must(a.Busy())(t)), 0)
	must(zfs.CreateFilesystem("tank/a/b", nil, nil))(t)
	busy := must(a.Busy())(t)
	same(t, busy[0].Why, "children")
	s := must(a.TakeSnapshot("s"))(t)
	clone := must(s.Clone("tank/clone", nil))(t)
	changed := must(clone.TakeSnapshot("changed"))(t)
	ok(t, s.Redact("secret", []string{changed.Name()}))
	same(t, len(must(a.Bookmarks())(t)), 1)
	_, err := Passphrase("short")
	fails(t, err, ErrInvalid)
	words := must(Passphrase("correct horse battery staple"))(t)
	defer words.Close()
	must(zfs.CreateFilesystem("tank/words", nil, words))(t)
}

func TestObserverSeesAndRefuses(t *testing.T) {
	zfs := embedded(t)
	var seen []Call
	door := must(zfs.Observe(Observer{
		Before: func(call Call) syscall.Errno {
			switch {
			case slices.Contains(call.Names, "tank/no"):
				return syscall.EPERM
			case slices.Contains(call.Names, "tank/panic"):
				panic("at the door")
			}
			return 0
		},
		After: func(call Call) { seen = append(seen, call) },
	}))(t)
	defer door.Close()
	must(door.CreateFilesystem("tank/yes", nil, nil))(t)
	_, err := door.CreateFilesystem("tank/no", nil, nil)
	fails(t, err, ErrDenied)
	_, err = door.CreateFilesystem("tank/panic", nil, nil)
	fails(t, err, syscall.EIO)
	first, last := seen[0], seen[len(seen)-1]
	same(t, slices.Contains(first.Names, "tank/yes") && first.Ioctl != 0 && first.Errno == 0 && first.Took > 0 && !first.Refused, true)
	same(t, last.Refused && last.Errno == syscall.EIO && strings.Contains(last.Text, "tank/panic"), true)
	silent := must(zfs.Observe(Observer{}))(t)
	defer silent.Close()
	must(silent.Pools())(t)
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	same(t, cut("müde", 10), "müde")
	same(t, cut("müde", 3), "mü")
	same(t, cut("müde", 2), "m")
	same(t, cut("ü", 0), "")
	same(t, List{"a": uint64(1)}.String(), "map[a:1]")
}
