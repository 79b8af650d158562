//! From names to numbers and back, and from a property to the value that counts.

use std::sync::Arc;

use super::pool::Pool;
use super::props::PropValue;
use super::{Id, Result};
use crate::embedded::name;
use crate::kernel::{Errno, ModuleVersion};
use crate::property::{PropertyInfo, PropertyScope};

/// Where the value that counts was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Setpoint {
    /// In that directory.
    Dir(Id),
    /// On that snapshot.
    Snapshot(Id),
    /// It came with a stream.
    Received,
}

impl Pool {
    /// The directory of a name, as far as it goes, and what is left of the name: `dsl_dir_hold`.
    ///
    /// # Errors
    /// `EXDEV` for a name of another pool; `ENOENT` when more than the last component is missing; `EINVAL` where separators follow
    /// one another.
    pub(in crate::embedded) fn hold_dir<'n>(&self, name: &'n str) -> Result<(Id, Option<&'n str>)> {
        let mut id = self.root;
        check_component(name)?;
        if name::pool_of(name) != &*self.dir(id)?.name {
            return Err(Errno::EXDEV);
        }
        let Some(mut rest) = name.get(name::pool_of(name).len()..).filter(|rest| !rest.is_empty())
        else {
            return Ok((id, None));
        };
        loop {
            let Some(path) = rest.strip_prefix('/') else {
                check_component(rest)?;
                return Ok((id, Some(rest)));
            };
            check_component(path)?;
            let end = path.find(['/', '@', '#']).unwrap_or(path.len());
            let (component, after) = path.split_at_checked(end).unwrap_or((path, ""));
            match self.dir(id)?.child(component) {
                Some(child) if after.is_empty() => return Ok((child, None)),
                Some(child) => (id, rest) = (child, after),
                None if after.starts_with(['/', '@']) => return Err(Errno::ENOENT),
                None => return Ok((id, Some(path))),
            }
        }
    }

    /// The directory of a file system or zvol: `dsl_dir_hold` with nothing that may be left of the name.
    ///
    /// # Errors
    /// `ENOENT` when there is none, and for a snapshot; as [`Self::hold_dir`].
    pub(in crate::embedded) fn hold_whole_dir(&self, name: &str) -> Result<Id> {
        match self.hold_dir(name)? {
            (dir, None) => Ok(dir),
            (_, Some(_)) => Err(Errno::ENOENT),
        }
    }

    /// A file system, zvol or snapshot by its full name: `dsl_dataset_hold`.
    ///
    /// # Errors
    /// `ENOENT` when there is none; `EXDEV` for a name of another pool.
    pub(in crate::embedded) fn hold(&self, name: &str) -> Result<Id> {
        let (dir, tail) = self.hold_dir(name)?;
        let head = self.dir(dir)?.head;
        match tail {
            None => Ok(head),
            Some(tail) => {
                let snapshot = tail.strip_prefix('@').ok_or(Errno::ENOENT)?;
                self.head(head)?.snapshot(snapshot).ok_or(Errno::ENOENT)
            }
        }
    }

    /// The same, to be read: what it is a snapshot of is opened first, and says that its key is missing before anything else is said
    /// (`DS_HOLD_FLAG_DECRYPT`).
    ///
    /// # Errors
    /// `EACCES` when the key is not loaded; as [`Pool::hold`].
    pub(in crate::embedded) fn hold_readable(&self, name: &str) -> Result<Id> {
        let (dir, _) = self.hold_dir(name)?;
        if !self.is_key_loaded(dir)? {
            return Err(Errno::EACCES);
        }
        self.hold(name)
    }

    /// The full name of a directory.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn dir_name(&self, id: Id) -> Result<String> {
        let mut parts: Vec<&Arc<str>> = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let dir = self.dir(id)?;
            parts.push(&dir.name);
            next = dir.parent;
        }
        let parts: Vec<&str> = parts.iter().rev().map(|part| &***part).collect();
        Ok(parts.join("/"))
    }

    /// The full name of a dataset or snapshot.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn name(&self, id: Id) -> Result<String> {
        let dataset = self.dataset(id)?;
        let mut name = self.dir_name(dataset.dir)?;
        if let Some(snapshot) = dataset.as_snapshot() {
            name.push('@');
            name.push_str(&snapshot.name);
        }
        Ok(name)
    }

    /// The value of a property that is set or inherited, and where it was set; `None` where the default counts: `dsl_prop_get_ds`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn resolve(
        &self,
        dataset: Id,
        property: &str,
    ) -> Result<Option<(&PropValue, Setpoint)>> {
        let found = self.dataset(dataset)?;
        if let Some(snapshot) = found.as_snapshot() {
            if let Some((value, received)) =
                snapshot.props.slot(property).and_then(|s| s.effective())
            {
                let setpoint =
                    if received { Setpoint::Received } else { Setpoint::Snapshot(dataset) };
                return Ok(Some((value, setpoint)));
            }
        }
        self.resolve_dir(found.dir, property, found.is_snapshot())
    }

    /// The same from a directory on: `dsl_prop_get_dd`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn resolve_dir(
        &self,
        dir: Id,
        property: &str,
        of_snapshot: bool,
    ) -> Result<Option<(&PropValue, Setpoint)>> {
        let inheritable = is_inheritable(property);
        let mut inheriting = of_snapshot;
        let mut next = Some(dir);
        while let Some(id) = next {
            if inheriting && !inheritable {
                return Ok(None);
            }
            let dir = self.dir(id)?;
            if let Some((value, received)) = dir.props.slot(property).and_then(|s| s.effective()) {
                let setpoint = match received && !inheriting {
                    true => Setpoint::Received,
                    false => Setpoint::Dir(id),
                };
                return Ok(Some((value, setpoint)));
            }
            next = dir.parent;
            inheriting = true;
        }
        Ok(None)
    }

    /// Whether properties were ever received here or above: `dsl_prop_get_hasrecvd` asks for a property that is inherited like any other.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn has_received(&self, dataset: Id) -> Result<bool> {
        let found = self.dataset(dataset)?;
        if found.as_snapshot().is_some_and(|snapshot| snapshot.props.has_received) {
            return Ok(true);
        }
        let mut next = Some(found.dir);
        while let Some(id) = next {
            let dir = self.dir(id)?;
            if dir.props.has_received {
                return Ok(true);
            }
            next = dir.parent;
        }
        Ok(false)
    }

    /// The number a property of a dataset has, the default included.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn number(&self, dataset: Id, property: &str) -> Result<u64> {
        let set = self.resolve(dataset, property)?.and_then(|(value, _)| value.number());
        Ok(set.unwrap_or_else(|| default_number(property, self.env.release).unwrap_or(0)))
    }
}

/// What the module asks of a name before it looks for its first component: OpenZFS 2.3 `module/zfs/dsl_dir.c`, getcomponent.
fn check_component(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let Some(at) = path.find(['/', '@']) else { return Ok(()) };
    let (component, rest) = path.split_at_checked(at).unwrap_or((path, ""));
    let after = rest.get(1..).unwrap_or_default();
    let is_wrong = match (component.is_empty(), rest.starts_with('@')) {
        (true, true) => after.is_empty() || after.contains(['/', '@']),
        (false, true) => after.contains('/'),
        (is_empty, false) => is_empty,
    };
    match is_wrong || after.starts_with(['/', '@']) {
        true => Err(Errno::EINVAL),
        false => Ok(()),
    }
}

/// A property of datasets that the release knows (`zfs_name_to_prop`).
pub(in crate::embedded) fn known(name: &str, release: (u32, u32)) -> Option<&'static PropertyInfo> {
    PropertyInfo::find(PropertyScope::Dataset, name)
        .filter(|info| info.since.is_none_or(|since| since <= release))
}

/// Whether what is below has it too: every user property has.
fn is_inheritable(name: &str) -> bool {
    PropertyInfo::find(PropertyScope::Dataset, name).is_none_or(|info| info.access.is_inheritable())
}

/// The default of a property that has a number.
pub(in crate::embedded) fn default_number(name: &str, release: (u32, u32)) -> Option<u64> {
    let version = ModuleVersion::parse(&format!("{}.{}", release.0, release.1))?;
    known(name, release)?.default_value(&version)?.as_number()
}
