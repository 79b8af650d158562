//! What the embedded kernel does not do: one list, with the errno each gives.
//!
//! First ioctls that are not answered at all, then what is refused within those that are. Setting one owner's quota more than an object has room for is
//! refused with `ENOSPC` where that is found out ([`Objset::set_zap`](super::data::Objset::set_zap)).

use super::name::NameCheck;
use super::name::NameCheck::{Dataset, Pool};
use crate::kernel::{Cmd, Errno, Ioc};

/// An ioctl that is refused, once its name was found right. They are all of the old kind, whose arguments the module does not check before.
pub(super) struct Unsupported {
    ioc: Ioc,
    /// The release that brought it; older ones do not know it.
    since: (u32, u32),
    pub(super) name: NameCheck,
    pub(super) refusal: Refusal,
}

/// An errno, and why in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    pub(super) reason: &'static str,
}

impl Refusal {
    const fn new(reason: &'static str) -> Self {
        Self { errno: Errno::ENOTSUP, reason }
    }

    /// Refuses a request.
    pub(super) fn of(self, cmd: &mut Cmd) -> Errno {
        cmd.refuse(self.errno, self.reason)
    }
}

const fn refused(ioc: Ioc, name: NameCheck, refusal: Refusal) -> Unsupported {
    Unsupported { ioc, since: (2, 0), name, refusal }
}

impl Unsupported {
    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }
}

const SPLIT: Refusal = Refusal::new("the embedded kernel does not split pools");
const CONDENSE: Refusal = Refusal::new("the embedded kernel has nothing to condense");
const DELEGATION: Refusal =
    Refusal::new("the embedded kernel delegates nothing: whoever has it may do all");
const MOUNTED: Refusal =
    Refusal::new("the embedded kernel has no mounted file systems to write to");
const OLD_STREAMS: Refusal = Refusal::new(
    "the embedded kernel sends and receives by the newer ioctls, SEND_NEW and RECV_NEW",
);
const DEBUG: Refusal =
    Refusal::new("the embedded kernel has no such tool for developers of OpenZFS");
const OTHER_SYSTEM: Refusal = Refusal::new("Linux has no such thing");
const CONTAINERS: Refusal = Refusal::new("the embedded kernel knows no namespaces of users");

const LIST: &[Unsupported] = &[
    refused(Ioc::POOL_FREEZE, NameCheck::None, DEBUG),
    refused(Ioc::RECV, Dataset, OLD_STREAMS),
    refused(Ioc::SEND, Dataset, OLD_STREAMS),
    refused(Ioc::INJECT_FAULT, NameCheck::None, DEBUG),
    refused(Ioc::CLEAR_FAULT, NameCheck::None, DEBUG),
    refused(Ioc::INJECT_LIST_NEXT, NameCheck::None, DEBUG),
    refused(Ioc::SET_FSACL, Dataset, DELEGATION),
    refused(Ioc::GET_FSACL, Dataset, DELEGATION),
    refused(Ioc::SHARE, Dataset, OTHER_SYSTEM),
    refused(Ioc::SMB_ACL, Dataset, OTHER_SYSTEM),
    refused(Ioc::VDEV_SPLIT, Pool, SPLIT),
    refused(Ioc::TMP_SNAPSHOT, Dataset, MOUNTED),
    refused(Ioc::POOL_CONDENSE, NameCheck::None, CONDENSE).since(2, 5),
    refused(Ioc::USERNS_ATTACH, NameCheck::None, CONTAINERS).since(2, 2),
    refused(Ioc::USERNS_DETACH, NameCheck::None, CONTAINERS).since(2, 2),
];

/// A channel program that is not one of this library. DESIGN.md says why.
pub(super) const OTHER_PROGRAMS: Refusal =
    Refusal::new("the embedded kernel runs the channel programs of this library, and no others");

/// A pool whose labels another kernel wrote.
pub(super) const POOLS_OF_OTHERS: Refusal = Refusal {
    errno: Errno::ENOENT,
    reason: "what an embedded pool holds is in the kernel that exported it, and this is another one",
};

/// What is said of an ioctl that is not answered; nothing, where the release does not know it either.
pub(super) fn find(ioc: Ioc, release: (u32, u32)) -> Option<&'static Unsupported> {
    LIST.iter().find(|entry| entry.ioc == ioc && entry.since <= release)
}

/// Whether an ioctl is in the list.
#[cfg(test)]
pub(super) fn is_listed(ioc: Ioc) -> bool {
    LIST.iter().any(|entry| entry.ioc == ioc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;
    use crate::embedded::{Embedded, Release};
    use crate::kernel::Kernel;
    use crate::nvlist::NvList;

    fn kernel() -> Embedded {
        Embedded::builder().release(Release::V2_4).pool("tank", Bytes::from_gib(1)).build()
    }

    fn is_refused(kernel: &Embedded, ioc: Ioc, mut cmd: Cmd, refusal: Refusal) {
        assert_eq!(kernel.ioctl(ioc, &mut cmd), Err(refusal.errno), "{ioc}");
        assert_eq!(cmd.refusal(), Some(refusal.reason), "{ioc}");
    }

    #[test]
    fn each_ioctl_of_the_list_is_refused_with_its_reason() {
        let kernel = kernel();
        for entry in LIST.iter().filter(|entry| entry.since <= (2, 4)) {
            is_refused(&kernel, entry.ioc, Cmd::new("tank"), entry.refusal);
        }
        // What the release does not know, it does not even refuse.
        let mut cmd = Cmd::new("tank");
        let unknown = Err(Errno::ZFS_ERR_IOC_CMD_UNAVAIL);
        assert_eq!(kernel.ioctl(Ioc::POOL_CONDENSE, &mut cmd), unknown);
    }

    #[test]
    fn a_program_that_is_not_the_librarys_is_refused() {
        let mut input = NvList::new();
        input.insert("program", "return 1").insert("arg", NvList::new());
        let mut cmd = Cmd::new("tank");
        cmd.input = Some(input.to_bytes().unwrap());
        cmd.reply_max = 4096;
        assert_eq!(kernel().ioctl(Ioc::CHANNEL_PROGRAM, &mut cmd), Err(OTHER_PROGRAMS.errno));
        let reply = NvList::from_bytes(cmd.reply()).unwrap();
        assert_eq!(reply.get_str("error"), Some(OTHER_PROGRAMS.reason));
    }

    #[test]
    fn a_pool_of_another_kernel_is_not_imported() {
        let mut config = NvList::new();
        config.insert("name", "other").insert("pool_guid", 7_u64).insert("state", 1_u64);
        config.insert("vdev_tree", NvList::new());
        let mut cmd = Cmd::new("other");
        (cmd.guid, cmd.conf) = (7, Some(config.to_bytes().unwrap()));
        is_refused(&kernel(), Ioc::POOL_IMPORT, cmd, POOLS_OF_OTHERS);
    }
}
