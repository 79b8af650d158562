package zfsvol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// written is a zvol with so much on it, and a snapshot of that.
func written(t *testing.T, zfs *Zfs, name string, size int) Snapshot {
	t.Helper()
	disk := must(zfs.CreateZvol(name, uint64(size)*2, nil, nil))(t)
	device := must(disk.OpenDevice(t.Context(), true))(t)
	defer device.Close()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i>>8) * byte(i)
	}
	must(device.WriteAt(data, 0))(t)
	ok(t, device.Sync())
	return must(disk.TakeSnapshot("s"))(t)
}

func TestDeviceIsReadAndWritten(t *testing.T) {
	zfs := embedded(t)
	disk := must(zfs.CreateZvol("tank/disk", 1<<20, nil, nil))(t)
	device := must(disk.OpenDevice(t.Context(), true))(t)
	defer device.Close()
	same(t, must(device.Size())(t), 1<<20)
	must(device.WriteAt([]byte("hello"), 4096))(t)
	ok(t, device.Sync())
	got := make([]byte, 5)
	must(device.ReadAt(got, 4096))(t)
	same(t, string(got), "hello")
	n, err := device.ReadAt(make([]byte, 4096), 1<<20-512)
	same(t, n, 512)
	same(t, err, io.EOF)
	_, err = device.ReadAt(got, -1)
	fails(t, err, ErrInvalid)
	_, err = device.WriteAt(got, 1<<20)
	if err == nil {
		t.Fatal("beyond the end")
	}
	all := must(io.ReadAll(io.NewSectionReader(device, 0, 1<<40)))(t)
	same(t, len(all), 1<<20)
	fails(t, disk.Destroy(), ErrBusy)
	ok(t, device.Close())
	_, err = device.ReadAt(got, 0)
	fails(t, err, ErrClosed)
	ok(t, disk.Destroy())
	_, err = disk.OpenDevice(t.Context(), true)
	fails(t, err, ErrNotFound)
}

func TestStreamIsAReader(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 2<<20)
	space := must(s.SendSpace(SendOptions{}))(t)
	stream := must(s.Send(t.Context(), SendOptions{Flags: SendLargeBlock}))(t)
	defer stream.Close()
	// Not by WriteTo.
	all := must(io.ReadAll(struct{ io.Reader }{stream}))(t)
	same(t, must(stream.Bytes())(t), uint64(len(all)))
	if space == 0 || len(all) < 2<<20 {
		t.Fatalf("%d bytes, estimated %d", len(all), space)
	}
	summary := must(VerifyStream(t.Context(), bytes.NewReader(all)))(t)
	same(t, summary.Bytes, uint64(len(all)))
	_, err := VerifyStream(t.Context(), bytes.NewReader(all[:len(all)-1]))
	fails(t, err, ErrStreamTruncated)
	_, err = VerifyStream(t.Context(), bytes.NewReader(make([]byte, 1000)))
	fails(t, err, ErrStreamDamaged)

	received := must(zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(all), ReceiveOptions{Set: Settings{"org.example:n": "1"}}))(t)
	same(t, received.Snapshot.Name(), "tank/b@s")
	same(t, received.Bytes, uint64(len(all)))
	same(t, must(received.Snapshot.Dataset().Properties())(t)["org.example:n"].Text, "1")
	_, err = zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(all), ReceiveOptions{})
	fails(t, err, ErrExists)
	_, err = zfs.Snapshot("tank/c@s").Receive(t.Context(), bytes.NewReader(all[:1<<20]), ReceiveOptions{})
	fails(t, err, ErrStreamTruncated)
	broken := errors.New("the disk is gone")
	_, err = zfs.Snapshot("tank/c@s").Receive(t.Context(), io.MultiReader(bytes.NewReader(all[:1000]), failing{broken}), ReceiveOptions{})
	fails(t, err, broken)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestIncrementNeedsItsBase(t *testing.T) {
	zfs := embedded(t)
	one := written(t, zfs, "tank/a", 1<<20)
	two := must(one.Dataset().TakeSnapshot("two"))(t)
	stream := must(two.Send(t.Context(), SendOptions{Base: one.Name()}))(t)
	_, err := zfs.Snapshot("tank/b@two").Receive(t.Context(), stream, ReceiveOptions{})
	if err == nil {
		t.Fatal("its base is not there")
	}
	ok(t, stream.Close())
	for _, snapshot := range []struct {
		Snapshot
		SendOptions
	}{{one, SendOptions{}}, {two, SendOptions{Base: one.Name()}}} {
		stream := must(snapshot.Send(t.Context(), snapshot.SendOptions))(t)
		must(zfs.Snapshot("tank/b@"+snapshot.Name()[len("tank/a@"):]).Receive(t.Context(), stream, ReceiveOptions{}))(t)
		_, err = stream.Read(make([]byte, 1))
		fails(t, err, ErrConsumed)
		ok(t, stream.Close())
		ok(t, stream.Close())
		_, err = stream.Read(make([]byte, 1))
		fails(t, err, ErrClosed)
	}
	_, err = zfs.Snapshot("tank/a@none").Send(t.Context(), SendOptions{})
	fails(t, err, ErrNotFound)
}

func TestStreamGoesThroughAFile(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 1<<20)
	file := must(os.Create(filepath.Join(t.TempDir(), "stream")))(t)
	defer file.Close()
	stream := must(s.Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	n := must(io.Copy(file, stream))(t)
	same(t, n, must(file.Stat())(t).Size())
	must(file.Seek(0, io.SeekStart))(t)
	received := must(zfs.Snapshot("tank/b@s").Receive(t.Context(), file, ReceiveOptions{}))(t)
	same(t, received.Bytes, uint64(n))
}

func TestInterruptedReceiveIsResumed(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 4<<20)
	stream := must(s.Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	_, err := zfs.Snapshot("tank/b@s").Receive(t.Context(), io.LimitReader(stream, 3<<20), ReceiveOptions{Resumable: true})
	fails(t, err, ErrStreamTruncated)
	token := must(zfs.Dataset("tank/b").ReceiveToken())(t)
	if token == "" {
		t.Fatal("nothing was saved")
	}
	rest := must(zfs.SendResumed(t.Context(), token, ""))(t)
	defer rest.Close()
	must(zfs.Snapshot("tank/b@s").Receive(t.Context(), rest, ReceiveOptions{Resumable: true}))(t)
	same(t, must(zfs.Dataset("tank/b").AbortReceive())(t), false)
	same(t, must(zfs.Dataset("tank/b").ReceiveToken())(t), "")
}

// prompt ends the test if f takes long.
func prompt(t *testing.T, f func()) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	select {
	case <-over:
	case <-time.After(20 * time.Second):
		t.Fatal("it did not end")
	}
}

func cancelled(t *testing.T, err error) {
	t.Helper()
	fails(t, err, ErrCancelled)
	fails(t, err, context.Canceled)
}

func TestContextEndsAStream(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 8<<20)
	ctx, cancel := context.WithCancel(t.Context())
	stream := must(s.Send(ctx, SendOptions{}))(t)
	defer stream.Close()
	must(stream.Read(make([]byte, 100)))(t)
	cancel()
	prompt(t, func() {
		for {
			if _, err := stream.Read(make([]byte, 100)); err != nil {
				cancelled(t, err)
				return
			}
		}
	})
	_, err := s.Send(ctx, SendOptions{})
	cancelled(t, err)
	_, err = zfs.Snapshot("tank/b@s").Receive(ctx, bytes.NewReader(nil), ReceiveOptions{})
	cancelled(t, err)
}

func TestContextEndsAReceiveThatWaits(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 1<<20)
	part := make([]byte, 1<<16)
	stream := must(s.Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	must(io.ReadFull(stream, part))(t)

	// A reader of Go that waits.
	from, to := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		to.Write(part)
		cancel()
	}()
	prompt(t, func() {
		_, err := zfs.Snapshot("tank/b@s").Receive(ctx, from, ReceiveOptions{})
		cancelled(t, err)
	})

	// A pipe that the library waits for.
	r, w, err := os.Pipe()
	ok(t, err)
	defer r.Close()
	defer w.Close()
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		w.Write(part)
		time.Sleep(20 * time.Millisecond)
		cancel()
	}()
	prompt(t, func() {
		_, err := zfs.Snapshot("tank/b@s").Receive(ctx, r, ReceiveOptions{})
		cancelled(t, err)
	})
}

func TestContextAndCloseEndAStreamThatNobodyTakes(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 8<<20)
	for _, end := range []string{"context", "close"} {
		r, w, err := os.Pipe()
		ok(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		stream := must(s.Send(ctx, SendOptions{}))(t)
		go func() {
			// Not before it is under way.
			r.Read(make([]byte, 1))
			if end == "close" {
				stream.Close()
			}
			cancel()
		}()
		prompt(t, func() {
			_, err := io.Copy(w, stream)
			fails(t, err, ErrCancelled)
		})
		stream.Close()
		r.Close()
		w.Close()
		cancel()
	}
}
