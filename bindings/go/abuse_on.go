//go:build zfsvol_debug

package zfsvol

import "runtime"

// abuse collects garbage at every call of the library: an object that is freed too early, or memory that C has and Go moved or gave away, becomes a
// crash in the tests. For tests of this package.
func abuse() { runtime.GC() }
