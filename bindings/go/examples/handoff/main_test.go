package main

import (
	"strings"
	"testing"
)

func TestVolumeMoves(t *testing.T) {
	var out strings.Builder
	if err := handoff(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	const expected = `here: owned, epoch 1
there: replica, epoch 1
here: replica, epoch 2
there: owned, epoch 2
there it says: hello
`
	if out.String() != expected {
		t.Fatalf("it said:\n%s", out.String())
	}
}
