package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// List is a name-value list (nvlist) of OpenZFS: arguments and results of channel programs, and what the kernel says in its own words.
//
// Values have the Go type of their nvpair: string, bool, byte, int8 to int64, uint16 to uint64, float64, slices of these, List and []List. A pair without
// value is [Flag]. An hrtime is an int64. To be sent, an int stands for an int64 and a uint for a uint64.
type List map[string]any

// Flag is a pair without a value, whose presence is the message.
type Flag struct{}

// text is the string of that name, or "".
func (l List) text(name string) string {
	s, _ := l[name].(string)
	return s
}

// number is the number of that name, of any type of integer, or 0.
func (l List) number(name string) uint64 {
	switch n := l[name].(type) {
	case uint64:
		return n
	case uint32:
		return uint64(n)
	case uint16:
		return uint64(n)
	case uint8:
		return uint64(n)
	}
	return uint64(l.signed(name))
}

// signed is the number of that name, of any signed type, or 0.
func (l List) signed(name string) int64 {
	switch n := l[name].(type) {
	case int64:
		return n
	case int32:
		return int64(n)
	case int16:
		return int64(n)
	case int8:
		return int64(n)
	}
	return 0
}

// truth is the boolean of that name; a flag is true.
func (l List) truth(name string) bool {
	switch b := l[name].(type) {
	case bool:
		return b
	case Flag:
		return true
	}
	return false
}

// texts are the strings of that name.
func (l List) texts(name string) []string {
	all, _ := l[name].([]string)
	return all
}

// list is the list of that name.
func (l List) list(name string) List {
	list, _ := l[name].(List)
	return list
}

// lists are the lists of that name.
func (l List) lists(name string) []List {
	all, _ := l[name].([]List)
	return all
}

// decode copies a list of C.
func decode(list cList) List {
	made := make(List, int(C.zfsvol_nvlist_count(list)))
	var (
		cursor C.size_t
		pair   C.zfsvol_pair
	)
	for C.zfsvol_nvlist_next(list, &cursor, &pair) {
		made[text(pair.name)] = value(list, &pair)
	}
	return made
}

// value copies the value of a pair.
func value(list cList, pair *C.zfsvol_pair) any {
	number := uint64(pair.number)
	switch pair.pair_type {
	case C.ZFSVOL_TYPE_BOOLEAN:
		return Flag{}
	case C.ZFSVOL_TYPE_BOOLEAN_VALUE:
		return number != 0
	case C.ZFSVOL_TYPE_BYTE, C.ZFSVOL_TYPE_UINT8:
		return uint8(number)
	case C.ZFSVOL_TYPE_INT8:
		return int8(number)
	case C.ZFSVOL_TYPE_INT16:
		return int16(number)
	case C.ZFSVOL_TYPE_UINT16:
		return uint16(number)
	case C.ZFSVOL_TYPE_INT32:
		return int32(number)
	case C.ZFSVOL_TYPE_UINT32:
		return uint32(number)
	case C.ZFSVOL_TYPE_INT64, C.ZFSVOL_TYPE_HRTIME:
		return int64(number)
	case C.ZFSVOL_TYPE_UINT64:
		return number
	case C.ZFSVOL_TYPE_DOUBLE:
		return math.Float64frombits(number)
	case C.ZFSVOL_TYPE_STRING:
		return text(pair.text)
	case C.ZFSVOL_TYPE_STRING_ARRAY:
		return stringsOf(list, pair)
	case C.ZFSVOL_TYPE_NVLIST:
		return listsOf(list, pair.name, 1)[0]
	case C.ZFSVOL_TYPE_NVLIST_ARRAY:
		return listsOf(list, pair.name, int(pair.count))
	}
	return array(pair)
}

// array copies an array of numbers; nil of a type that is not known.
func array(pair *C.zfsvol_pair) any {
	switch pair.pair_type {
	case C.ZFSVOL_TYPE_BYTE_ARRAY, C.ZFSVOL_TYPE_UINT8_ARRAY:
		return items[uint8](pair)
	case C.ZFSVOL_TYPE_BOOLEAN_ARRAY:
		return items[bool](pair)
	case C.ZFSVOL_TYPE_INT8_ARRAY:
		return items[int8](pair)
	case C.ZFSVOL_TYPE_INT16_ARRAY:
		return items[int16](pair)
	case C.ZFSVOL_TYPE_UINT16_ARRAY:
		return items[uint16](pair)
	case C.ZFSVOL_TYPE_INT32_ARRAY:
		return items[int32](pair)
	case C.ZFSVOL_TYPE_UINT32_ARRAY:
		return items[uint32](pair)
	case C.ZFSVOL_TYPE_INT64_ARRAY:
		return items[int64](pair)
	case C.ZFSVOL_TYPE_UINT64_ARRAY:
		return items[uint64](pair)
	}
	return nil
}

func items[T any](pair *C.zfsvol_pair) []T {
	all := make([]T, int(pair.count))
	if len(all) > 0 {
		copy(all, unsafe.Slice((*T)(pair.items), len(all)))
	}
	return all
}

func stringsOf(list cList, pair *C.zfsvol_pair) []string {
	all := make([]string, int(pair.count))
	for i := range all {
		var s cStr
		if C.zfsvol_nvlist_text(list, pair.name, C.size_t(i), &s, nil) == C.ZFSVOL_STATUS_OK {
			all[i] = text(s)
		}
	}
	return all
}

func listsOf(list cList, name cStr, count int) []List {
	all := make([]List, count)
	for i := range all {
		var element cList
		if C.zfsvol_nvlist_list(list, name, C.size_t(i), &element, nil) == C.ZFSVOL_STATUS_OK {
			all[i] = decode(element)
			freeList(element)
		}
	}
	return all
}

// encode makes a list of C, which the caller frees. Fails with ErrWrongType for a Go value that there is no nvpair for, and as C does.
func encode(list List) (cList, error) {
	var (
		made cList
		e    cError
	)
	if err := check(C.zfsvol_nvlist_new(&made, &e), &e); err != nil {
		return nil, err
	}
	for name, value := range list {
		if err := put(made, name, value); err != nil {
			freeList(made)
			return nil, err
		}
	}
	return made, nil
}

// put puts a pair into a list of C.
func put(list cList, name string, value any) error {
	return done(func(e *cError) cStatus {
		n := lend(name)
		switch v := value.(type) {
		case Flag:
			return C.zfsvol_nvlist_put_flag(list, n, e)
		case bool:
			return C.zfsvol_nvlist_put_bool(list, n, C.bool(v), e)
		case string:
			return C.zfsvol_nvlist_put_str(list, n, lend(v), e)
		case uint64:
			return C.zfsvol_nvlist_put_u64(list, n, C.uint64_t(v), e)
		case uint:
			return C.zfsvol_nvlist_put_u64(list, n, C.uint64_t(v), e)
		case int64:
			return C.zfsvol_nvlist_put_i64(list, n, C.int64_t(v), e)
		case int:
			return C.zfsvol_nvlist_put_i64(list, n, C.int64_t(v), e)
		case uint32:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_UINT32, C.uint64_t(v), e)
		case int32:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_INT32, C.uint64_t(v), e)
		case uint16:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_UINT16, C.uint64_t(v), e)
		case int16:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_INT16, C.uint64_t(v), e)
		case uint8:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_UINT8, C.uint64_t(v), e)
		case int8:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_INT8, C.uint64_t(v), e)
		case float64:
			return C.zfsvol_nvlist_put_number(list, n, C.ZFSVOL_TYPE_DOUBLE, C.uint64_t(math.Float64bits(v)), e)
		}
		return putMany(list, name, value, e)
	})
}

// putMany puts an array, or a list.
func putMany(list cList, name string, value any, e *cError) cStatus {
	var a arena
	defer a.free()
	n := lend(name)
	switch v := value.(type) {
	case []byte:
		return numbers(list, n, C.ZFSVOL_TYPE_BYTE_ARRAY, v, e)
	case []bool:
		return numbers(list, n, C.ZFSVOL_TYPE_BOOLEAN_ARRAY, v, e)
	case []int8:
		return numbers(list, n, C.ZFSVOL_TYPE_INT8_ARRAY, v, e)
	case []int16:
		return numbers(list, n, C.ZFSVOL_TYPE_INT16_ARRAY, v, e)
	case []uint16:
		return numbers(list, n, C.ZFSVOL_TYPE_UINT16_ARRAY, v, e)
	case []int32:
		return numbers(list, n, C.ZFSVOL_TYPE_INT32_ARRAY, v, e)
	case []uint32:
		return numbers(list, n, C.ZFSVOL_TYPE_UINT32_ARRAY, v, e)
	case []int64:
		return numbers(list, n, C.ZFSVOL_TYPE_INT64_ARRAY, v, e)
	case []uint64:
		return numbers(list, n, C.ZFSVOL_TYPE_UINT64_ARRAY, v, e)
	case []string:
		texts, count := a.strs(v)
		return C.zfsvol_nvlist_put_strs(list, n, texts, count, e)
	case List:
		made, err := encode(v)
		if err != nil {
			return statusOf(err)
		}
		defer freeList(made)
		return C.zfsvol_nvlist_put_list(list, n, made, e)
	case []List:
		block := (*cList)(a.alloc(len(v), unsafe.Sizeof(cList(nil))))
		for i, element := range v {
			made, err := encode(element)
			if err != nil {
				return statusOf(err)
			}
			a.lists = append(a.lists, made)
			unsafe.Slice(block, len(v))[i] = made
		}
		return C.zfsvol_nvlist_put_lists(list, n, block, C.size_t(len(v)), e)
	}
	return C.ZFSVOL_STATUS_WRONG_TYPE
}

func numbers[T any](list cList, name cStr, of C.zfsvol_type, all []T, e *cError) cStatus {
	ptr := unsafe.Pointer(&nothing)
	if len(all) > 0 {
		ptr = unsafe.Pointer(unsafe.SliceData(all))
	}
	return C.zfsvol_nvlist_put_numbers(list, name, of, ptr, C.size_t(len(all)), e)
}

// freeList frees a list of C.
func freeList(list cList) { C.zfsvol_nvlist_free(list) }

// statusOf is the status of an error of this package.
func statusOf(err error) cStatus {
	if e, ok := err.(*Error); ok {
		return cStatus(e.Kind)
	}
	return C.ZFSVOL_STATUS_OTHER
}

// String is the list as Go prints it.
func (l List) String() string {
	return fmt.Sprint(map[string]any(l))
}
