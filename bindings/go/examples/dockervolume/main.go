// A volume plugin for Docker: "docker volume create -d zfsvol -o size=10G web". Each volume is one of a node, so it has snapshots, and can be pushed and
// handed over to another machine by any program that uses the same node.
//
//	go run ./examples/dockervolume -root tank/docker -id $(cat /etc/zfsvol-node-id)
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/zfsvol/zfsvol/bindings/go"
)

func main() {
	var (
		uri        = flag.String("zfs", "zfs:", "which OpenZFS: zfs: or embedded:")
		root       = flag.String("root", "tank/docker", "the dataset right below which the volumes are")
		id         = flag.String("id", "", "the UUID of this machine's node")
		mountpoint = flag.String("mountpoint", "/var/lib/zfsvol", "the directory below which volumes are mounted")
		// Docker looks for plugins there.
		socket = flag.String("socket", "/run/docker/plugins/zfsvol.sock", "where to listen")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *uri, *root, *id, *mountpoint, *socket); err != nil {
		log.Fatal(err)
	}
}

// run serves until the context ends.
func run(ctx context.Context, uri, root, id, mountpoint, socket string) error {
	zfs, err := zfsvol.Open(uri)
	if err != nil {
		return err
	}
	node, err := zfs.OpenNode(root, id, zfsvol.NodeOptions{Mountpoint: mountpoint})
	zfs.Close()
	if err != nil {
		return err
	}
	defer node.Close()
	listener, err := listen(socket)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: NewPlugin(node), ReadHeaderTimeout: 10 * time.Second}
	over := make(chan struct{})
	go func() {
		defer close(over)
		<-ctx.Done()
		// What is under way may end first: no volume is left half made.
		grace, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		server.Shutdown(grace)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-over
	return nil
}

// listen makes the socket, which only root can connect to. One that an earlier run left, and nobody serves any more, is removed.
func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, err
	}
	if conn, err := net.Dial("unix", socket); err == nil {
		conn.Close()
		return nil, errors.New("another program serves " + socket)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(socket); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}
