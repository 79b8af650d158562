//! [`Kept`]: a part of a dataset's content that several may share, and that is kept in a directory once.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A value that is shared like an [`Arc`]'s and knows under which number it is kept in a directory, if it is.
///
/// What is changed is another value: it has no number until it is kept anew, and the old number is given back. It is given back as well when
/// nobody shares the value any more. So nothing is counted on disk, and nothing can be forgotten: there is no way to change a value and keep its
/// number.
pub struct Kept<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    place: OnceLock<Place>,
}

/// The bytes of a block.
pub type Data = Kept<Box<[u8]>>;

/// Numbers that nobody uses any more.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Freed(Arc<Mutex<Vec<u64>>>);

impl Freed {
    /// Those since the last time.
    pub(in crate::embedded) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The number under which a value is kept. It is given back with it.
struct Place {
    number: u64,
    freed: Freed,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.freed.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}

impl<T> Kept<T> {
    /// A value that nobody shares yet.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner { value, place: OnceLock::new() }))
    }

    /// The number under which it is kept.
    pub(in crate::embedded) fn number(&self) -> Option<u64> {
        self.0.place.get().map(|place| place.number)
    }

    /// It is kept under that number from now on. One that it has already stays.
    pub(in crate::embedded) fn keep(&self, number: u64, freed: &Freed) {
        self.0.place.get_or_init(|| Place { number, freed: freed.clone() });
    }
}

impl<T: Clone> Kept<T> {
    /// The value to be changed: this one if nobody else shares it, a copy otherwise.
    pub fn make_mut(&mut self) -> &mut T {
        let inner = Arc::make_mut(&mut self.0);
        inner.place = OnceLock::new();
        &mut inner.value
    }

    /// The value itself if nobody else shares it, a copy otherwise.
    #[must_use]
    pub fn into_value(self) -> T {
        Arc::unwrap_or_clone(self.0).value
    }
}

impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), place: OnceLock::new() }
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.into())
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_has_no_number_and_the_old_one_is_given_back() {
        let freed = Freed::default();
        let mut kept = Kept::new(1);
        kept.keep(7, &freed);
        kept.keep(8, &freed);
        assert_eq!(kept.number(), Some(7));
        let shared = kept.clone();
        *kept.make_mut() = 2;
        assert_eq!((shared.number(), kept.number(), *shared, *kept), (Some(7), None, 1, 2));
        assert!(freed.take().is_empty());
        drop(shared);
        assert_eq!(freed.take(), [7]);
        kept.keep(9, &freed);
        *kept.make_mut() = 3;
        assert_eq!((kept.number(), freed.take()), (None, vec![9]));
    }
}
