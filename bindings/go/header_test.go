package zfsvol

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Functions of the library that this package has no use for, as prefixes, and why.
var unbound = map[string]string{
	"zfsvol_error_":              "zfsvol_error_details says all of it at once",
	"zfsvol_nvlist_":             "a List is a copy: it is read by zfsvol_nvlist_next, and changed in Go",
	"zfsvol_reader_from_fd":      "readers are of Go, which can end what waits",
	"zfsvol_writer_from_fd":      "writers are of Go, which can end what waits",
	"zfsvol_receive_bytes":       "Receive returns when all is written, and says how much that was",
	"zfsvol_receive_from_reader": "Receive reads in the goroutine that called it",
	"zfsvol_send_to_writer":      "Stream.WriteTo writes in the goroutine that called it",
	"zfsvol_stream_verify":       "VerifyStream reads what is in memory and in files too",
	"zfsvol_records_open_fd":     "StreamRecords reads files too",
	"zfsvol_records_progress":    "the records that StreamRecords gave add up to it",
	"zfsvol_transport_pair":      "net.Pipe is one",
	"zfsvol_pool_wait_start":     "Pool.Wait is ended by a signal to its thread, and leaves none behind",
	"zfsvol_volume_recover":      "zfsvol_volume_recover_start ends with its context",
	"zfsvol_zfs_clone":           "a *Zfs can be used by any number of goroutines",
}

func TestHeaderIsKnown(t *testing.T) {
	header := string(must(os.ReadFile("../../include/zfsvol.h"))(t))
	var source strings.Builder
	for _, name := range must(filepath.Glob("*.go"))(t) {
		if !strings.HasSuffix(name, "_test.go") {
			source.Write(must(os.ReadFile(name))(t))
		}
	}
	used := regexp.MustCompile(`C\.(zfsvol_\w+|ZFSVOL_\w+)`).FindAllString(source.String(), -1)
	has := func(name string) bool { return slices.Contains(used, "C."+name) }
	functions := regexp.MustCompile(`(?m)^\w[\w ]*[ *](zfsvol_\w+)\(`).FindAllStringSubmatch(header, -1)
	if len(functions) < 300 {
		t.Fatalf("%d functions were found", len(functions))
	}
	for prefix := range unbound {
		if !slices.ContainsFunc(functions, func(function []string) bool { return strings.HasPrefix(function[1], prefix) && !has(function[1]) }) {
			t.Errorf("%s is bound, or is no more: take it off the list", prefix)
		}
	}
	for _, function := range functions {
		known := func(prefix string) bool { return strings.HasPrefix(function[1], prefix) }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(unbound)), known) && !has(function[1]) {
			t.Errorf("%s is new: bind it, or say that it is not bound", function[1])
		}
	}
	for _, status := range regexp.MustCompile(`#define (ZFSVOL_STATUS_\w+)`).FindAllStringSubmatch(header, -1) {
		if !has(status[1]) {
			t.Errorf("%s has no Err", status[1])
		}
	}
}

func TestReadmeIsWhatIsRun(t *testing.T) {
	_, block, found := strings.Cut(string(must(os.ReadFile("README.md"))(t)), "```go\n")
	if !found {
		t.Fatal("it shows nothing")
	}
	block, _, _ = strings.Cut(block, "```")
	indented := "\t" + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n\t")
	if !strings.Contains(string(must(os.ReadFile("example_test.go"))(t)), indented) {
		t.Fatalf("it is not in example_test.go:\n%s", indented)
	}
}
