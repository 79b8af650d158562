package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// Key is the key of an encrypted dataset. It is wiped from the library's memory when it is closed.
type Key struct{ h *handle }

// RawKey is a key of 32 bytes, keyformat=raw. Fails with [ErrInvalid] for any other length.
func RawKey(bytes []byte) (*Key, error) {
	return newKey(func(out **C.zfsvol_key, e *cError) cStatus {
		ptr, n := bytesOf(bytes)
		return C.zfsvol_key_raw(ptr, n, out, e)
	})
}

// HexKey is a key of 64 hexadecimal digits, keyformat=hex. Fails with [ErrInvalid] for anything else.
func HexKey(digits string) (*Key, error) {
	return newKey(func(out **C.zfsvol_key, e *cError) cStatus { return C.zfsvol_key_hex(lend(digits), out, e) })
}

// Passphrase is a passphrase of 8 to 512 bytes, keyformat=passphrase. Each use of it takes a fraction of a second, on purpose.
func Passphrase(words string) (*Key, error) {
	return newKey(func(out **C.zfsvol_key, e *cError) cStatus { return C.zfsvol_key_passphrase(lend(words), out, e) })
}

// Close wipes the key, and does nothing if it is closed.
func (k *Key) Close() error {
	k.h.close()
	return nil
}

// LoadKey loads the key of an encryption root. Issues ZFS_IOC_LOAD_KEY; nothing changes on disk.
//
// Fails with [ErrWrongKey], [ErrExists] (it is loaded), [ErrInvalid] (no encryption root, or another format), [ErrNotFound], [ErrDenied].
func (d Dataset) LoadKey(key *Key) error {
	return d.withKey(key, func(zfs *C.zfsvol_zfs, k *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_key_load(zfs, lend(d.name), k, e)
	})
}

// CheckKey says whether the key opens the encryption root: as [Dataset.LoadKey], without loading it.
func (d Dataset) CheckKey(key *Key) error {
	return d.withKey(key, func(zfs *C.zfsvol_zfs, k *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_key_check(zfs, lend(d.name), k, e)
	})
}

// UnloadKey unloads the key of an encryption root. Issues ZFS_IOC_UNLOAD_KEY. Fails with [ErrBusy] while something of it is mounted or open,
// [ErrKeyNotLoaded].
func (d Dataset) UnloadKey() error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_key_unload(zfs, lend(d.name), e) })
}

// ChangeKey wraps the key of a dataset by another one, or with nil by its parent's. Properties can be keylocation and pbkdf2iters. Issues
// ZFS_IOC_CHANGE_KEY.
//
// Fails with [ErrKeyNotLoaded], [ErrInvalid], [ErrNotFound], [ErrDenied].
func (d Dataset) ChangeKey(key *Key, properties Settings) error {
	var a arena
	defer a.free()
	props, err := a.settings(properties)
	if err != nil {
		return err
	}
	return d.withKey(key, func(zfs *C.zfsvol_zfs, k *C.zfsvol_key, e *cError) cStatus {
		return C.zfsvol_key_change(zfs, lend(d.name), k, props, e)
	})
}

func newKey(make func(out **C.zfsvol_key, e *cError) cStatus) (*Key, error) {
	var out *C.zfsvol_key
	if err := done(func(e *cError) cStatus { return make(&out, e) }); err != nil {
		return nil, err
	}
	k := &Key{hold(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_key_free((*C.zfsvol_key)(p)) }, nil)}
	return caught(k, k.h), nil
}

// use runs f with what C knows it by: NULL for nil.
func (k *Key) use(f func(key *C.zfsvol_key) error) error {
	if k == nil {
		return f(nil)
	}
	p, err := k.h.use()
	if err != nil {
		return err
	}
	defer k.h.done()
	return f((*C.zfsvol_key)(p))
}

func (d Dataset) withKey(key *Key, call func(zfs *C.zfsvol_zfs, k *C.zfsvol_key, e *cError) cStatus) error {
	return key.use(func(k *C.zfsvol_key) error {
		return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return call(zfs, k, e) })
	})
}
