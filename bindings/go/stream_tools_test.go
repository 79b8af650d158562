package zfsvol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fixture is a stream that OpenZFS 2.3 has sent.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	return must(os.ReadFile(filepath.Join("../../tests/fixtures/stream/2.3", name)))(t)
}

// sent is the stream of a zvol with a MiB on it.
func sent(t *testing.T) []byte {
	t.Helper()
	stream := must(written(t, embedded(t), "tank/a", 1<<20).Send(t.Context(), SendOptions{}))(t)
	defer stream.Close()
	return must(io.ReadAll(stream))(t)
}

// sound ends the test if that is no sound stream.
func sound(t *testing.T, stream []byte) *StreamSummary {
	t.Helper()
	return must(VerifyStream(t.Context(), bytes.NewReader(stream)))(t)
}

func TestStreamIsSummedUp(t *testing.T) {
	stream := fixture(t, "package_many.zfs")
	summary := sound(t, stream)
	same(t, summary.Bytes, uint64(len(stream)))
	same(t, summary.Streams, 2)
	same(t, summary.BigEndian, false)
	same(t, summary.Package.ToName, "t/tree@c")
	same(t, summary.First.ToName, "t/tree@b")
	same(t, summary.Last.FromGUID, summary.First.ToGUID)
	same(t, summary.First.Zvol, false)
	same(t, summary.First.Created.Year(), 2026)
	same(t, summary.Counts["WRITE"], RecordCount{Records: 1, PayloadBytes: 2048})
	same(t, summary.Counts["BEGIN"].Records, 3)
	same(t, sound(t, sent(t)).First.Zvol, true)
	same(t, sound(t, fixture(t, "volume_swapped.zfs")).BigEndian, true)
	same(t, sound(t, fixture(t, "full.zfs")).Package, nil)
}

func TestVerifierIsAWriter(t *testing.T) {
	stream := sent(t)
	verifier := must(NewVerifier())(t)
	same(t, must(verifier.Progress())(t).First, nil)
	must(io.Copy(io.Discard, io.TeeReader(bytes.NewReader(stream[:1<<19]), verifier)))(t)
	same(t, must(verifier.Progress())(t).Bytes, 1<<19)
	must(verifier.Write(stream[1<<19:]))(t)
	same(t, must(verifier.Finish())(t).Bytes, uint64(len(stream)))
	_, err := verifier.Finish()
	fails(t, err, ErrConsumed)
	ok(t, verifier.Close())
	ok(t, verifier.Close())
	_, err = verifier.Write(stream)
	fails(t, err, ErrClosed)
	_, err = verifier.Progress()
	fails(t, err, ErrClosed)

	verifier = must(NewVerifier())(t)
	defer verifier.Close()
	stream[400] ^= 1
	_, err = io.Copy(verifier, bytes.NewReader(stream))
	fails(t, err, ErrStreamDamaged)
}

func TestRecordsAreReadOneByOne(t *testing.T) {
	stream := sent(t)
	var (
		next    uint64
		payload int
	)
	for record, err := range StreamRecords(t.Context(), bytes.NewReader(stream), true) {
		ok(t, err)
		same(t, record.Index, next)
		same(t, record.Part, "stream")
		same(t, uint64(len(record.Payload)), record.PayloadBytes)
		if record.Text == "" || len(record.Fields) == 0 {
			t.Fatalf("record: %+v", record)
		}
		if record.Kind == "WRITE" && record.Object == 1 {
			payload += len(record.Payload)
		}
		next++
	}
	if next < 3 || payload < 1<<20 {
		t.Fatalf("%d records, %d bytes of blocks", next, payload)
	}
	for record, err := range StreamRecords(t.Context(), bytes.NewReader(stream), false) {
		ok(t, err)
		same(t, len(record.Payload), 0)
		break
	}
	last := func(r io.Reader) (failed error) {
		for _, err := range StreamRecords(t.Context(), r, false) {
			failed = err
		}
		return failed
	}
	fails(t, last(bytes.NewReader(stream[:len(stream)-1])), ErrStreamTruncated)
	fails(t, last(failing{errors.ErrUnsupported}), errors.ErrUnsupported)
	fails(t, last(nil), ErrIO)
	stream[400] ^= 1
	fails(t, last(bytes.NewReader(stream)), ErrStreamDamaged)

	ctx, cancel := context.WithCancel(t.Context())
	from, to := io.Pipe()
	go to.Write(stream[:100])
	time.AfterFunc(20*time.Millisecond, cancel)
	prompt(t, func() {
		for _, err := range StreamRecords(ctx, from, false) {
			cancelled(t, err)
		}
		for _, err := range StreamRecords(ctx, from, false) {
			cancelled(t, err)
		}
	})
}

func TestStreamIsCopiedAndRecompressed(t *testing.T) {
	stream := sent(t)
	var copied, packed, plain bytes.Buffer
	same(t, must(CopyStream(t.Context(), &copied, bytes.NewReader(stream)))(t).Bytes, uint64(len(stream)))
	same(t, bytes.Equal(copied.Bytes(), stream), true)
	ok(t, RecompressStream(t.Context(), &packed, bytes.NewReader(stream), "lz4"))
	sound(t, packed.Bytes())
	if packed.Len() >= len(stream) {
		t.Fatalf("%d bytes of %d", packed.Len(), len(stream))
	}
	ok(t, DecompressStream(t.Context(), &plain, &packed))
	sound(t, plain.Bytes())
	same(t, plain.Len(), len(stream))
	fails(t, RecompressStream(t.Context(), io.Discard, bytes.NewReader(stream), "zip"), ErrInvalid)
	_, err := CopyStream(t.Context(), io.Discard, bytes.NewReader(stream[:1000]))
	fails(t, err, ErrStreamTruncated)
	_, err = CopyStream(t.Context(), io.Discard, bytes.NewReader(make([]byte, 1000)))
	fails(t, err, ErrStreamDamaged)
}

func TestWhatReadersAndWritersFailWithIsFound(t *testing.T) {
	stream := sent(t)
	gone, full := errors.New("the disk is gone"), syscall.ENOSPC
	_, err := CopyStream(t.Context(), io.Discard, io.MultiReader(bytes.NewReader(stream[:1000]), failing{gone}))
	fails(t, err, gone)
	fails(t, err, ErrIO)
	_, err = CopyStream(t.Context(), failing{full}, bytes.NewReader(stream))
	fails(t, err, full)
	fails(t, err, ErrNoSpace)
	err = DecompressStream(t.Context(), short{}, bytes.NewReader(stream))
	fails(t, err, io.ErrShortWrite)
	// A panic becomes a failure, for it cannot go through C.
	_, err = CopyStream(t.Context(), io.Discard, nil)
	fails(t, err, ErrIO)
	if !strings.Contains(err.Error(), "panicked") {
		t.Fatalf("failed: %v", err)
	}
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestRestOfAStreamFinishesAReceive(t *testing.T) {
	zfs := embedded(t)
	stream := sent(t)
	_, err := zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(stream[:len(stream)/2]), ReceiveOptions{Resumable: true})
	fails(t, err, ErrStreamTruncated)
	token := must(DecodeToken(must(zfs.Dataset("tank/b").ReceiveToken())(t)))(t)
	same(t, token.ToName, "tank/a@s")
	same(t, token.Object, 1)
	same(t, token.Offset > 0 && token.Bytes > 0 && token.ToGUID != 0 && token.FromGUID == 0, true)
	var rest bytes.Buffer
	ok(t, CutStream(t.Context(), &rest, bytes.NewReader(stream), token.Object, token.Offset))
	must(zfs.Snapshot("tank/b@s").Receive(t.Context(), &rest, ReceiveOptions{Resumable: true}))(t)
	fails(t, CutStream(t.Context(), io.Discard, bytes.NewReader(fixture(t, "package.zfs")), 1, 0), ErrInvalid)
	_, err = DecodeToken("1-2-3-4")
	fails(t, err, ErrInvalid)
}

func TestTokenOfARedactedStreamSaysByWhat(t *testing.T) {
	zfs := embedded(t)
	snapshot := written(t, zfs, "tank/a", 1<<20)
	clone := must(snapshot.Clone("tank/clone", nil))(t)
	device := must(clone.OpenDevice(t.Context(), true))(t)
	must(device.WriteAt(make([]byte, 1<<14), 0))(t)
	ok(t, device.Close())
	by := must(clone.TakeSnapshot("r"))(t)
	ok(t, snapshot.Redact("book", []string{by.Name()}))
	redacted := must(snapshot.Send(t.Context(), SendOptions{RedactedBy: "tank/a#book"}))(t)
	defer redacted.Close()
	stream := must(io.ReadAll(redacted))(t)
	_, err := zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(stream[:len(stream)/2]), ReceiveOptions{Resumable: true})
	fails(t, err, ErrStreamTruncated)
	token := must(DecodeToken(must(zfs.Dataset("tank/b").ReceiveToken())(t)))(t)
	guid, _, err := by.Property("guid")
	ok(t, err)
	if len(token.RedactSnapshots) != 1 || fmt.Sprint(token.RedactSnapshots[0]) != guid.String() || token.FromRedactSnapshots != nil {
		t.Fatalf("%+v, not %s", token, guid)
	}
}

func TestResumedSendSaysWhatItIs(t *testing.T) {
	zfs := embedded(t)
	s := written(t, zfs, "tank/a", 4<<20)
	stream := must(s.Send(t.Context(), SendOptions{Flags: SendLargeBlock}))(t)
	defer stream.Close()
	_, err := zfs.Snapshot("tank/b@s").Receive(t.Context(), io.LimitReader(stream, 3<<20), ReceiveOptions{Resumable: true})
	fails(t, err, ErrStreamTruncated)
	token := must(zfs.Dataset("tank/b").ReceiveToken())(t)
	snapshot, options, err := zfs.ResumeOptions(token, "")
	ok(t, err)
	same(t, snapshot.Name(), s.Name())
	same(t, options.Base, "")
	same(t, *options.Resume, must(DecodeToken(token))(t).ResumePoint)
	whole := must(s.SendSpace(SendOptions{}))(t)
	if left := must(snapshot.SendSpace(options))(t); left >= whole {
		t.Fatalf("%d bytes are left of %d", left, whole)
	}
	rest := must(snapshot.Send(t.Context(), options))(t)
	defer rest.Close()
	must(zfs.Snapshot("tank/b@s").Receive(t.Context(), rest, ReceiveOptions{Resumable: true}))(t)
	_, _, err = zfs.ResumeOptions("1-2-3-4", "")
	fails(t, err, ErrInvalid)
	ok(t, rest.Close())
	ok(t, stream.Close())
	ok(t, s.Destroy())
	_, _, err = zfs.ResumeOptions(token, "tank/a")
	fails(t, err, ErrNotFound)
}

func TestSendOfNobodyHasNoProgress(t *testing.T) {
	s := written(t, embedded(t), "tank/a", 1<<20)
	_, _, err := s.SendProgress(os.Stderr)
	fails(t, err, ErrNotFound)
	file := must(os.Create(filepath.Join(t.TempDir(), "f")))(t)
	ok(t, file.Close())
	_, _, err = s.SendProgress(file)
	fails(t, err, os.ErrClosed)
}

func TestRecordsAreLeftOut(t *testing.T) {
	stream := sent(t)
	before := sound(t, stream)
	var out bytes.Buffer
	same(t, must(DropRecords(t.Context(), &out, bytes.NewReader(stream), 1, 0))(t), 1)
	same(t, sound(t, out.Bytes()).Counts["WRITE"].Records, before.Counts["WRITE"].Records-1)
	out.Reset()
	same(t, must(DropRecords(t.Context(), &out, bytes.NewReader(stream), 999, 0))(t), 0)
	same(t, bytes.Equal(out.Bytes(), stream), true)

	out.Reset()
	seen := 0
	ok(t, FilterStream(t.Context(), &out, bytes.NewReader(stream), func(record Record) bool {
		seen++
		same(t, len(record.Payload), 0)
		return record.Kind != "FREEOBJECTS"
	}))
	same(t, sound(t, out.Bytes()).Counts["FREEOBJECTS"].Records, 0)
	same(t, seen > 2, true)
	err := FilterStream(t.Context(), io.Discard, bytes.NewReader(stream), func(Record) bool { panic("enough") })
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatalf("failed: %v", err)
	}
	fails(t, FilterStream(t.Context(), io.Discard, bytes.NewReader(stream[:1000]), func(Record) bool { return true }), ErrStreamTruncated)
}

// part is a file in memory.
type part struct {
	bytes.Buffer
	begin  StreamBegin
	closed int
	fails  error
}

func (p *part) Close() error {
	p.closed++
	return p.fails
}

// split takes a package apart, and fails where it says.
func split(t *testing.T, ctx context.Context, pack []byte, open, end error) (parts []*part, said List, err error) {
	said, err = SplitStream(ctx, bytes.NewReader(pack), func(begin StreamBegin) (io.WriteCloser, error) {
		if len(parts) == 1 && open != nil {
			return nil, open
		}
		parts = append(parts, &part{begin: begin, fails: end})
		return parts[len(parts)-1], nil
	})
	return parts, said, err
}

func TestPackageIsTakenApartAndPutTogether(t *testing.T) {
	pack := fixture(t, "package_many.zfs")
	parts, said, err := split(t, t.Context(), pack, nil, nil)
	ok(t, err)
	same(t, len(parts), 2)
	same(t, parts[0].begin.ToName, "t/tree@b")
	var streams []io.Reader
	for _, one := range parts {
		same(t, one.closed, 1)
		sound(t, one.Bytes())
		streams = append(streams, bytes.NewReader(one.Bytes()))
	}
	var again bytes.Buffer
	ok(t, JoinStreams(t.Context(), &again, "t/tree@c", said, streams...))
	same(t, bytes.Equal(again.Bytes(), pack), true)

	fails(t, JoinStreams(t.Context(), io.Discard, "t/tree@c", nil, bytes.NewReader(pack)), ErrInvalid)
	fails(t, JoinStreams(t.Context(), io.Discard, strings.Repeat("n", 300), nil, bytes.NewReader(parts[0].Bytes())), ErrInvalid)
	fails(t, JoinStreams(t.Context(), io.Discard, "t@s", List{"fss": uint64(1)}, bytes.NewReader(parts[0].Bytes())), ErrInvalid)
	fails(t, JoinStreams(t.Context(), io.Discard, "t@s", List{"x": struct{}{}}), ErrWrongType)
	gone := errors.New("gone")
	fails(t, JoinStreams(t.Context(), io.Discard, "t@s", nil, bytes.NewReader(parts[0].Bytes()), failing{gone}), gone)

	one := sent(t)
	parts, said, err = split(t, t.Context(), one, nil, nil)
	ok(t, err)
	same(t, len(said), 0)
	same(t, len(parts) == 1 && bytes.Equal(parts[0].Bytes(), one), true)
}

func TestPackageThatCannotBeTakenApartIsClosed(t *testing.T) {
	pack := fixture(t, "package_many.zfs")
	full := errors.New("the shelf is full")
	parts, _, err := split(t, t.Context(), pack, full, nil)
	fails(t, err, full)
	same(t, len(parts) == 1 && parts[0].closed == 1, true)
	parts, _, err = split(t, t.Context(), pack, nil, full)
	fails(t, err, full)
	same(t, len(parts), 1)
	// Of the last one too.
	_, _, err = split(t, t.Context(), sent(t), nil, full)
	fails(t, err, full)
	parts, _, err = split(t, t.Context(), pack[:1000], nil, nil)
	fails(t, err, ErrStreamTruncated)
	same(t, slices.ContainsFunc(parts, func(p *part) bool { return p.closed != 1 }), false)
	_, err = SplitStream(t.Context(), bytes.NewReader(pack), func(StreamBegin) (io.WriteCloser, error) { panic("enough") })
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatalf("failed: %v", err)
	}
	_, err = SplitStream(t.Context(), bytes.NewReader(pack), func(StreamBegin) (io.WriteCloser, error) { return closing{failing{full}}, nil })
	fails(t, err, full)
}

type closing struct{ io.Writer }

func (closing) Close() error { return nil }

func TestContextEndsWhatMakesStreamsOfStreams(t *testing.T) {
	stream := sent(t)
	run := func(name string, call func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		prompt(t, func() {
			if err := call(ctx); !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			// Nothing begins then.
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	run("a reader that is closed", func(ctx context.Context) error {
		from, _ := io.Pipe()
		_, err := CopyStream(ctx, io.Discard, from)
		return err
	})
	run("a writer that is closed", func(ctx context.Context) error {
		_, to := io.Pipe()
		return DecompressStream(ctx, to, bytes.NewReader(stream))
	})
	run("a pipe with deadlines", func(ctx context.Context) error {
		r, w := pipe(t)
		must(w.Write(stream[:100]))(t)
		_, err := VerifyStream(ctx, r)
		return err
	})
	run("a pipe that nobody empties", func(ctx context.Context) error {
		_, w := pipe(t)
		_, err := CopyStream(ctx, w, bytes.NewReader(stream))
		return err
	})
	run("a part that nobody takes", func(ctx context.Context) error {
		_, err := SplitStream(ctx, bytes.NewReader(stream), func(StreamBegin) (io.WriteCloser, error) {
			_, to := io.Pipe()
			return to, nil
		})
		return err
	})
	run("one of several", func(ctx context.Context) error {
		from, _ := io.Pipe()
		return JoinStreams(ctx, io.Discard, "tank/a@s", nil, bytes.NewReader(stream), from)
	})
	run("a stream of the kernel", func(ctx context.Context) error {
		kernel := must(written(t, embedded(t), "tank/a", 1<<20).Send(t.Context(), SendOptions{}))(t)
		defer kernel.Close()
		defer kernel.h.close()
		_, to := io.Pipe()
		_, err := CopyStream(ctx, to, kernel)
		return err
	})
}

// pipe is a pipe of the kernel.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	ok(t, err)
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}
