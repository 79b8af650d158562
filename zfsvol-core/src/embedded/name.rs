//! Names as the module checks them: OpenZFS 2.3 `module/zcommon/zfs_namecheck.c`.
//!
//! These are the kernel's own rules, laxer than those of [`crate::name`] here and there, because a request can come from anywhere.

use crate::kernel::Errno;

/// `ZFS_MAX_DATASET_NAME_LEN`, which counts the NUL at the end.
pub(super) const NAME_BYTES: usize = 256;

/// `zfs_max_dataset_nesting`.
pub(super) const NESTING: usize = 50;

/// `$ORIGIN`, which must fit twice behind the name of a pool.
const ORIGIN_BYTES: usize = 7;

/// The name of what a receive makes beside its destination.
pub(super) const RECEIVE_CLONE: &str = "%recv";

/// What a name must be, as each ioctl says (`zfs_ioc_namecheck_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameCheck {
    /// It is not looked at.
    None,
    /// A pool.
    Pool,
    /// A file system, zvol or snapshot.
    Dataset,
    /// The same, or a bookmark.
    Entity,
}

impl NameCheck {
    /// Whether `name` passes.
    pub(super) fn passes(self, name: &str) -> bool {
        match self {
            Self::None => true,
            Self::Pool => is_pool(name),
            Self::Dataset => is_dataset(name),
            Self::Entity => is_entity(name),
        }
    }
}

/// `zfs_component_namecheck`: what follows `@` or `#`, and each level of a dataset's name.
pub(super) fn is_component(name: &str) -> bool {
    !name.is_empty() && name.len() < NAME_BYTES && name.bytes().all(is_valid)
}

/// `pool_namecheck`.
pub(super) fn is_pool(name: &str) -> bool {
    name.len() < NAME_BYTES - 2 - 2 * ORIGIN_BYTES
        && name.bytes().all(is_valid)
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !matches!(name, "mirror" | "raidz" | "draid")
}

/// `dataset_namecheck`: an entity that is no bookmark.
pub(super) fn is_dataset(name: &str) -> bool {
    is_entity(name) && !name.contains('#')
}

/// `snapshot_namecheck`.
pub(super) fn is_snapshot(name: &str) -> bool {
    is_entity(name) && name.contains('@')
}

/// `bookmark_namecheck`.
pub(super) fn is_bookmark(name: &str) -> bool {
    is_entity(name) && name.contains('#')
}

/// `entity_namecheck`.
pub(super) fn is_entity(name: &str) -> bool {
    if name.len() >= NAME_BYTES {
        return false;
    }
    let (path, last) = match name.find(['@', '#']).and_then(|at| name.split_at_checked(at)) {
        Some((path, rest)) => (path, rest.get(1..)),
        None => (name, None),
    };
    let fits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| is_valid(byte) || byte == b'%');
    // In front of an '@' or '#' the module does not look for them.
    let is_dots = |part: &str| matches!(part, "." | "..");
    let (above, of) = path.rsplit_once('/').map_or(("a", path), |(above, of)| (above, of));
    let checked = above.split('/').chain(Some(last.unwrap_or(of)));
    path.split('/').chain(last).all(fits) && !checked.into_iter().any(is_dots)
}

/// The pool that anything of that name is in.
pub(super) fn pool_of(name: &str) -> &str {
    name.split(['/', '@', '#']).next().unwrap_or_default()
}

/// How many levels below its pool a dataset is (`get_dataset_depth`).
pub(super) fn depth(name: &str) -> usize {
    name.split(['@', '#']).next().unwrap_or_default().matches('/').count()
}

/// Whether `name` is of that pool: the pool, something below it, or a snapshot or bookmark (`delimiter`) of it.
pub(super) fn is_in_pool(name: &str, pool: &str, delimiter: char) -> bool {
    name.strip_prefix(pool).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(delimiter))
}

/// Dataset and snapshot of `tank/a@s`.
///
/// # Errors
/// `EINVAL` when it has no `@`.
pub(super) fn split_snapshot(name: &str) -> Result<(&str, &str), Errno> {
    name.split_once('@').ok_or(Errno::EINVAL)
}

fn is_valid(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_module_takes() {
        for name in ["a", "tank/a", "tank/a@s", "tank/.@s", "tank/a b", "tank/%recv", "t/a@b.c"] {
            assert!(is_dataset(name), "{name}");
        }
        for name in
            ["", "/a", "a/", "a//b", "a/.", "a/..", "a@b@c", "a@b/c", "a@", "a/b#c", "a/ä", "a\0"]
        {
            assert!(!is_dataset(name), "{name:?}");
        }
        assert!(is_entity("a/b#c") && is_bookmark("a/b#c") && !is_snapshot("a/b#c"));
        assert!(!is_dataset(&"a".repeat(256)) && is_dataset(&"a".repeat(255)));
    }

    #[test]
    fn pools_have_rules_of_their_own() {
        for name in ["tank", "T", "log", "mirror0"] {
            assert!(is_pool(name), "{name}");
        }
        for name in ["", "1a", "mirror", "raidz", "draid", "a/b", "a@b"] {
            assert!(!is_pool(name), "{name}");
        }
        assert!(is_pool(&"a".repeat(239)) && !is_pool(&"a".repeat(240)));
    }

    #[test]
    fn what_is_in_a_pool_is_told_from_what_only_begins_like_it() {
        assert!(is_in_pool("tank/a@s", "tank", '@') && is_in_pool("tank@s", "tank", '@'));
        assert!(!is_in_pool("tank2@s", "tank", '@') && !is_in_pool("tank#b", "tank", '@'));
        assert_eq!((pool_of("tank/a@s"), depth("tank/a/b@s")), ("tank", 2));
    }
}
