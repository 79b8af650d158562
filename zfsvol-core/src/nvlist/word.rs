//! Numbers as bytes in either order.

/// Which end of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first: x86-64, arm64, riscv64, ppc64le.
    Little,
    /// Most significant byte first: s390x, sparc64. XDR is always so.
    Big,
}

impl ByteOrder {
    /// The order of the machine this program runs on, the only one its kernel reads in the native encoding.
    pub const HOST: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };

    /// What the second byte of a packed list says.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Little => 1,
            Self::Big => 0,
        }
    }
}

/// A number of fixed width.
pub(super) trait Word: Copy {
    /// The width in bytes.
    const WIDTH: usize;

    /// The number at the start of `bytes`, or `None` when they are too few.
    fn read(bytes: &[u8], order: ByteOrder) -> Option<Self>;

    /// Appends the number.
    fn write(self, out: &mut Vec<u8>, order: ByteOrder);
}

/// The same three lines for each width, which only a macro can say: `from_le_bytes` is no trait method.
macro_rules! words {
    ($($number:ty),+) => {$(
        impl Word for $number {
            const WIDTH: usize = size_of::<$number>();

            fn read(bytes: &[u8], order: ByteOrder) -> Option<Self> {
                let bytes = *bytes.first_chunk()?;
                Some(match order {
                    ByteOrder::Little => Self::from_le_bytes(bytes),
                    ByteOrder::Big => Self::from_be_bytes(bytes),
                })
            }

            fn write(self, out: &mut Vec<u8>, order: ByteOrder) {
                match order {
                    ByteOrder::Little => out.extend_from_slice(&self.to_le_bytes()),
                    ByteOrder::Big => out.extend_from_slice(&self.to_be_bytes()),
                }
            }
        }
    )+};
}

words!(i8, u8, i16, u16, i32, u32, i64, u64, f64);
