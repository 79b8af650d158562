// The main job: two nodes, and a volume that moves between them over a socket, with no root and no ZFS.
//
//	go run ./examples/handoff
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/zfsvol/zfsvol/bindings/go"
)

const (
	hereID  = "11111111-1111-4111-8111-111111111111"
	thereID = "22222222-2222-4222-8222-222222222222"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := handoff(ctx, os.Stdout); err != nil {
		// The message names operation, dataset, reason and what to do.
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func handoff(ctx context.Context, out io.Writer) error {
	here, err := machine(hereID)
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := machine(thereID)
	if err != nil {
		return err
	}
	defer there.Close()
	address, stop, err := serve(ctx, there)
	if err != nil {
		return err
	}
	defer stop()

	// A volume with something on it.
	db, err := here.CreateVolume("db", zfsvol.VolumeSpec{BlockBytes: 8 << 20, Sparse: true})
	if err != nil {
		return err
	}
	if err := write(ctx, db, "hello"); err != nil {
		return err
	}
	say(out, "here", db)

	// A copy there, kept up to date while programs write here.
	var dialer net.Dialer
	peer, err := here.Dial(ctx, func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, address.Network(), address.String())
	}, zfsvol.PeerOptions{})
	if err != nil {
		return err
	}
	defer peer.Close()
	watch := zfsvol.PushOptions{Progress: func(p zfsvol.Progress) { fmt.Fprintln(out, p.Bytes, "bytes") }}
	if _, err := db.Push(ctx, peer, watch); err != nil {
		return err
	}
	replica := there.Volume("db")
	say(out, "there", replica)

	// It moves: the rest is sent, and from one moment to the next the other node owns it.
	if _, err := db.Handoff(ctx, peer, watch); err != nil {
		return err
	}
	say(out, "here", db)
	say(out, "there", replica)
	text, err := read(ctx, replica, 5)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "there it says:", text)
	return nil
}

// machine is a node on a machine of its own.
func machine(id string) (*zfsvol.Node, error) {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		return nil, err
	}
	// The node keeps what it needs.
	defer zfs.Close()
	return zfs.OpenNode("tank/zfsvol", id, zfsvol.NodeOptions{})
}

// serve answers the peers of a node, until it is stopped. Here everybody may connect: a program of use would speak TLS, and know its nodes by their
// certificates (zfsvol.KnownNodes).
func serve(ctx context.Context, node *zfsvol.Node) (net.Addr, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go node.Serve(ctx, conn, zfsvol.AllowAll(), zfsvol.ServeOptions{})
		}
	}()
	return listener.Addr(), func() { listener.Close() }, nil
}

func write(ctx context.Context, volume zfsvol.Volume, text string) error {
	device, err := volume.OpenDevice(ctx, true)
	if err != nil {
		return err
	}
	defer device.Close()
	if _, err := device.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return device.Sync()
}

func read(ctx context.Context, volume zfsvol.Volume, length int) (string, error) {
	device, err := volume.OpenDevice(ctx, false)
	if err != nil {
		return "", err
	}
	defer device.Close()
	text := make([]byte, length)
	_, err = device.ReadAt(text, 0)
	return string(text), err
}

func say(out io.Writer, where string, volume zfsvol.Volume) {
	info, err := volume.Info()
	if err != nil {
		fmt.Fprintf(out, "%s: %v\n", where, err)
		return
	}
	fmt.Fprintf(out, "%s: %s, epoch %d\n", where, info.State, info.Epoch)
}
