package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zfsvol/zfsvol/bindings/go"
)

// docker calls a plugin as Docker does.
type docker struct {
	*testing.T
	http.Client
	// Where the volumes are mounted.
	volumes string
}

// place is where a plugin has its volumes: on a kernel of its own, or on OpenZFS, as root, in the dataset that ZFSVOL_TEST_DATASET names where ZFSVOL_TEST_URI is "zfs:".
type place struct{ uri, root, volumes string }

func newPlace(t *testing.T) place {
	t.Helper()
	uri := os.Getenv("ZFSVOL_TEST_URI")
	if uri == "" {
		return place{"embedded:", "tank/docker", "/volumes"}
	}
	p := place{uri, os.Getenv("ZFSVOL_TEST_DATASET") + "/" + t.Name(), filepath.Join(t.TempDir(), "volumes")}
	// Before the directory is removed, for nothing may be mounted in it then.
	t.Cleanup(func() {
		zfs, err := zfsvol.Open(uri)
		if err != nil {
			t.Fatal(err)
		}
		defer zfs.Close()
		root := zfs.Dataset(p.root)
		if _, err := root.UnmountTree(0); err != nil {
			t.Error(err)
		}
		if _, err := root.DestroyRecursive(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// started runs a plugin until the test ends.
func started(t *testing.T) docker {
	t.Helper()
	d, stop := newPlace(t).start(t)
	t.Cleanup(stop)
	return d
}

// start runs a plugin until it is stopped.
func (p place) start(t *testing.T) (d docker, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "zfsvol")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "zfsvol.sock")
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() {
		over <- run(ctx, p.uri, p.root, "11111111-1111-4111-8111-111111111111", p.volumes, socket)
	}()
	stop = func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(socket); err == nil && info.Mode().Perm() == 0o600 {
			break
		}
		if time.Since(start) > 10*time.Second {
			stop()
			t.Fatal("it does not listen")
		}
	}
	var dialer net.Dialer
	return docker{t, http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}, p.volumes}, stop
}

// call makes a call, whose answer may be a failure.
func (d docker) call(method, body string) response {
	d.Helper()
	answer, err := d.Post("http://plugin/"+method, contentType, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != contentType {
		d.Fatalf("%s: %s", method, got)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.Fatal(err)
	}
	var said response
	if err := json.Unmarshal(text, &said); err != nil {
		d.Fatalf("%s: %s: %v", method, text, err)
	}
	if (said.Err != "") != (answer.StatusCode != http.StatusOK) {
		d.Fatalf("%s: status %d with %s", method, answer.StatusCode, text)
	}
	return said
}

// ok makes a call that is to be done.
func (d docker) ok(method, body string) response {
	d.Helper()
	said := d.call(method, body)
	if said.Err != "" {
		d.Fatalf("%s: %s", method, said.Err)
	}
	return said
}

// refused makes a call that is to fail, and to say so.
func (d docker) refused(method, body, words string) {
	d.Helper()
	if said := d.call(method, body); !strings.Contains(said.Err, words) {
		d.Fatalf("%s: expected %q, got %+v", method, words, said)
	}
}

func TestPluginSaysWhatItIs(t *testing.T) {
	d := started(t)
	if said := d.ok("Plugin.Activate", ""); len(said.Implements) != 1 || said.Implements[0] != "VolumeDriver" {
		t.Fatalf("%+v", said)
	}
	if said := d.ok("VolumeDriver.Capabilities", "{}"); said.Capabilities.Scope != "local" {
		t.Fatalf("%+v", said)
	}
	d.refused("VolumeDriver.Create", "{", "unexpected EOF")
}

func TestVolumeIsCreatedFoundAndRemoved(t *testing.T) {
	d := started(t)
	d.ok("VolumeDriver.Create", `{"Name": "web", "Opts": {"size": "1G", "compression": "lz4"}}`)
	d.ok("VolumeDriver.Create", `{"Name": "web", "Opts": {"size": "1G"}}`)
	d.refused("VolumeDriver.Create", `{"Name": "a/b"}`, "a/b")
	d.refused("VolumeDriver.Create", `{"Name": "other", "Opts": {"size": "much"}}`, "is no size")
	d.refused("VolumeDriver.Create", `{"Name": "other", "Opts": {"colour": "blue"}}`, "colour")
	d.ok("VolumeDriver.Create", `{"Name": "copy", "Opts": {"from": "web"}}`)
	d.refused("VolumeDriver.Create", `{"Name": "copy2", "Opts": {"from": "web", "size": "1G"}}`, "no other option")
	d.refused("VolumeDriver.Create", `{"Name": "copy2", "Opts": {"from": "none"}}`, "none")
	if said := d.ok("VolumeDriver.List", "{}"); len(said.Volumes) != 2 {
		t.Fatalf("%+v", said)
	}
	said := d.ok("VolumeDriver.Get", `{"Name": "web"}`)
	if said.Volume.Name != "web" || said.Volume.Mountpoint != "" || said.Volume.Status["Quota"] != float64(1<<30) {
		t.Fatalf("%+v", said.Volume)
	}
	if _, err := time.Parse(time.RFC3339, said.Volume.CreatedAt); err != nil {
		t.Fatal(err)
	}
	d.refused("VolumeDriver.Get", `{"Name": "none"}`, "none")
	d.refused("VolumeDriver.Path", `{"Name": "none"}`, "none")
	d.ok("VolumeDriver.Remove", `{"Name": "copy"}`)
	d.ok("VolumeDriver.Remove", `{"Name": "copy"}`)
}

func TestVolumeIsMountedUntilItsLastUserIsGone(t *testing.T) {
	d := started(t)
	d.refused("VolumeDriver.Mount", `{"Name": "web", "ID": "one"}`, "web")
	d.ok("VolumeDriver.Create", `{"Name": "web"}`)
	for _, id := range []string{"one", "two", "one"} {
		if said := d.ok("VolumeDriver.Mount", `{"Name": "web", "ID": "`+id+`"}`); said.Mountpoint != d.volumes+"/web" {
			t.Fatalf("%+v", said)
		}
	}
	d.refused("VolumeDriver.Remove", `{"Name": "web"}`, "mounted by 2")
	mounted := func(expected string) {
		t.Helper()
		if said := d.ok("VolumeDriver.Path", `{"Name": "web"}`); said.Mountpoint != expected {
			t.Fatalf("%+v", said)
		}
	}
	d.ok("VolumeDriver.Unmount", `{"Name": "web", "ID": "one"}`)
	d.ok("VolumeDriver.Unmount", `{"Name": "web", "ID": "one"}`)
	mounted(d.volumes + "/web")
	d.ok("VolumeDriver.Unmount", `{"Name": "web", "ID": "two"}`)
	mounted("")
	d.ok("VolumeDriver.Unmount", `{"Name": "web", "ID": "two"}`)
	d.ok("VolumeDriver.Remove", `{"Name": "web"}`)
}

func TestSizesAreRead(t *testing.T) {
	for size, expected := range map[string]uint64{"512": 512, "64k": 64 << 10, "10MB": 10 << 20, "3G": 3 << 30, "1T": 1 << 40} {
		if got, err := bytes(size); err != nil || got != expected {
			t.Errorf("%s: %d, %v", size, got, err)
		}
	}
	for _, size := range []string{"", "G", "0", "-1", "1GK", "1P", "18446744073709551615K", "B"} {
		if got, err := bytes(size); err == nil {
			t.Errorf("%s is %d", size, got)
		}
	}
}
