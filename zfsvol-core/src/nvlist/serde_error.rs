//! Why a list does not fit a Rust type.

use std::fmt;

use super::error::{Path, write_path};

/// Why a Rust value cannot be written as a list: what is wrong, and with which field.
#[derive(Clone, PartialEq, Eq)]
pub struct SerError(Box<Mismatch>);

/// Why a list cannot be read as a Rust value: what is wrong, and with which pair.
#[derive(Clone, PartialEq, Eq)]
pub struct DeError(Box<Mismatch>);

#[derive(Clone, PartialEq, Eq)]
struct Mismatch {
    message: String,
    path: Path,
}

impl Mismatch {
    #[cold]
    fn new(message: impl fmt::Display) -> Box<Self> {
        Box::new(Self { message: message.to_string(), path: Path::default() })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, failed: &str) -> fmt::Result {
        f.write_str(failed)?;
        write_path(f, self.path.iter())?;
        write!(f, ": {}", self.message)
    }
}

impl SerError {
    #[cold]
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.0.path.push(name);
        self
    }

    #[cold]
    pub(super) fn element(mut self, place: usize) -> Self {
        self.0.path.element(place);
        self
    }

    /// The names of the fields around the failure, outermost first.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter()
    }
}

impl DeError {
    #[cold]
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.0.path.push(name);
        self
    }

    #[cold]
    pub(super) fn element(mut self, place: usize) -> Self {
        self.0.path.element(place);
        self
    }

    /// What is wrong, and where, with `what` in the place of "the list": to be told as a part of another error.
    pub(crate) fn told_of(&self, what: &'static str) -> impl fmt::Display {
        struct Told<'a>(&'a Mismatch, &'static str);
        impl fmt::Display for Told<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, self.1)
            }
        }
        Told(&self.0, what)
    }

    /// The names of the pairs around the failure, outermost first.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter()
    }
}

impl serde::ser::Error for SerError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Mismatch::new(message))
    }
}

impl serde::de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Mismatch::new(message))
    }
}

impl fmt::Display for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "cannot make a list of the value")
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "the list does not have the shape it should")
    }
}

impl fmt::Debug for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerError({self})")
    }
}

impl fmt::Debug for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeError({self})")
    }
}

impl std::error::Error for SerError {}

impl std::error::Error for DeError {}
