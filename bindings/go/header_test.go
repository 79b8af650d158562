package zfsvol

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Functions of the library that this package does not have, as prefixes; and those that it has no use for.
var unbound = strings.Fields(`
	zfsvol_fault_ zfsvol_record_ zfsvol_replay_
	zfsvol_bookmark_get zfsvol_dataset_mount_path zfsvol_dataset_mount_tree zfsvol_dataset_unmount_tree zfsvol_diff_to
	zfsvol_events_clear zfsvol_events_dropped zfsvol_events_seek

	zfsvol_error_ zfsvol_nvlist_ zfsvol_reader_from_fd zfsvol_writer_from_fd zfsvol_receive_bytes zfsvol_receive_from_reader zfsvol_send_to_writer
	zfsvol_stream_verify zfsvol_records_open_fd zfsvol_transport_pair zfsvol_zfs_clone`)

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
	for _, prefix := range unbound {
		if !slices.ContainsFunc(functions, func(function []string) bool { return strings.HasPrefix(function[1], prefix) && !has(function[1]) }) {
			t.Errorf("%s is bound, or is no more: take it off the list", prefix)
		}
	}
	for _, function := range functions {
		known := slices.ContainsFunc(unbound, func(prefix string) bool { return strings.HasPrefix(function[1], prefix) })
		if !known && !has(function[1]) {
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
