package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"context"
	"io"
	"os"
	"unsafe"
)

// ZvolImage is the block device of a zvol, as it is rebuilt in a file from the zvol's streams, with no kernel. By one goroutine at a time; others wait.
type ZvolImage struct{ e eater }

// ImageInfo says what a [ZvolImage] holds.
type ImageInfo struct {
	// The GUID of the snapshot; 0 before the first, and after a failure.
	GUID uint64
	// How many bytes of blocks were written.
	Written uint64
}

// OpenZvolImage rebuilds a zvol into a file, which can be read, written and sought. With guid 0 it is to be empty, and a full stream comes first; else it holds
// the snapshot of that GUID, and an increment from that comes first. The file's descriptor is duplicated, and its offset moved.
func OpenZvolImage(file *os.File, guid uint64) (*ZvolImage, error) {
	var out *C.zfsvol_zvol_image
	err := withFile(file, func(fd C.int32_t, e *cError) cStatus { return C.zfsvol_zvol_image_open(fd, C.uint64_t(guid), &out, e) })
	if err != nil {
		return nil, err
	}
	i := &ZvolImage{newEater(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_zvol_image_free((*C.zfsvol_zvol_image)(p)) })}
	return caught(i, i.e.h), nil
}

// Apply makes the file what the zvol was at the snapshot of this stream, or of the last of a package. When it fails, the file holds neither: begin anew with an
// empty one. When the context ends, a Read that waits is ended as [CopyStream] says.
//
// Fails as [VerifyStream], also when the stream does not start from what the file holds; with [ErrInvalid] (it is not of a zvol; raw, redacted or resumed),
// and with what writing fails with.
func (i *ZvolImage) Apply(ctx context.Context, stream io.Reader) error {
	return i.e.eat(ctx, stream, func(image unsafe.Pointer, reader *C.zfsvol_reader, e *cError) cStatus {
		return C.zfsvol_zvol_image_apply((*C.zfsvol_zvol_image)(image), reader, e)
	})
}

// Info says what it holds.
func (i *ZvolImage) Info() (info ImageInfo, err error) {
	err = i.e.use(func(image unsafe.Pointer) error {
		list, err := answer(func(out *cList, e *cError) cStatus {
			return C.zfsvol_zvol_image_info((*C.zfsvol_zvol_image)(image), out, e)
		})
		info = ImageInfo{GUID: list.number("guid"), Written: list.number("written")}
		return err
	})
	return info, err
}

// Close ends an Apply that runs, and lets go of the file, which stays. Does nothing if it is closed.
func (i *ZvolImage) Close() error {
	i.e.h.close()
	return nil
}

// FileImage is the data of a file, as it is rebuilt from the streams of its file system, with no kernel. By one goroutine at a time; others wait.
type FileImage struct{ e eater }

// OpenFileImage rebuilds the file that is that object in its file system (see [FileTree]) into an empty file, which can be read, written and sought. The
// file's descriptor is duplicated, and its offset moved.
func OpenFileImage(file *os.File, object uint64) (*FileImage, error) {
	var out *C.zfsvol_file_image
	err := withFile(file, func(fd C.int32_t, e *cError) cStatus {
		return C.zfsvol_file_image_open(fd, C.uint64_t(object), &out, e)
	})
	if err != nil {
		return nil, err
	}
	i := &FileImage{newEater(unsafe.Pointer(out), func(p unsafe.Pointer) { C.zfsvol_file_image_free((*C.zfsvol_file_image)(p)) })}
	return caught(i, i.e.h), nil
}

// Apply makes the data what it was at the snapshot of this stream. Fails as [ZvolImage.Apply], of a file system, and with [ErrConsumed] once it is finished.
func (i *FileImage) Apply(ctx context.Context, stream io.Reader) error {
	return i.e.eat(ctx, stream, func(image unsafe.Pointer, reader *C.zfsvol_reader, e *cError) cStatus {
		return C.zfsvol_file_image_apply((*C.zfsvol_file_image)(image), reader, e)
	})
}

// Finish cuts the data off where the file ends, which is that many bytes long: what [FileTree.Find] said. Uses the image up. Fails with [ErrConsumed], and
// with what writing fails with.
func (i *FileImage) Finish(size uint64) error {
	return i.e.done(func(image unsafe.Pointer, e *cError) cStatus {
		return C.zfsvol_file_image_finish((*C.zfsvol_file_image)(image), C.uint64_t(size), e)
	})
}

// Close ends an Apply that runs, and lets go of the file, which stays. Does nothing if it is closed.
func (i *FileImage) Close() error {
	i.e.h.close()
	return nil
}

// withFile runs a call with the descriptor of a file, which the library duplicates.
func withFile(file *os.File, call func(fd C.int32_t, e *cError) cStatus) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = done(func(e *cError) (status cStatus) {
		status, failed = withDescriptor(raw, func(fd C.int32_t) cStatus { return call(fd, e) })
		if failed != nil {
			status = C.ZFSVOL_STATUS_IO
		}
		return status
	})
	return because(err, failed)
}
