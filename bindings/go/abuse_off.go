//go:build !zfsvol_debug

package zfsvol

// abuse does nothing. See abuse_on.go.
func abuse() {}
