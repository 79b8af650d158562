// Zfsvol is a contender of `make bench-peers`: zfsvol's own package for Go.
package main

import (
	"context"
	"errors"
	"iter"
	"log"
	"os"

	"github.com/zfsvol/zfsvol/benches/peers/contenders/go/driver"
	"github.com/zfsvol/zfsvol/bindings/go"
)

var seven = []string{"used", "available", "referenced", "mountpoint", "compression", "quota", "creation"}

func main() {
	zfs, err := zfsvol.Open("zfs:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	create := func(job driver.Job) func(number int) error {
		return func(number int) error {
			_, err := zfs.CreateFilesystem(job.Volume(number), nil, nil)
			return err
		}
	}
	driver.Main(map[string]driver.Item{
		"create":      func(job driver.Job) (int, error) { return job.Each(create(job)) },
		"create-many": func(job driver.Job) (int, error) { return job.EachAtOnce(create(job)) },
		"exists": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				there, err := zfs.Dataset(job.Volume(number)).Exists()
				return orMissing(there, err)
			})
		},
		"get-property": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, there, err := zfs.Dataset(job.Volume(number)).Property("used")
				return orMissing(there, err)
			})
		},
		"set-property": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return zfs.Dataset(job.Volume(number)).Set(zfsvol.Settings{"bench:note": "x"})
			})
		},
		"list-names": func(job driver.Job) (int, error) {
			return below(zfs.Names(zfsvol.ListOptions{Roots: []string{job.Parent}}))
		},
		"list-properties": func(job driver.Job) (int, error) {
			return below(zfs.List(zfsvol.ListOptions{Roots: []string{job.Parent}, Properties: seven}))
		},
		"list-snapshots": func(job driver.Job) (int, error) {
			found := 0
			for _, err := range zfs.Names(zfsvol.ListOptions{Roots: []string{job.Parent}, Kinds: zfsvol.Snapshots}) {
				if err != nil {
					return 0, err
				}
				found++
			}
			return found, nil
		},
		"snapshot-all": func(job driver.Job) (int, error) {
			return job.Count, zfs.CreateSnapshots(job.Snapshots("b"), nil)
		},
		"destroy-snapshots-all": func(job driver.Job) (int, error) {
			return job.Count, zfs.DestroySnapshots(job.Snapshots("b"), false)
		},
		"snapshot": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return zfs.CreateSnapshots([]string{job.Snapshot(number, "a")}, nil)
			})
		},
		"hold": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, err := zfs.Hold([]zfsvol.Hold{{Snapshot: job.Snapshot(number, "a"), Tag: "bench"}}, nil)
				return err
			})
		},
		"release": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, err := zfs.Release([]zfsvol.Hold{{Snapshot: job.Snapshot(number, "a"), Tag: "bench"}})
				return err
			})
		},
		"destroy-snapshots": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return zfs.DestroySnapshots([]string{job.Snapshot(number, "a")}, false)
			})
		},
		"destroy": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error { return zfs.Dataset(job.Volume(number)).Destroy() })
		},
		"destroy-all": func(job driver.Job) (int, error) {
			_, err := zfs.Dataset(job.Parent).DestroyRecursive()
			return job.Count, err
		},
		"send": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error { return send(zfs.Snapshot(job.Snapshot(number, "a")), zfsvol.SendOptions{}) })
		},
		"send-incremental": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return send(zfs.Snapshot(job.Snapshot(number, "b")), zfsvol.SendOptions{Base: job.Snapshot(number, "a")})
			})
		},
		"receive": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return driver.From(func(from *os.File) error {
					_, err := zfs.Snapshot(job.Snapshot(number, "a")).Receive(context.Background(), from, zfsvol.ReceiveOptions{})
					return err
				})
			})
		},
	})
}

func send(snapshot zfsvol.Snapshot, options zfsvol.SendOptions) error {
	return driver.To(func(to *os.File) error {
		stream, err := snapshot.Send(context.Background(), options)
		if err != nil {
			return err
		}
		_, err = stream.WriteTo(to)
		return errors.Join(err, stream.Close())
	})
}

func orMissing(there bool, err error) error {
	if err == nil && !there {
		return errors.New("it is not there")
	}
	return err
}

// How many a listing has beside its root.
func below[T any](listing iter.Seq2[T, error]) (int, error) {
	found := 0
	for _, err := range listing {
		if err != nil {
			return 0, err
		}
		found++
	}
	return found - 1, nil
}
