package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

// Encoding says how a list is packed.
type Encoding uint32

const (
	EncodingNative Encoding = C.ZFSVOL_ENCODING_NATIVE // as the kernel takes it, in the byte order of this machine
	EncodingXDR    Encoding = C.ZFSVOL_ENCODING_XDR    // as it is on disk and in streams
	// As the kernel of another machine takes it: numbers begin with the least, or with the most significant byte.
	EncodingNativeLittle Encoding = C.ZFSVOL_ENCODING_NATIVE_LITTLE
	EncodingNativeBig    Encoding = C.ZFSVOL_ENCODING_NATIVE_BIG
)

// Pack packs the list, byte for byte as libnvpair does it. Fails with [ErrWrongType] for a Go value that there is no nvpair for, [ErrInvalid] when a name or
// string has a NUL in it, [ErrTooLarge] when it is nested too deep or too long.
func (l List) Pack(encoding Encoding) (packed []byte, err error) {
	made, err := encode(l)
	if err != nil {
		return nil, err
	}
	defer freeList(made)
	s, _, err := given(func(out *C.zfsvol_buffer, e *cError) cStatus {
		return C.zfsvol_nvlist_pack(made, C.zfsvol_encoding(encoding), out, e)
	})
	return []byte(s), err
}

// UnpackList is the list that is packed in bytes, in either encoding and byte order. Takes anything: what is no list is refused, in time and memory in
// proportion to its length. Fails with [ErrInvalid] or [ErrCorrupt].
func UnpackList(packed []byte) (List, error) {
	return answer(func(out *cList, e *cError) cStatus {
		ptr, n := bytesOf(packed)
		return C.zfsvol_nvlist_unpack(ptr, n, out, e)
	})
}

// JSON is the list as JSON: an object whose keys are "name:type", so that nothing is lost. Fails as [List.Pack].
func (l List) JSON() (string, error) {
	made, err := encode(l)
	if err != nil {
		return "", err
	}
	defer freeList(made)
	s, _, err := given(func(out *C.zfsvol_buffer, e *cError) cStatus { return C.zfsvol_nvlist_to_json(made, out, e) })
	return s, err
}

// ListOfJSON is the list that a text of [List.JSON] stands for. Fails with [ErrInvalid] when it stands for none.
func ListOfJSON(json string) (List, error) {
	return answer(func(out *cList, e *cError) cStatus { return C.zfsvol_nvlist_from_json(lend(json), out, e) })
}
