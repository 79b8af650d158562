//! [`Machine`]: where the suite runs, and what is missing there.

use std::env;
use std::path::PathBuf;

use zfsvol_core::{Result, Zfs};

use crate::case::{Lack, Need};
use crate::command;

/// What answers behind the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelKind {
    /// A loaded OpenZFS module.
    Module,
    /// A kernel in this process.
    Embedded,
}

/// The kernel under test and what surrounds it.
#[derive(Clone, Debug)]
pub struct Machine {
    zfs: Zfs,
    kind: KernelKind,
    root: bool,
    /// Whether the machine was made for the suite, so that its clock may be set.
    guest: bool,
    emulated: bool,
    disks: Vec<PathBuf>,
}

impl Machine {
    /// This machine and its loaded module.
    ///
    /// `tests/vm/run` says in the environment what it gave its guest: `ZFSVOL_GUEST` is `uml` or `qemu`, `ZFSVOL_DISKS` names empty disks.
    ///
    /// # Errors
    /// As [`Zfs::open`].
    pub fn detect() -> Result<Self> {
        let disks = env::var("ZFSVOL_DISKS").unwrap_or_default();
        let guest = env::var("ZFSVOL_GUEST").ok();
        Ok(Self {
            zfs: Zfs::open()?,
            kind: KernelKind::Module,
            root: nix::unistd::geteuid().is_root(),
            emulated: guest.as_deref() == Some("qemu"),
            guest: guest.is_some(),
            disks: disks.split_whitespace().map(PathBuf::from).collect(),
        })
    }

    /// A kernel that lives in this process: no privileges to lack, no disks, no commands.
    pub fn embedded(zfs: Zfs) -> Self {
        Self {
            zfs,
            kind: KernelKind::Embedded,
            root: true,
            guest: false,
            emulated: false,
            disks: Vec::new(),
        }
    }

    /// The handle.
    pub fn zfs(&self) -> &Zfs {
        &self.zfs
    }

    /// What answers.
    pub fn kind(&self) -> KernelKind {
        self.kind
    }

    /// Whether its processor is emulated, which makes everything ten to thirty times slower.
    pub fn is_emulated(&self) -> bool {
        self.emulated
    }

    /// The empty disks.
    pub fn disks(&self) -> &[PathBuf] {
        &self.disks
    }

    /// What is missing for `need`; `None` when it is met.
    pub fn lacks(&self, need: Need) -> Option<Lack> {
        let version = &self.zfs.module().version;
        let lack =
            |met: bool, excused: bool, reason: String| (!met).then_some(Lack { reason, excused });
        let in_process = self.kind != KernelKind::Module;
        match need {
            // Programs and disks of the machine know nothing of a kernel in this process.
            Need::Commands | Need::Pyzfs | Need::Disks(_) if in_process => {
                lack(false, true, "it is about a loaded module".into())
            }
            Need::AnyProgram => lack(
                self.kind == KernelKind::Module,
                true,
                "it is about channel programs that are not the library's".into(),
            ),
            Need::RealModule => {
                lack(self.kind == KernelKind::Module, true, "it is about a loaded module".into())
            }
            Need::Since(major, minor) => lack(
                version.release() >= (major, minor),
                true,
                format!("came with OpenZFS {major}.{minor}; this is {version}"),
            ),
            Need::Before(major, minor) => lack(
                version.release() < (major, minor),
                true,
                format!("is about OpenZFS before {major}.{minor}; this is {version}"),
            ),
            Need::Speed => {
                lack(!self.emulated, true, "takes too long on an emulated processor".into())
            }
            Need::Clock => lack(
                in_process || (self.guest && self.root),
                false,
                "sets the clock, which only a guest lets it".into(),
            ),
            Need::Root => lack(self.root, false, "needs root".into()),
            Need::Commands => lack(
                command::is_there("zfs") && command::is_there("zpool"),
                false,
                "needs the commands zfs and zpool".into(),
            ),
            Need::Pyzfs => lack(command::has_pyzfs(), false, "needs python3-pyzfs".into()),
            Need::Disks(count) => lack(
                self.disks.len() >= count,
                false,
                format!("needs {count} empty disks (ZFSVOL_DISKS), {} are there", self.disks.len()),
            ),
        }
    }
}
