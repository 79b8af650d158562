package zfsvol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zfsvol/zfsvol/bindings/go"
)

// Datasets and snapshots, on a kernel inside of this process.
func Example() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	web, err := zfs.CreateFilesystem("tank/web", zfsvol.Settings{"compression": "lz4"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := web.TakeSnapshot("monday"); err != nil {
		log.Fatal(err)
	}
	for entry, err := range zfs.List(zfsvol.ListOptions{Roots: []string{"tank/web"}, Kinds: zfsvol.Filesystems | zfsvol.Snapshots}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Kind, entry.Name)
	}
	// Output:
	// filesystem tank/web
	// snapshot tank/web@monday
}

// What a failure says: a program decides by the kind, and people read the message.
func ExampleError() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	web, err := zfs.CreateFilesystem("tank/web", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	monday, err := web.TakeSnapshot("monday")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := zfs.Hold([]zfsvol.Hold{{Snapshot: monday.Name(), Tag: "backup"}}, nil); err != nil {
		log.Fatal(err)
	}

	err = monday.Destroy()
	if errors.Is(err, zfsvol.ErrBusy) {
		var e *zfsvol.Error
		errors.As(err, &e)
		for _, failure := range e.Failures {
			fmt.Println(failure.Name, failure.Kind, failure.Busy)
		}
	}
	// Output:
	// tank/web@monday busy [{holds [backup]}]
}

// A stream is an io.Reader, and is received from one.
func ExampleSnapshot_Send() {
	ctx := context.Background()
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	web, err := zfs.CreateFilesystem("tank/web", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	monday, err := web.TakeSnapshot("monday")
	if err != nil {
		log.Fatal(err)
	}
	stream, err := monday.Send(ctx, zfsvol.SendOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	var backup bytes.Buffer
	if _, err := backup.ReadFrom(stream); err != nil {
		log.Fatal(err)
	}

	if _, err := zfsvol.VerifyStream(ctx, bytes.NewReader(backup.Bytes())); err != nil {
		log.Fatal(err)
	}
	received, err := zfs.Snapshot("tank/restored@monday").Receive(ctx, &backup, zfsvol.ReceiveOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(received.Snapshot.Name())
	// Output:
	// tank/restored@monday
}

// Two nodes, and a volume that moves. See examples/handoff for nodes that talk over a socket.
func ExampleVolume_Handoff() {
	ctx := context.Background()
	var nodes []*zfsvol.Node
	for _, id := range []string{"11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"} {
		zfs, err := zfsvol.Open("embedded:")
		if err != nil {
			log.Fatal(err)
		}
		defer zfs.Close()
		node, err := zfs.OpenNode("tank/zfsvol", id, zfsvol.NodeOptions{})
		if err != nil {
			log.Fatal(err)
		}
		defer node.Close()
		nodes = append(nodes, node)
	}
	here, there := nodes[0], nodes[1]
	peer, err := zfsvol.LocalPeer(there)
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()
	web, err := here.CreateVolume("web", zfsvol.VolumeSpec{QuotaBytes: 1 << 30})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := web.Handoff(ctx, peer, zfsvol.PushOptions{}); err != nil {
		log.Fatal(err)
	}
	info, err := there.Volume("web").Info()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.State, info.Epoch, info.Owner == there.ID())
	// Output:
	// owned 2 true
}

// A stream is verified on its way into a backup, and is not read twice for that.
func ExampleVerifier() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	web, err := zfs.CreateFilesystem("tank/web", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	monday, err := web.TakeSnapshot("monday")
	if err != nil {
		log.Fatal(err)
	}
	stream, err := monday.Send(context.Background(), zfsvol.SendOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	verifier, err := zfsvol.NewVerifier()
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	var backup bytes.Buffer
	if _, err := io.Copy(&backup, io.TeeReader(stream, verifier)); err != nil {
		log.Fatal(err)
	}
	summary, err := verifier.Finish()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.First.ToName, summary.Bytes == uint64(backup.Len()))
	// Output:
	// tank/web@monday true
}

// A stream is read and written record by record; on the way the snapshot gets another name.
func ExampleStreamWriter() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	web, err := zfs.CreateFilesystem("tank/web", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	monday, err := web.TakeSnapshot("monday")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	stream, err := monday.Send(ctx, zfsvol.SendOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	var renamed bytes.Buffer
	writer, err := zfsvol.NewStreamWriter(&renamed, zfsvol.ByteOrderHost)
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Close()
	for record, err := range zfsvol.StreamRecords(ctx, stream, true) {
		if err != nil {
			log.Fatal(err)
		}
		if record.Kind == "BEGIN" {
			record.Fields["to_name"] = "vault/web@first"
		}
		if err := writer.WriteRecord(ctx, record); err != nil {
			log.Fatal(err)
		}
	}
	if err := writer.Finish(); err != nil {
		log.Fatal(err)
	}
	summary, err := zfsvol.VerifyStream(ctx, &renamed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.First.ToName)
	// Output:
	// vault/web@first
}

// A pool of two files, whose devices are found in its status.
func ExampleZfs_CreatePool() {
	folder, err := os.MkdirTemp("", "zfsvol")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	left, right := filepath.Join(folder, "left"), filepath.Join(folder, "right")
	for _, path := range []string{left, right} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			log.Fatal(err)
		}
		if err := os.Truncate(path, 128<<20); err != nil {
			log.Fatal(err)
		}
	}
	zfs, err := zfsvol.OpenEmbedded(zfsvol.EmbeddedOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	mirror := zfsvol.VdevSpec{Devices: []string{left, right}, Redundancy: zfsvol.Mirror}
	pool, err := zfs.CreatePool("pond", zfsvol.Topology{Vdevs: []zfsvol.VdevSpec{mirror}}, zfsvol.PoolOptions{})
	if err != nil {
		log.Fatal(err)
	}
	status, err := pool.Status()
	if err != nil {
		log.Fatal(err)
	}
	for vdev := range status.Root.All() {
		fmt.Println(vdev.Kind, filepath.Base(vdev.Path), vdev.State)
	}
	// Output:
	// root . online
	// mirror . online
	// file left online
	// file right online
}

// How a program takes it when the pool is full: the kernel behind this door says so once.
func ExampleZfs_Fault() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	fault, err := zfs.Fault(zfsvol.FaultRule{Errno: syscall.ENOSPC, NamePrefix: "tank/web", Times: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer fault.Close()
	door, err := fault.Zfs()
	if err != nil {
		log.Fatal(err)
	}
	defer door.Close()
	for range 2 {
		_, err := door.CreateFilesystem("tank/web", nil, nil)
		fmt.Println(errors.Is(err, zfsvol.ErrNoSpace), err == nil)
	}
	// Output:
	// true false
	// false true
}
