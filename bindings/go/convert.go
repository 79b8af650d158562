package zfsvol

/*
#include <stdlib.h>
#include <zfsvol.h>
*/
import "C"

import (
	"time"
	"unsafe"
)

// What every file says of C.
type (
	cStatus = C.zfsvol_status
	cError  = *C.zfsvol_error
	cList   = *C.zfsvol_nvlist
	cStr    = C.zfsvol_str
)

// nothing is where the empty text is: a text of no bytes that is there, for a NULL pointer leaves a text out.
var nothing byte

// lend lends a text to C, as an argument, for the length of one call. In structs and arrays it takes an arena.
func lend(s string) cStr {
	if s == "" {
		return cStr{ptr: (*C.char)(unsafe.Pointer(&nothing))}
	}
	return cStr{ptr: (*C.char)(unsafe.Pointer(unsafe.StringData(s))), len: C.size_t(len(s))}
}

// lendAny is lend for a text that may be left out, as the empty one.
func lendAny(s string) cStr {
	if s == "" {
		return cStr{}
	}
	return lend(s)
}

// text copies what C lends.
func text(s cStr) string {
	return C.GoStringN(s.ptr, C.int(s.len))
}

// take copies what C gives, and frees it. There says whether there was anything.
func take(buffer *C.zfsvol_buffer) (s string, there bool) {
	if buffer.ptr == nil {
		return "", false
	}
	defer C.zfsvol_buffer_free(buffer)
	return C.GoStringN(buffer.ptr, C.int(buffer.len)), true
}

// bytesOf lends the bytes of a slice, as an argument.
func bytesOf(p []byte) (*C.uint8_t, C.size_t) {
	if len(p) == 0 {
		return (*C.uint8_t)(unsafe.Pointer(&nothing)), 0
	}
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(p))), C.size_t(len(p))
}

// arena is memory of C for the length of a call: what structs and arrays point to, which cannot be memory of the collector.
type arena struct {
	blocks []unsafe.Pointer
	lists  []cList
}

func (a *arena) free() {
	for _, block := range a.blocks {
		C.free(block)
	}
	for _, list := range a.lists {
		C.zfsvol_nvlist_free(list)
	}
}

// alloc gives zeroed memory for so many of that size, at least one byte of it.
func (a *arena) alloc(count int, size uintptr) unsafe.Pointer {
	block := C.calloc(C.size_t(max(count, 1)), C.size_t(size))
	if block == nil {
		panic("zfsvol: out of memory")
	}
	a.blocks = append(a.blocks, block)
	return block
}

// str copies a text. The empty one is there.
func (a *arena) str(s string) cStr {
	block := a.alloc(len(s), 1)
	copy(unsafe.Slice((*byte)(block), len(s)), s)
	return cStr{ptr: (*C.char)(block), len: C.size_t(len(s))}
}

// strAny copies a text that may be left out, as the empty one.
func (a *arena) strAny(s string) cStr {
	if s == "" {
		return cStr{}
	}
	return a.str(s)
}

// strs copies texts, those of nil to NULL.
func (a *arena) strs(texts []string) (*cStr, C.size_t) {
	if texts == nil {
		return nil, 0
	}
	block := (*cStr)(a.alloc(len(texts), unsafe.Sizeof(cStr{})))
	for i, s := range texts {
		unsafe.Slice(block, len(texts))[i] = a.str(s)
	}
	return block, C.size_t(len(texts))
}

// list makes a list of C, that is freed with the arena; NULL of an empty one.
func (a *arena) list(list List) (cList, error) {
	if len(list) == 0 {
		return nil, nil
	}
	made, err := encode(list)
	if err == nil {
		a.lists = append(a.lists, made)
	}
	return made, err
}

// settings makes a list of C of properties to be set, as arena.list does.
func (a *arena) settings(settings Settings) (cList, error) {
	list := make(List, len(settings))
	for name, value := range settings {
		list[name] = value
	}
	return a.list(list)
}

// within is a length of time in milliseconds, of which a part is one more; 0 stays 0, which stands for the default of the library.
func within(d time.Duration) C.uint64_t {
	return C.uint64_t((max(d, 0) + time.Millisecond - 1) / time.Millisecond)
}

// when is a time that the kernel has: seconds since 1970.
func when(seconds int64) time.Time {
	return time.Unix(seconds, 0)
}

// answer runs a call whose answer is a list, and copies that. The list is nil where C gives NULL.
func answer(call func(out *cList, e *cError) cStatus) (List, error) {
	var (
		out cList
		e   cError
	)
	if err := check(call(&out, &e), &e); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, nil
	}
	defer C.zfsvol_nvlist_free(out)
	return decode(out), nil
}

// done runs a call that has no answer.
func done(call func(e *cError) cStatus) error {
	var e cError
	return check(call(&e), &e)
}

// given runs a call whose answer is a text.
func given(call func(out *C.zfsvol_buffer, e *cError) cStatus) (s string, there bool, err error) {
	var (
		out C.zfsvol_buffer
		e   cError
	)
	if err := check(call(&out, &e), &e); err != nil {
		return "", false, err
	}
	s, there = take(&out)
	return s, there, nil
}

// each runs an iterator: next gives a list, or NULL at the end, and free frees what it reads from, in any case.
func each(next func(out *cList, e *cError) cStatus, free func(), yield func(List, error) bool) {
	defer free()
	for {
		list, err := answer(next)
		if err != nil {
			yield(nil, err)
			return
		}
		if list == nil || !yield(list, nil) {
			return
		}
	}
}
