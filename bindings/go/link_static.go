//go:build zfsvol_static

package zfsvol

// The archive is named by its file, for pkg-config names the library, of which a linker takes the shared form where both are installed. All symbols are
// found by then, and --as-needed leaves that out.

// #cgo LDFLAGS: -l:libzfsvol.a -Wl,--as-needed
// #cgo pkg-config: --static zfsvol
import "C"
