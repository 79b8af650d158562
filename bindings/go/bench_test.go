package zfsvol

import "testing"

// What a call costs beside what the kernel does: `benches/languages` runs them, and what Rust and C take for the same is in the last table of
// `cargo bench -p zfsvol-benches --bench layers`.

func BenchmarkExists(b *testing.B) {
	disk := benchmarked(b)
	for b.Loop() {
		if there, err := disk.Exists(); err != nil || !there {
			b.Fatal(there, err)
		}
	}
}

func BenchmarkProperties(b *testing.B) {
	disk := benchmarked(b)
	for b.Loop() {
		if _, err := disk.Properties(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarked(b *testing.B) Dataset {
	b.Helper()
	b.ReportAllocs()
	zfs, err := Open("embedded:")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = zfs.Close() })
	disk, err := zfs.CreateZvol("tank/disk", 1<<30, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	return disk
}
