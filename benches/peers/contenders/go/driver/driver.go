// Package driver is what contenders of `make bench-peers` in Go have in common: the protocol of benches/README.md.
package driver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// A Job is an item of work: which volumes, below which parent, and with how many threads where an item has several.
type Job struct {
	Parent                string
	First, Count, Threads int
}

// An Item does a job, and says with how many volumes or snapshots.
type Item func(Job) (int, error)

// Volume is the name of the volume of that number.
func (j Job) Volume(number int) string { return fmt.Sprintf("%s/v%06d", j.Parent, number) }

// Snapshot is the name of its snapshot.
func (j Job) Snapshot(number int, name string) string { return j.Volume(number) + "@" + name }

// Each calls f with the number of each volume, one after the other.
func (j Job) Each(f func(number int) error) (int, error) {
	for number := j.First; number < j.First+j.Count; number++ {
		if err := f(number); err != nil {
			return 0, err
		}
	}
	return j.Count, nil
}

// EachAtOnce does the same from several goroutines.
func (j Job) EachAtOnce(f func(number int) error) (int, error) {
	var (
		group   sync.WaitGroup
		failed  = make([]error, j.Threads)
		numbers = make(chan int, j.Count)
	)
	for number := j.First; number < j.First+j.Count; number++ {
		numbers <- number
	}
	close(numbers)
	for thread := range j.Threads {
		group.Go(func() {
			for number := range numbers {
				if err := f(number); err != nil {
					failed[thread] = err
					return
				}
			}
		})
	}
	group.Wait()
	return j.Count, errors.Join(failed...)
}

// Snapshots names the snapshot of each volume.
func (j Job) Snapshots(name string) []string {
	names := make([]string, 0, j.Count)
	for number := j.First; number < j.First+j.Count; number++ {
		names = append(names, j.Snapshot(number, name))
	}
	return names
}

// To opens where a stream goes, in an item that is about one, and closes it after f.
func To(f func(to *os.File) error) error {
	to, err := os.Create(os.Getenv("ZFSVOL_BENCH_STREAM"))
	if err != nil {
		return err
	}
	return errors.Join(f(to), to.Close())
}

// From opens where a stream comes from.
func From(f func(from *os.File) error) error {
	from, err := os.Open(os.Getenv("ZFSVOL_BENCH_STREAM"))
	if err != nil {
		return err
	}
	return errors.Join(f(from), from.Close())
}

// Main is the program: it says what it can do, or does one item of it. Whatever is to be opened beforehand has been.
func Main(items map[string]Item) {
	if err := run(items, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(items map[string]Item, arguments []string) error {
	if slices.Equal(arguments, []string{"items"}) {
		for name := range items {
			fmt.Println(name)
		}
		return nil
	}
	if len(arguments) != 5 || items[arguments[0]] == nil {
		return errors.New("arguments: ITEM PARENT FIRST COUNT THREADS, or items")
	}
	job := Job{Parent: arguments[1]}
	for index, number := range []*int{&job.First, &job.Count, &job.Threads} {
		var err error
		if *number, err = strconv.Atoi(arguments[index+2]); err != nil {
			return err
		}
	}
	input := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	done, err := items[arguments[0]](job)
	if err != nil {
		return err
	}
	var started syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &started); err != nil {
		return err
	}
	fmt.Println("done", done, started.Maxrss)
	_, err = io.Copy(io.Discard, input)
	return err
}
