//! [`Libnvpair`]: OpenZFS's library for lists, loaded while the program runs.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use zfsvol_core::nvlist::Encoding;

/// `NV_UNIQUE_NAME`, `NV_ENCODE_NATIVE` and `NV_ENCODE_XDR` of OpenZFS `include/sys/nvpair.h`.
const UNIQUE_NAME: c_uint = 1;
const ENCODE_NATIVE: c_int = 0;
const ENCODE_XDR: c_int = 1;

const LIBRARY: &CStr = c"libnvpair.so.3";

type Alloc = unsafe extern "C" fn(*mut *mut c_void, c_uint, c_int) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void);
type AddBoolean = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
type Pack = unsafe extern "C" fn(*mut c_void, *mut *mut c_char, *mut usize, c_int, c_int) -> c_int;
type Unpack = unsafe extern "C" fn(*mut c_char, usize, *mut *mut c_void, c_int) -> c_int;

/// The functions of libnvpair that are compared. It stays loaded until the program ends.
pub(crate) struct Libnvpair {
    alloc: Alloc,
    free: Free,
    add_boolean: AddBoolean,
    pack: Pack,
    unpack: Unpack,
}

/// An errno of libnvpair.
#[derive(Debug)]
pub(crate) struct Refused(c_int);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libnvpair gives errno {}", self.0)
    }
}

impl std::error::Error for Refused {}

impl Libnvpair {
    /// The machine's own, or that of the guests of tests/vm, which runs here too since it asks nothing of a kernel. `None` if there is neither.
    pub(crate) fn load() -> Option<Self> {
        let library = open(LIBRARY).or_else(|| {
            let path = guest_libraries()?.join(LIBRARY.to_string_lossy().as_ref());
            open(&CString::new(path.as_os_str().as_bytes()).ok()?)
        })?;
        let find = |name: &CStr| {
            // SAFETY: the library is loaded, and never unloaded.
            let address = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        let (alloc, free) = (find(c"nvlist_alloc")?, find(c"nvlist_free")?);
        let add_boolean = find(c"nvlist_add_boolean")?;
        let (pack, unpack) = (find(c"nvlist_pack")?, find(c"nvlist_unpack")?);
        Some(Self {
            // SAFETY: the function of that name has this signature since libnvpair 1 (OpenZFS `include/libnvpair.h`, `include/sys/nvpair.h`).
            alloc: unsafe { std::mem::transmute::<*mut c_void, Alloc>(alloc) },
            // SAFETY: the same.
            free: unsafe { std::mem::transmute::<*mut c_void, Free>(free) },
            // SAFETY: the same.
            add_boolean: unsafe { std::mem::transmute::<*mut c_void, AddBoolean>(add_boolean) },
            // SAFETY: the same.
            pack: unsafe { std::mem::transmute::<*mut c_void, Pack>(pack) },
            // SAFETY: the same.
            unpack: unsafe { std::mem::transmute::<*mut c_void, Unpack>(unpack) },
        })
    }

    /// A list without pairs, which holds each name once.
    pub(crate) fn new_list(&self) -> Result<List<'_>, Refused> {
        let mut list = ptr::null_mut();
        // SAFETY: `list` is a place for a pointer.
        refused(unsafe { (self.alloc)(&raw mut list, UNIQUE_NAME, 0) })?;
        Ok(List { library: self, list })
    }

    /// What is packed in these bytes, which it only reads.
    pub(crate) fn unpack(&self, packed: &[u8]) -> Result<List<'_>, Refused> {
        let mut list = ptr::null_mut();
        let start = packed.as_ptr().cast_mut().cast();
        // SAFETY: so many bytes are there, which it does not change, and `list` is a place for a pointer.
        refused(unsafe { (self.unpack)(start, packed.len(), &raw mut list, 0) })?;
        Ok(List { library: self, list })
    }
}

/// A list of libnvpair.
pub(crate) struct List<'a> {
    library: &'a Libnvpair,
    list: *mut c_void,
}

impl List<'_> {
    /// One more name without a value.
    pub(crate) fn add_flag(&mut self, name: &CStr) -> Result<(), Refused> {
        // SAFETY: the list is live, and the name is copied.
        refused(unsafe { (self.library.add_boolean)(self.list, name.as_ptr()) })
    }

    /// Packs it, frees that again, and says how many bytes it was.
    pub(crate) fn packed_bytes(&self, encoding: Encoding) -> Result<usize, Refused> {
        Ok(self.packed(encoding)?.bytes)
    }

    /// The list, packed.
    pub(crate) fn pack(&self, encoding: Encoding) -> Result<Vec<u8>, Refused> {
        let packed = self.packed(encoding)?;
        // SAFETY: so many bytes were written there, and stay until `packed` goes.
        Ok(unsafe { std::slice::from_raw_parts(packed.start.cast::<u8>(), packed.bytes) }.to_vec())
    }

    fn packed(&self, encoding: Encoding) -> Result<Packed, Refused> {
        let encoding = if encoding == Encoding::Xdr { ENCODE_XDR } else { ENCODE_NATIVE };
        let mut packed = Packed { start: ptr::null_mut(), bytes: 0 };
        // SAFETY: the list is live, and a null pointer has it allocate.
        refused(unsafe {
            (self.library.pack)(
                self.list,
                &raw mut packed.start,
                &raw mut packed.bytes,
                encoding,
                0,
            )
        })?;
        Ok(packed)
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        // SAFETY: made by the library, and freed once.
        unsafe { (self.library.free)(self.list) };
    }
}

/// What libnvpair has allocated with malloc.
struct Packed {
    start: *mut c_char,
    bytes: usize,
}

impl Drop for Packed {
    fn drop(&mut self) {
        // SAFETY: null, or allocated with malloc and not freed.
        unsafe { libc::free(self.start.cast()) };
    }
}

fn refused(errno: c_int) -> Result<(), Refused> {
    if errno == 0 { Ok(()) } else { Err(Refused(errno)) }
}

fn open(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a text with an end; what the library does when it is loaded is to make room for itself.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    (!library.is_null()).then_some(library)
}

/// Where the root file system of the guests has its libraries (`tests/vm/host/cache.py`).
fn guest_libraries() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    let cache = folder("ZFSVOL_VM_CACHE").or_else(|| {
        let base =
            folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
        Some(base.join("zfsvol/vm"))
    })?;
    Some(cache.join("recipe-1/root/tree/usr/lib/x86_64-linux-gnu"))
}
