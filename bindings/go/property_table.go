package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// PropertyInfo is what is known of a property, whichever dataset or pool has it.
type PropertyInfo struct {
	// "number", "text" or "index", which is one of some words.
	Kind string
	// What a number counts: "bytes", "hundredths", "seconds" (since 1970), "percent" or "one".
	Unit string
	// The words of an index, with the kernel's numbers for them.
	Words map[string]uint64
	// "read_only", "set_once" (when the dataset is created), "set_once_inheritable", "settable" or "inheritable".
	Access string
	// Which have it, of "filesystem", "volume", "snapshot", "bookmark" and "pool".
	Types []string
	// The release that brought it, "2.2", where that is newer than OpenZFS 2.1.
	Since string
	// Whether "zfs get all" shows it.
	Visible bool
	// What it may be set to, to finish a sentence: "'on' or 'off'".
	Allowed string
	// Its value where nothing sets one, in the release that answers: a uint64 or a string; nil where it has none.
	Default any
}

// PropertyTable is what is known of every property of datasets, by its name. Issues nothing.
func (z *Zfs) PropertyTable() (map[string]PropertyInfo, error) { return z.propertyTable(false) }

// PoolPropertyTable is what is known of every property of pools, by its name. Issues nothing.
func (z *Zfs) PoolPropertyTable() (map[string]PropertyInfo, error) { return z.propertyTable(true) }

func (z *Zfs) propertyTable(pool bool) (map[string]PropertyInfo, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_property_table(zfs, C.bool(pool), out, e)
	})
	if err != nil {
		return nil, err
	}
	table := make(map[string]PropertyInfo, len(list))
	for name := range list {
		one := list.list(name)
		info := PropertyInfo{
			Kind: one.text("kind"), Unit: one.text("unit"), Access: one.text("access"), Types: one.texts("types"),
			Since: one.text("since"), Visible: one.truth("visible"), Allowed: one.text("allowed"), Default: one["default"],
		}
		if words := one.list("words"); words != nil {
			info.Words = make(map[string]uint64, len(words))
			for word := range words {
				info.Words[word] = words.number(word)
			}
		}
		table[name] = info
	}
	return table, nil
}
