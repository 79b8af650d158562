package zfsvol

/*
#include <zfsvol.h>

// What is compiled must be of the version that is linked: the header is looked at here, and the library in init.
#if ZFSVOL_ABI != 1
#error "this package is for version 1 of the ABI of libzfsvol"
#endif
*/
import "C"

import "fmt"

// The header that this package was compiled with and the library that was loaded must agree on every number and every struct: nothing can be called
// before that is known.
func init() {
	if loaded := uint32(C.zfsvol_abi()); loaded != C.ZFSVOL_ABI {
		panic(fmt.Sprintf("zfsvol: libzfsvol %s has version %d of the ABI, and this program was built for version %d", Version(), loaded, C.ZFSVOL_ABI))
	}
}

// Version is the version of the library that was loaded, such as "0.1.0".
func Version() string {
	return text(C.zfsvol_version())
}
