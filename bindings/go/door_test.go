package zfsvol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestFaultsAreCountedByRule(t *testing.T) {
	zfs := embedded(t)
	fault := must(zfs.Fault(
		FaultRule{Errno: syscall.ENOSPC, NamePrefix: "tank/full", Times: 1},
		FaultRule{Errno: syscall.EIO, NamePrefix: "tank/lost", After: true, Skip: 1, Times: 1},
	))(t)
	door := must(fault.Zfs())(t)
	defer door.Close()
	create := func(name string) error {
		_, err := door.CreateFilesystem(name, nil, nil)
		return err
	}
	fails(t, create("tank/full"), ErrNoSpace)
	ok(t, create("tank/full"))
	ok(t, create("tank/lost"))
	fails(t, create("tank/lost/b"), syscall.EIO)
	// It was carried out, and only the answer was lost.
	same(t, must(zfs.Dataset("tank/lost/b").Exists())(t), true)
	same(t, fmt.Sprint(must(fault.Failed())(t)), "[1 1]")
	// Who does not go through the door does not fail.
	must(zfs.CreateFilesystem("tank/full/b", nil, nil))(t)
	ok(t, fault.Close())
	ok(t, fault.Close())
	_, err := fault.Failed()
	fails(t, err, ErrClosed)
	_, err = fault.Zfs()
	fails(t, err, ErrClosed)
	ok(t, create("tank/c"))
	_, err = zfs.Fault(FaultRule{Errno: syscall.EIO, Ioctl: 1})
	fails(t, err, ErrUnknownNumber)
}

func TestFaultsByChanceAreTheSameInEachRun(t *testing.T) {
	run := func(seed uint64) (failed string) {
		fault := must(embedded(t).Fault(FaultRule{Errno: syscall.EIO, NamePrefix: "tank/", OneIn: 3, Seed: seed}))(t)
		defer fault.Close()
		door := must(fault.Zfs())(t)
		defer door.Close()
		for i := range 30 {
			if _, err := door.CreateFilesystem(fmt.Sprintf("tank/%d", i), nil, nil); err != nil {
				failed += fmt.Sprint(i, " ")
			}
		}
		return failed
	}
	one := run(7)
	same(t, run(7), one)
	same(t, run(8) != one && one != "" && strings.Count(one, " ") < 25, true)
}

// recorded is a recording of a few calls, with the names of what they made.
func recorded(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	recording := must(embedded(t).Record(&out))(t)
	door := must(recording.Zfs())(t)
	must(door.CreateFilesystem("tank/a", nil, nil))(t)
	same(t, must(door.Dataset("tank/a").Exists())(t), true)
	ok(t, recording.Finish())
	before := out.Len()
	ok(t, recording.Close())
	ok(t, recording.Close())
	fails(t, recording.Finish(), ErrClosed)
	_, err := recording.Zfs()
	fails(t, err, ErrClosed)
	// It goes on as long as anybody goes through the door.
	same(t, must(door.Dataset("tank/b").Exists())(t), false)
	ok(t, door.Close())
	same(t, out.Len() > before, true)
	return out.Bytes()
}

func TestRecordingIsReplayed(t *testing.T) {
	calls := recorded(t)
	replay := must(OpenReplay(t.Context(), bytes.NewReader(calls), OrderStrict))(t)
	door := must(replay.Zfs())(t)
	defer door.Close()
	left := must(replay.Left())(t)
	same(t, must(door.Module())(t).Major, 2)
	must(door.CreateFilesystem("tank/a", nil, nil))(t)
	same(t, must(door.Dataset("tank/a").Exists())(t), true)
	same(t, must(door.Dataset("tank/b").Exists())(t), false)
	same(t, left > 2 && must(replay.Left())(t) == 0, true)
	same(t, must(replay.Mismatch())(t), "")
	_, err := door.CreateFilesystem("tank/c", nil, nil)
	if err == nil {
		t.Fatal("that was not recorded")
	}
	if reason := must(replay.Mismatch())(t); !strings.Contains(reason, "tank/c") {
		t.Fatalf("mismatch: %q", reason)
	}
	ok(t, replay.Close())
	ok(t, replay.Close())
	_, err = replay.Left()
	fails(t, err, ErrClosed)
	_, err = replay.Mismatch()
	fails(t, err, ErrClosed)
	_, err = replay.Zfs()
	fails(t, err, ErrClosed)
}

func TestReplayByRequestTakesAnyOrder(t *testing.T) {
	calls := recorded(t)
	replay := must(OpenReplay(t.Context(), bytes.NewReader(calls), OrderByRequest))(t)
	defer replay.Close()
	door := must(replay.Zfs())(t)
	defer door.Close()
	same(t, must(door.Dataset("tank/b").Exists())(t), false)
	must(door.CreateFilesystem("tank/a", nil, nil))(t)
	same(t, must(replay.Mismatch())(t), "")
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	calls := recorded(t)
	_, err := OpenReplay(t.Context(), bytes.NewReader(calls[:len(calls)-3]), OrderStrict)
	fails(t, err, ErrCorrupt)
	_, err = OpenReplay(t.Context(), strings.NewReader("no recording"), OrderStrict)
	fails(t, err, ErrCorrupt)
	_, err = OpenReplay(t.Context(), bytes.NewReader(calls), 9)
	fails(t, err, ErrUnknownNumber)
	gone := errors.New("gone")
	_, err = OpenReplay(t.Context(), failing{gone}, OrderStrict)
	fails(t, err, gone)
	from, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	prompt(t, func() {
		_, err := OpenReplay(ctx, from, OrderStrict)
		cancelled(t, err)
	})
	_, err = OpenReplay(ctx, bytes.NewReader(calls), OrderStrict)
	cancelled(t, err)
}

func TestRecordingSaysWhatWritingFailedWith(t *testing.T) {
	zfs := embedded(t)
	full := errors.New("the disk is full")
	if _, err := zfs.Record(failing{full}); err != nil {
		fails(t, err, full)
		return
	}
	t.Fatal("nothing could be written")
}

// limited takes so many bytes, and then fails.
type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestCallsOfARecordingThatFailedAreCarriedOut(t *testing.T) {
	zfs := embedded(t)
	// What it begins with, and no more than a part of a call.
	var begins bytes.Buffer
	ok(t, must(zfs.Record(&begins))(t).Close())
	recording := must(zfs.Record(&limited{left: begins.Len() + 10}))(t)
	defer recording.Close()
	door := must(recording.Zfs())(t)
	defer door.Close()
	var all sync.WaitGroup
	for i := range 10 {
		all.Add(1)
		go func() {
			defer all.Done()
			if _, err := door.CreateFilesystem(fmt.Sprintf("tank/%d", i), nil, nil); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	err := recording.Finish()
	fails(t, err, syscall.ENOSPC)
	fails(t, err, ErrNoSpace)
}

func TestConversationWithTheModuleIsReplayed(t *testing.T) {
	file := must(os.Open("../../tests/fixtures/conversation/2.3.zfsvol"))(t)
	defer file.Close()
	replay := must(OpenReplay(t.Context(), file, OrderByRequest))(t)
	defer replay.Close()
	door := must(replay.Zfs())(t)
	defer door.Close()
	module := must(door.Module())(t)
	same(t, module.Major == 2 && module.Minor == 3, true)
	same(t, must(replay.Left())(t) > 10, true)
}
