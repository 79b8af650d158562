package zfsvol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// rewritten is a stream that was read record by record and written again, each record as edit leaves it.
func rewritten(t *testing.T, stream []byte, edit func(*Record)) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := must(NewStreamWriter(&out, ByteOrderHost))(t)
	defer writer.Close()
	for record, err := range StreamRecords(t.Context(), bytes.NewReader(stream), true) {
		ok(t, err)
		edit(&record)
		ok(t, writer.WriteRecord(t.Context(), record))
	}
	ok(t, writer.Finish())
	return out.Bytes()
}

// fresh is a new record with these fields.
func fresh(t *testing.T, kind string, fields List) Record {
	t.Helper()
	record := must(NewRecord(kind))(t)
	same(t, record.Kind, kind)
	for name, value := range fields {
		record.Fields[name] = value
	}
	return record
}

func TestEveryStreamIsWrittenAsItWas(t *testing.T) {
	seen := 0
	for _, release := range []string{"2.1", "2.3", "2.4"} {
		for _, path := range must(filepath.Glob(filepath.Join("../../tests/fixtures/stream", release, "*.zfs")))(t) {
			if filepath.Base(path) == "saved.zfs" {
				continue
			}
			stream := must(os.ReadFile(path))(t)
			if !bytes.Equal(rewritten(t, stream, func(*Record) {}), stream) {
				t.Errorf("%s is another stream", path)
			}
			// Every field is written, and not only what was read.
			big := sound(t, stream).BigEndian
			if anew := rewritten(t, stream, func(r *Record) { r.Header = nil }); !big && !bytes.Equal(anew, stream) {
				t.Errorf("%s is another stream without its headers", path)
			}
			seen++
		}
	}
	if seen < 30 {
		t.Fatalf("%d streams", seen)
	}
}

func TestChangedStreamIsReceived(t *testing.T) {
	zfs := embedded(t)
	stream := rewritten(t, sent(t), func(record *Record) {
		if record.Kind == "WRITE" && record.Object == 1 {
			record.Payload = bytes.Repeat([]byte("x"), len(record.Payload))
		}
	})
	must(zfs.Snapshot("tank/b@s").Receive(t.Context(), bytes.NewReader(stream), ReceiveOptions{}))(t)
	device := must(zfs.Dataset("tank/b").OpenDevice(t.Context(), false))(t)
	defer device.Close()
	found := make([]byte, 1<<20)
	must(device.ReadAt(found, 0))(t)
	same(t, string(found[:3])+string(found[1<<20-3:]), "xxxxxx")
}

func TestPackageIsMadeOfNothing(t *testing.T) {
	var out bytes.Buffer
	writer := must(NewStreamWriter(&out, ByteOrderBig))(t)
	defer writer.Close()
	write := func(record Record) error { return writer.WriteRecord(t.Context(), record) }
	fails(t, write(fresh(t, "BEGIN", nil)), ErrInvalid)
	ok(t, write(fresh(t, "BEGIN", List{"version_info": 2})))
	ok(t, write(fresh(t, "END", nil)))
	numbers := must(NumbersOfStreams())(t)
	same(t, numbers.ObjectTypes["zvol object"], 23)
	same(t, numbers.Compressions["lz4"], 15)
	same(t, numbers.BeginFlags["free_records"], 4)
	list := must(List{"resume_object": uint64(1)}.Pack(EncodingNativeBig))(t)
	begin := fresh(t, "BEGIN", List{"version_info": 1 + 4*numbers.Features["resuming"], "to_guid": 7, "to_name": "tank/a@s", "payload_bytes": len(list)})
	fails(t, write(begin), ErrInvalid)
	begin.Payload = list
	ok(t, write(begin))
	fails(t, write(Record{}), ErrInvalid)
	fails(t, write(fresh(t, "WRITE", List{"flags": 256})), ErrInvalid)
	fails(t, write(fresh(t, "WRITE", List{"ofset": 1})), ErrInvalid)
	fails(t, write(fresh(t, "WRITE", List{"offset": struct{}{}})), ErrWrongType)
	ok(t, write(fresh(t, "FREE", List{"object": 1, "length": 512, "to_guid": 7})))
	ok(t, write(fresh(t, "END", List{"to_guid": 7})))
	ok(t, write(fresh(t, "END", nil)))
	ok(t, writer.Finish())
	summary := sound(t, out.Bytes())
	same(t, summary.BigEndian, true)
	same(t, summary.First.ToName, "tank/a@s")
	for record, err := range StreamRecords(t.Context(), &out, true) {
		ok(t, err)
		same(t, record.BigEndian, true)
		if record.Index == 2 {
			same(t, must(UnpackList(record.Payload))(t)["resume_object"], any(uint64(1)))
		}
	}
	_, err := NewRecord("WRIT")
	fails(t, err, ErrInvalid)
	_, err = NewStreamWriter(&out, 3)
	if err == nil {
		t.Fatal("there is no such order")
	}
}

func TestRecordsAreReadToTheEndOfTheStream(t *testing.T) {
	stream := fixture(t, "full.zfs")
	r := bytes.NewReader(append(bytes.Clone(stream), "more"...))
	count := uint64(0)
	for record, err := range StreamRecordsToEnd(t.Context(), r, false) {
		ok(t, err)
		same(t, len(record.Header), 0)
		count++
	}
	same(t, string(must(io.ReadAll(r))(t)), "more")
	last := error(nil)
	for _, last = range StreamRecords(t.Context(), bytes.NewReader(append(stream, "more"...)), false) {
		count--
	}
	same(t, count+1, 0)
	fails(t, last, ErrStreamDamaged)
}

func TestStreamThatCannotBeWritten(t *testing.T) {
	begin := fresh(t, "BEGIN", List{"version_info": 1})
	writer := must(NewStreamWriter(failing{syscall.ENOSPC}, ByteOrderLittle))(t)
	err := writer.WriteRecord(t.Context(), begin)
	fails(t, err, syscall.ENOSPC)
	fails(t, err, ErrNoSpace)
	fails(t, writer.WriteRecord(t.Context(), begin), ErrInvalid)
	ok(t, writer.Close())
	ok(t, writer.Close())
	fails(t, writer.WriteRecord(t.Context(), begin), ErrClosed)
	fails(t, writer.Finish(), ErrClosed)

	writer = must(NewStreamWriter(io.Discard, ByteOrderHost))(t)
	defer writer.Close()
	ok(t, writer.WriteRecord(t.Context(), begin))
	fails(t, writer.Finish(), ErrInvalid)
	fails(t, writer.Finish(), ErrConsumed)
	fails(t, writer.WriteRecord(t.Context(), begin), ErrConsumed)

	// One that waits ends with the context, or when it is closed.
	_, to := io.Pipe()
	writer = must(NewStreamWriter(to, ByteOrderHost))(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	prompt(t, func() { cancelled(t, writer.WriteRecord(ctx, begin)) })
	prompt(t, func() { cancelled(t, writer.WriteRecord(ctx, begin)) })
	ok(t, writer.Close())
	_, to = io.Pipe()
	writer = must(NewStreamWriter(to, ByteOrderHost))(t)
	time.AfterFunc(20*time.Millisecond, func() { _ = writer.Close() })
	prompt(t, func() {
		if err := writer.WriteRecord(t.Context(), begin); !errors.Is(err, ErrClosed) {
			t.Errorf("failed: %v", err)
		}
	})
}
