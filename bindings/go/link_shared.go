//go:build !zfsvol_static

package zfsvol

// #cgo pkg-config: zfsvol
import "C"
