// Gozfs is a contender of `make bench-peers`: mistifyio/go-zfs, which starts `zfs` for everything, and once more after most things that make something.
package main

import (
	"os"
	"strings"

	zfs "github.com/mistifyio/go-zfs/v4"
	"github.com/zfsvol/zfsvol/benches/peers/contenders/go/driver"
)

func main() {
	create := func(job driver.Job) func(number int) error {
		return func(number int) error {
			_, err := zfs.CreateFilesystem(job.Volume(number), nil)
			return err
		}
	}
	driver.Main(map[string]driver.Item{
		"create":      func(job driver.Job) (int, error) { return job.Each(create(job)) },
		"create-many": func(job driver.Job) (int, error) { return job.EachAtOnce(create(job)) },
		"exists": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, err := zfs.GetDataset(job.Volume(number))
				return err
			})
		},
		"get-property": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, err := volume(job, number).GetProperty("used")
				return err
			})
		},
		"set-property": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error { return volume(job, number).SetProperty("bench:note", "x") })
		},
		// It has no listing of names alone: this is thirteen properties.
		"list-properties": func(job driver.Job) (int, error) {
			return below(job)(zfs.Filesystems(job.Parent))
		},
		"list-snapshots": func(job driver.Job) (int, error) {
			return below(job)(zfs.Snapshots(job.Parent))
		},
		// As it takes no more than one name: of the parent, and of all below it.
		"snapshot-all": func(job driver.Job) (int, error) {
			_, err := (&zfs.Dataset{Name: job.Parent}).Snapshot("b", true)
			return job.Count, err
		},
		"destroy-snapshots-all": func(job driver.Job) (int, error) {
			return job.Count, (&zfs.Dataset{Name: job.Parent + "@b"}).Destroy(zfs.DestroyRecursive)
		},
		"snapshot": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				_, err := volume(job, number).Snapshot("a", false)
				return err
			})
		},
		"destroy-snapshots": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return snapshot(job, number, "a").Destroy(zfs.DestroyDefault)
			})
		},
		"destroy": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error { return volume(job, number).Destroy(zfs.DestroyDefault) })
		},
		"destroy-all": func(job driver.Job) (int, error) {
			return job.Count, (&zfs.Dataset{Name: job.Parent}).Destroy(zfs.DestroyRecursive)
		},
		"send": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return driver.To(func(to *os.File) error { return snapshot(job, number, "a").SendSnapshot(to) })
			})
		},
		"send-incremental": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return driver.To(func(to *os.File) error {
					return snapshot(job, number, "b").IncrementalSend(snapshot(job, number, "a"), to)
				})
			})
		},
		"receive": func(job driver.Job) (int, error) {
			return job.Each(func(number int) error {
				return driver.From(func(from *os.File) error {
					_, err := zfs.ReceiveSnapshot(from, job.Snapshot(number, "a"))
					return err
				})
			})
		},
	})
}

// A program that works with a volume has it: it was listed, or it has just been made.
func volume(job driver.Job, number int) *zfs.Dataset {
	return &zfs.Dataset{Name: job.Volume(number)}
}

func snapshot(job driver.Job, number int, name string) *zfs.Dataset {
	return &zfs.Dataset{Name: job.Snapshot(number, name), Type: zfs.DatasetSnapshot}
}

func below(job driver.Job) func(found []*zfs.Dataset, err error) (int, error) {
	return func(found []*zfs.Dataset, err error) (int, error) {
		count := 0
		for _, one := range found {
			if strings.HasPrefix(one.Name, job.Parent+"/") {
				count++
			}
		}
		return count, err
	}
}
