package zfsvol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"

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
