package zfsvol

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// Nothing may be left when all tests are over: neither an object of the library, nor a Go value that the library holds.
func TestMain(m *testing.M) {
	code := m.Run()
	// Threads of a connection that has ended may still be on their way out.
	for deadline := time.Now().Add(5 * time.Second); live.Load() != 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if left := live.Load(); left != 0 && code == 0 {
		fmt.Printf("FAIL: %d objects of the library are left\n", left)
		code = 1
	}
	if os.Getenv("ZFSVOL_TEST_URI") != "" && scenariosRun.Load() == 0 {
		fmt.Println("FAIL: no scenario was run")
		code = 1
	}
	os.Exit(code)
}

// embedded opens a kernel with an empty pool "tank".
func embedded(t testing.TB) *Zfs {
	t.Helper()
	zfs := must(Open("embedded:"))(t)
	t.Cleanup(func() { zfs.Close() })
	return zfs
}

// must gives a value, or ends the test.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return value
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("failed: %v", err)
	}
}

// fails expects a failure of that kind.
func fails(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("expected %q, got: %v", kind, err)
	}
}

func same[T comparable](t testing.TB, got, expected T) {
	t.Helper()
	if got != expected {
		t.Fatalf("expected %v, got %v", expected, got)
	}
}
