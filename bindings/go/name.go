package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// Name is what the name of a dataset, snapshot or bookmark consists of.
type Name struct {
	// "dataset", "snapshot" or "bookmark".
	Kind string
	// The pool it is in, and the dataset that it is or is of.
	Pool, Dataset string
	// What the dataset is right below; empty for the root of a pool.
	Parent string
	// What follows the "@" or the "#".
	Snapshot, Bookmark string
	// How many slashes there are.
	Depth int
}

// ParseName takes a name apart, by the rules of the kernel. Asks no kernel: nothing of that name need be there.
//
// Fails with [ErrInvalidName], and says why the kernel would refuse it.
func ParseName(name string) (Name, error) {
	list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_name_parse(lend(name), out, e) })
	return Name{
		Kind: list.text("kind"), Pool: list.text("pool"), Dataset: list.text("dataset"), Parent: list.text("parent"),
		Snapshot: list.text("snapshot"), Bookmark: list.text("bookmark"), Depth: int(list.number("depth")),
	}, err
}
