//! Space and quotas of users, groups and projects of a file system.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::Serialize;

use super::Zfs;
use super::call::{CallError, Operation, REPLY_BYTES_FIRST};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{DatasetName, Entity};
use crate::nvlist::NvList;
use crate::units::Bytes;

const ONE: Operation = Operation::new(Ioc::USERSPACE_ONE, "get the space and quotas of");
const MANY: Operation = Operation::new(Ioc::USERSPACE_MANY, "get the space and quotas of");
const UPGRADE: Operation = Operation::new(Ioc::USERSPACE_UPGRADE, "count the space of owners in");
const SET: Operation = Operation::new(Ioc::SET_PROP, "set the quotas of");

/// `zfs_useracct_t` of OpenZFS `include/sys/zfs_ioctl.h`: a domain of 256 bytes, an id of 4, 4 of padding, and the number.
const ACCOUNT_BYTES: usize = 272;
const DOMAIN_BYTES: usize = 256;

/// Accounts asked for at once. The kernel brings 1,000 at most since 2.4, and before takes this much memory for each call.
const BATCH: usize = 1000;

/// Whose space is counted: the number of a user, a group or a project. Names are for the caller to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Owner {
    /// A user id.
    User(u32),
    /// A group id.
    Group(u32),
    /// A project id.
    Project(u32),
}

impl Owner {
    /// The kind of owner.
    #[must_use]
    pub const fn kind(self) -> OwnerKind {
        match self {
            Self::User(_) => OwnerKind::User,
            Self::Group(_) => OwnerKind::Group,
            Self::Project(_) => OwnerKind::Project,
        }
    }

    /// The number.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::User(id) | Self::Group(id) | Self::Project(id) => id,
        }
    }
}

/// `user 1000`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().word(), self.id())
    }
}

/// A kind of owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// Users.
    User,
    /// Groups.
    Group,
    /// Projects.
    Project,
}

impl OwnerKind {
    /// That kind's owner of this number.
    #[must_use]
    pub const fn owner(self, id: u32) -> Owner {
        match self {
            Self::User => Owner::User(id),
            Self::Group => Owner::Group(id),
            Self::Project => Owner::Project(id),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Project => "project",
        }
    }
}

/// What is counted or limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Bytes that the owner's files take.
    Used,
    /// Most bytes they may take.
    Quota,
    /// Files, directories and other objects the owner has.
    Objects,
    /// Most objects the owner may have.
    ObjectQuota,
}

impl Account {
    /// The kernel's number: `zfs_userquota_prop_t` of OpenZFS `include/sys/fs/zfs.h`.
    const fn number(self, kind: OwnerKind) -> u64 {
        let of_users = match self {
            Self::Used => 0,
            Self::Quota => 1,
            Self::Objects => 4,
            Self::ObjectQuota => 5,
        };
        match kind {
            OwnerKind::User => of_users,
            OwnerKind::Group => of_users + 2,
            // Projects came later, and are not interleaved with the rest.
            OwnerKind::Project => match self {
                Self::Used => 8,
                Self::Quota => 9,
                Self::Objects => 10,
                Self::ObjectQuota => 11,
            },
        }
    }
}

/// A quota to set. Zero takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Whose.
    pub owner: Owner,
    /// How much.
    pub limit: QuotaLimit,
}

/// How much an owner may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaLimit {
    /// So many bytes.
    Space(Bytes),
    /// So many objects.
    Objects(u64),
}

impl Quota {
    /// At most that many bytes.
    #[must_use]
    pub const fn space(owner: Owner, most: Bytes) -> Self {
        Self { owner, limit: QuotaLimit::Space(most) }
    }

    /// At most that many objects.
    #[must_use]
    pub const fn objects(owner: Owner, most: u64) -> Self {
        Self { owner, limit: QuotaLimit::Objects(most) }
    }

    const fn account(self) -> Account {
        match self.limit {
            QuotaLimit::Space(_) => Account::Quota,
            QuotaLimit::Objects(_) => Account::ObjectQuota,
        }
    }

    const fn number(self) -> u64 {
        match self.limit {
            QuotaLimit::Space(bytes) => bytes.get(),
            QuotaLimit::Objects(count) => count,
        }
    }

    /// `userquota@`, as the property is called.
    fn prefix(self) -> String {
        let objects = match self.limit {
            QuotaLimit::Space(_) => "",
            QuotaLimit::Objects(_) => "obj",
        };
        format!("{}{objects}quota@", self.owner.kind().word())
    }
}

/// The space and the quotas of one owner in one file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OwnerSpace {
    /// Whose. For one with a domain the number is the relative id in it.
    #[serde(flatten)]
    pub owner: Owner,
    /// The domain of a Windows account (`S-1-5-21-...`), which a file system written by another system can hold.
    pub domain: Option<String>,
    /// Bytes in use, as far as they are written: what was written in the last seconds is not counted yet.
    pub used: Bytes,
    /// Most bytes, if there is a quota of the owner's own. The defaults for all (`defaultuserquota`) are properties of the file system.
    pub quota: Option<Bytes>,
    /// Objects in use. `None` where the file system does not count them.
    pub objects: Option<u64>,
    /// Most objects, if there is such a quota.
    pub object_quota: Option<u64>,
}

impl OwnerSpace {
    fn new(owner: Owner, domain: Option<String>) -> Self {
        Self { owner, domain, used: Bytes::ZERO, quota: None, objects: None, object_quota: None }
    }

    fn set(&mut self, account: Account, number: u64) {
        let some = (number != 0).then_some(number);
        match account {
            Account::Used => self.used = Bytes::new(number),
            Account::Quota => self.quota = some.map(Bytes::new),
            Account::Objects => self.objects = Some(number),
            Account::ObjectQuota => self.object_quota = some,
        }
    }
}

/// One number of one owner, from [`Zfs::accounts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AccountEntry {
    /// Whose.
    #[serde(flatten)]
    pub owner: Owner,
    /// The domain of a Windows account.
    pub domain: Option<String>,
    /// Bytes or objects, as was asked.
    pub number: u64,
}

/// The entries of one account of a file system, in no order. Made by [`Zfs::accounts`].
#[derive(Debug)]
pub struct Accounts {
    zfs: Zfs,
    name: String,
    kind: OwnerKind,
    account: Account,
    cursor: u64,
    ready: VecDeque<AccountEntry>,
    ended: bool,
}

impl Zfs {
    /// The space and quotas of every user, group or project that has any in a file system or snapshot, ordered by number (`zfs userspace`).
    ///
    /// Issues `ZFS_IOC_USERSPACE_MANY`, four times and once more for each 1,000 owners. All are in memory together; [`Zfs::accounts`]
    /// brings them one by one.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such file system. [`ErrorKind::WrongType`]: it is a zvol.
    /// - [`ErrorKind::FeatureDisabled`]: it does not count what users take ([`Zfs::upgrade_userspace`] begins to), or projects (the pool's
    ///   feature `project_quota`).
    /// - [`ErrorKind::Denied`]: the caller is neither root nor delegated `userused` and its like. [`ErrorKind::KeyNotLoaded`].
    pub fn userspace(&self, name: &impl Entity, kind: OwnerKind) -> Result<Vec<OwnerSpace>> {
        let mut found: BTreeMap<(Option<String>, u32), OwnerSpace> = BTreeMap::new();
        let mut counts_objects = true;
        for account in [Account::Used, Account::Quota, Account::Objects, Account::ObjectQuota] {
            for entry in self.accounts(name, kind, account) {
                let AccountEntry { owner, domain, number } = match entry {
                    Ok(entry) => entry,
                    // Files are counted only since OpenZFS 0.7, in file systems that were upgraded since.
                    Err(error) if may_be_missing(account, &error) => {
                        counts_objects &= account != Account::Objects;
                        break;
                    }
                    Err(error) => return Err(error),
                };
                let space = match found.entry((domain.clone(), owner.id())) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(OwnerSpace::new(owner, domain)),
                };
                space.set(account, number);
            }
        }
        if counts_objects {
            for space in found.values_mut() {
                space.objects.get_or_insert(0);
            }
        }
        Ok(found.into_values().collect())
    }

    /// The space and quotas of one owner in a file system or snapshot. One that has nothing there has zeros.
    ///
    /// Issues `ZFS_IOC_USERSPACE_ONE` four times. Anybody may ask about themselves and their groups.
    ///
    /// # Errors
    /// As [`Zfs::userspace`].
    pub fn userspace_of(&self, name: &impl Entity, owner: Owner) -> Result<OwnerSpace> {
        let mut space = OwnerSpace::new(owner, None);
        for account in [Account::Used, Account::Quota, Account::Objects, Account::ObjectQuota] {
            let mut cmd = Cmd::new(name.as_ref());
            cmd.objset_type = account.number(owner.kind());
            cmd.guid = u64::from(owner.id());
            match self.call_cmd(ONE, &mut cmd) {
                Ok(_) => space.set(account, cmd.cookie),
                Err(error) => {
                    let error = error.into_error(self);
                    if !may_be_missing(account, &error) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(space)
    }

    /// One number of every owner of a kind that has it, one after the other and in no order: for file systems with more owners than
    /// should be in memory at once.
    ///
    /// Issues `ZFS_IOC_USERSPACE_MANY` once for each 1,000.
    ///
    /// # Errors
    /// Each item may be an error, as of [`Zfs::userspace`], after which it ends. Objects are [`ErrorKind::FeatureDisabled`] where they are not counted.
    pub fn accounts(&self, name: &impl Entity, kind: OwnerKind, account: Account) -> Accounts {
        Accounts {
            zfs: self.clone(),
            name: name.as_ref().to_owned(),
            kind,
            account,
            cursor: 0,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Sets quotas of users, groups and projects of a file system; zero takes one away. Of two for the same, the later holds.
    ///
    /// Who is above a quota already can write no more. It acts some seconds late, since it is by what is on disk that space is counted.
    ///
    /// Issues `ZFS_IOC_SET_PROP` once; each quota is a transaction of its own, and those that can be set are when others fail.
    ///
    /// # Errors
    /// With each quota that failed in [`Error::failures`], under the name that `zfs set` gives it:
    /// - [`ErrorKind::NotFound`], [`ErrorKind::WrongType`] (a zvol), [`ErrorKind::Denied`], [`ErrorKind::KeyNotLoaded`].
    /// - [`ErrorKind::FeatureDisabled`]: the pool lacks `project_quota`, or the file system is too old.
    ///
    /// And [`ErrorKind::Unsupported`] with OpenZFS 2.4.4, where nothing is asked of the kernel: it is encrypted and not mounted, which the machine would not
    /// survive (`zfsvfs_create_hold`).
    pub fn set_quotas(&self, name: &DatasetName, quotas: &[Quota]) -> Result<()> {
        if quotas.is_empty() {
            return Ok(());
        }
        self.check_inside(SET, name.as_str(), "the quota of an owner")?;
        let mut list = NvList::new();
        let mut shown = BTreeMap::new();
        for quota in quotas {
            let id = quota.owner.id();
            // The kernel takes the number from the value; the name says it again, in hexadecimal, before a domain
            // (OpenZFS 2.4 lib/libzfs/libzfs_dataset.c, zfs_valid_proplist).
            let encoded = format!("{}{id:x}-", quota.prefix());
            let kind = quota.account().number(quota.owner.kind());
            list.insert(encoded.as_str(), vec![kind, u64::from(id), quota.number()]);
            shown.insert(encoded, format!("{}{id}", quota.prefix()));
        }
        match self.set_prop(SET, name.as_str(), &list) {
            Ok(()) => Ok(()),
            Err(CallError::Refused(refusal)) => {
                let error = self.set_error(*refusal);
                let named = |failure: &Failure| {
                    let name = shown.get(&failure.name).unwrap_or(&failure.name).clone();
                    Failure { name, ..failure.clone() }
                };
                let failures = error.failures().iter().map(named).collect();
                Err(error.with_failures(failures, 0))
            }
            Err(error) => Err(error.into_error(self)),
        }
    }

    /// Has a file system that was made by a very old OpenZFS count what users, groups and, where the pool can, projects take.
    /// It reads every file once, which can take long; one that counts already is left as it is.
    ///
    /// Issues `ZFS_IOC_USERSPACE_UPGRADE`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Denied`], [`ErrorKind::KeyNotLoaded`].
    pub fn upgrade_userspace(&self, name: &DatasetName) -> Result<()> {
        let mut cmd = Cmd::new(name.as_str());
        self.call_cmd(UPGRADE, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(())
    }
}

impl Iterator for Accounts {
    type Item = Result<AccountEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.ended {
            if let Err(error) = self.fill() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Accounts {
    fn fill(&mut self) -> Result<()> {
        let mut cmd = Cmd::new(self.name.as_str());
        cmd.objset_type = self.account.number(self.kind);
        cmd.cookie = self.cursor;
        cmd.reply_max = (BATCH * ACCOUNT_BYTES).max(REPLY_BYTES_FIRST);
        self.zfs.call_cmd(MANY, &mut cmd).map_err(|error| error.into_error(&self.zfs))?;
        let reply = cmd.reply();
        let (entries, rest) = reply.split_at(reply.len() - reply.len() % ACCOUNT_BYTES);
        if !rest.is_empty() {
            let reason = format!("the reply has {} bytes, which are no accounts", reply.len());
            return Err(MANY.error(ErrorKind::Protocol, &self.name, reason));
        }
        // A cursor that stands still would bring the same again.
        self.ended = entries.is_empty() || cmd.cookie == self.cursor;
        self.cursor = cmd.cookie;
        self.ready = entries.chunks_exact(ACCOUNT_BYTES).filter_map(|e| self.entry(e)).collect();
        Ok(())
    }

    fn entry(&self, bytes: &[u8]) -> Option<AccountEntry> {
        let (domain, numbers) = bytes.split_at_checked(DOMAIN_BYTES)?;
        let (id, numbers) = numbers.split_first_chunk::<4>()?;
        let number = numbers.last_chunk::<8>()?;
        let end = domain.iter().position(|&byte| byte == 0).unwrap_or(domain.len());
        let domain = domain.get(..end).filter(|domain| !domain.is_empty());
        Some(AccountEntry {
            owner: self.kind.owner(u32::from_ne_bytes(*id)),
            domain: domain.map(|domain| String::from_utf8_lossy(domain).into_owned()),
            number: u64::from_ne_bytes(*number),
        })
    }
}

/// Whether objects are just not counted there.
fn may_be_missing(account: Account, error: &Error) -> bool {
    matches!(account, Account::Objects | Account::ObjectQuota)
        && error.errno() == Some(Errno::ENOTSUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_the_numbers_of_the_kernel() {
        use Account::{ObjectQuota, Objects, Quota, Used};
        let mut numbers = Vec::new();
        for (kinds, accounts) in [
            (&[OwnerKind::User, OwnerKind::Group][..], [Used, Quota]),
            (&[OwnerKind::User, OwnerKind::Group], [Objects, ObjectQuota]),
            (&[OwnerKind::Project], [Used, Quota]),
            (&[OwnerKind::Project], [Objects, ObjectQuota]),
        ] {
            for kind in kinds {
                numbers.extend(accounts.map(|account| account.number(*kind)));
            }
        }
        assert_eq!(numbers, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn quotas_are_called_as_zfs_set_calls_them() {
        assert_eq!(Quota::space(Owner::User(1), Bytes::ZERO).prefix(), "userquota@");
        assert_eq!(Quota::objects(Owner::Group(1), 0).prefix(), "groupobjquota@");
        assert_eq!(Quota::objects(Owner::Project(1), 0).prefix(), "projectobjquota@");
        assert_eq!(Owner::Group(7).to_string(), "group 7");
    }
}
