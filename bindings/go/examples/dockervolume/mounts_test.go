//go:build zfsvol_kernel

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What containers see, which takes real mounts: the embedded kernel mounts nothing that has files in it, so this is there with a tag alone. `make bindings-kernel-test` has it.
func TestContainersFindTheirFiles(t *testing.T) {
	place := newPlace(t)
	d, stop := place.start(t)
	web, copied := filepath.Join(d.volumes, "web"), filepath.Join(d.volumes, "copy")
	mount := func(name string) { d.ok("VolumeDriver.Mount", `{"Name": "`+name+`", "ID": "one"}`) }
	unmount := func(name string) { d.ok("VolumeDriver.Unmount", `{"Name": "`+name+`", "ID": "one"}`) }
	says := func(directory, expected string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(directory, "index"))
		if string(text) != expected || (err != nil) != (expected == "") {
			t.Fatalf("it says %q: %v", text, err)
		}
	}
	write := func(directory, name, text string) error {
		return os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600)
	}
	d.ok("VolumeDriver.Create", `{"Name": "web", "Opts": {"size": "16M", "compression": "off"}}`)
	mount("web")
	if err := write(web, "index", "hello"); err != nil {
		t.Fatal(err)
	}
	var mounts syscall.Statfs_t
	if err := syscall.Statfs(web, &mounts); err != nil || mounts.Blocks*uint64(mounts.Bsize) > 16<<20 {
		t.Fatalf("it has %d bytes: %v", mounts.Blocks*uint64(mounts.Bsize), err)
	}
	if err := write(web, "much", strings.Repeat("x", 64<<20)); !errors.Is(err, syscall.EDQUOT) {
		t.Fatalf("the size is no limit: %v", err)
	}

	// A container keeps what it has while the plugin is started anew.
	stop()
	d, stop = place.start(t)
	defer func() { stop() }()
	says(web, "hello")
	if said := d.ok("VolumeDriver.Path", `{"Name": "web"}`); said.Mountpoint != web {
		t.Fatalf("%+v", said)
	}

	d.ok("VolumeDriver.Create", `{"Name": "copy", "Opts": {"from": "web"}}`)
	mount("copy")
	says(copied, "hello")
	if err := write(copied, "index", "changed"); err != nil {
		t.Fatal(err)
	}
	unmount("web")
	says(web, "")
	mount("web")
	says(web, "hello")
	d.refused("VolumeDriver.Remove", `{"Name": "web"}`, "mounted by 1")
	unmount("copy")
	unmount("web")
	mount("copy")
	says(copied, "changed")
	unmount("copy")
	d.ok("VolumeDriver.Remove", `{"Name": "copy"}`)
	d.ok("VolumeDriver.Remove", `{"Name": "web"}`)
	if said := d.ok("VolumeDriver.List", "{}"); len(said.Volumes) != 0 {
		t.Fatalf("%+v", said)
	}
}
