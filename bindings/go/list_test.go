package zfsvol

import (
	"reflect"
	"testing"
)

// everyType is a list with a value of each type.
func everyType() List {
	return List{
		"flag": Flag{}, "truth": true, "lie": false, "text": "täxt", "empty": "",
		"u8": uint8(255), "i8": int8(-1), "u16": uint16(1), "i16": int16(-2), "u32": uint32(1 << 31), "i32": int32(-3), "u64": uint64(1 << 63), "i64": int64(-4),
		"float": 1.5,
		"bytes": []byte{1, 2}, "truths": []bool{true, false}, "i8s": []int8{-1}, "u16s": []uint16{1}, "i16s": []int16{-1}, "u32s": []uint32{1}, "i32s": []int32{-1},
		"u64s": []uint64{1, 1 << 63}, "i64s": []int64{-1}, "none": []uint64{},
		"texts": []string{"a", "", "c"}, "list": List{"in": List{"side": uint64(1)}}, "lists": []List{{"a": "b"}, {}},
	}
}

func TestListsComeBackAsTheyWent(t *testing.T) {
	list := everyType()
	made := must(encode(list))(t)
	got := decode(made)
	freeList(made)
	for name := range list {
		if !reflect.DeepEqual(got[name], list[name]) {
			t.Errorf("%s: %#v became %#v", name, list[name], got[name])
		}
	}
	same(t, len(got), len(list))
	same(t, got.number("i32"), ^uint64(2))
	_, err := encode(List{"what": struct{}{}})
	fails(t, err, ErrWrongType)
	_, err = encode(List{"list": List{"what": struct{}{}}})
	fails(t, err, ErrWrongType)
	made = must(encode(List{"int": -1, "uint": uint(1)}))(t)
	got = decode(made)
	freeList(made)
	same(t, got["int"], any(int64(-1)))
	same(t, got["uint"], any(uint64(1)))
}

func TestListsArePackedAndWrittenAsJSON(t *testing.T) {
	list := everyType()
	for _, encoding := range []Encoding{EncodingNative, EncodingXDR} {
		got := must(UnpackList(must(list.Pack(encoding))(t)))(t)
		if !reflect.DeepEqual(got, list) {
			t.Errorf("%v became %v", list, got)
		}
	}
	got := must(ListOfJSON(must(list.JSON())(t)))(t)
	if !reflect.DeepEqual(got, list) {
		t.Errorf("%v became %v", list, got)
	}
	same(t, must(List{"a": uint64(1)}.JSON())(t), `{"a:uint64":1}`)
	same(t, len(must(UnpackList(must(List{}.Pack(EncodingXDR))(t)))(t)), 0)
	_, err := List{"a": "b\x00c"}.Pack(EncodingXDR)
	fails(t, err, ErrInvalid)
	_, err = List{"a": uint64(1)}.Pack(9)
	fails(t, err, ErrUnknownNumber)
	_, err = List{"what": struct{}{}}.Pack(EncodingXDR)
	fails(t, err, ErrWrongType)
	_, err = List{"what": struct{}{}}.JSON()
	fails(t, err, ErrWrongType)
	for _, packed := range [][]byte{nil, {1}, []byte("no list at all")} {
		if _, err = UnpackList(packed); err == nil {
			t.Errorf("%q is no list", packed)
		}
	}
	_, err = ListOfJSON("{")
	fails(t, err, ErrInvalid)
}
