//! What an answer may show: names from outside are taken out of it.

use super::Subtree;
use crate::kernel::{Cmd, Errno, Ioc};
use crate::nvlist::{NvList, Value};

impl Subtree {
    /// Clears the answer in `cmd`.
    pub(super) fn conceal(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        let lists = matches!(ioc, Ioc::DATASET_LIST_NEXT | Ioc::SNAPSHOT_LIST_NEXT);
        if !self.is_within(&cmd.objset_stats.origin) {
            cmd.objset_stats.origin.clear();
        }
        match ioc {
            Ioc::OBJSET_STATS | Ioc::DATASET_LIST_NEXT | Ioc::SNAPSHOT_LIST_NEXT => {
                self.rewrite(cmd, Self::conceal_properties)?;
            }
            Ioc::POOL_GET_PROPS => self.rewrite(cmd, |_, properties| {
                let kept = ["altroot", "readonly"];
                *properties = std::mem::take(properties)
                    .into_iter()
                    .filter(|(name, _)| kept.contains(&name.as_str()))
                    .collect();
            })?,
            // A clone without a snapshot of its own is rolled back to its origin.
            Ioc::ROLLBACK => self.rewrite(cmd, |this, reply| {
                if reply.get_str("target").is_some_and(|target| !this.is_within(target)) {
                    reply.remove("target");
                }
            })?,
            _ => {}
        }
        // At the end of a list the kernel leaves `tank/a/` or `tank/a@` here.
        let name = cmd.name.trim_end_matches(['/', '@']);
        if lists && !self.is_within(name) {
            return Err(Errno::ESRCH);
        }
        Ok(())
    }

    /// The reply of `OBJSET_STATS`, `property: {value, source}`. A source is the dataset itself or a parent of it, and those of the root
    /// are in its own name.
    fn conceal_properties(&self, properties: &mut NvList) {
        for name in ["origin", "prevsnap", "encryptionroot"] {
            let value = properties.get_list(name).and_then(|property| property.get_str("value"));
            if value.is_some_and(|value| !self.is_within(value) && !self.is_parent(value)) {
                properties.remove(name);
            }
        }
        let Some(Value::NvList(property)) = properties.get_mut("clones") else { return };
        let Some(Value::NvList(clones)) = property.get_mut("value") else { return };
        let outside: Vec<String> = clones
            .iter()
            .filter(|(name, _)| !self.is_within(name))
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in outside {
            clones.remove(&name);
        }
    }

    fn is_parent(&self, name: &str) -> bool {
        self.root.as_str().strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Changes the list in the reply. One that cannot be read cannot be cleared, and is not shown.
    fn rewrite(&self, cmd: &mut Cmd, change: fn(&Self, &mut NvList)) -> Result<(), Errno> {
        if !cmd.has_reply_nvlist() {
            return Ok(());
        }
        let cleared = NvList::from_bytes(cmd.reply()).ok().and_then(|mut list| {
            change(self, &mut list);
            list.to_bytes().ok()
        });
        match cleared {
            Some(packed) => cmd.put_reply(&packed),
            None => {
                cmd.put_reply_bytes(&[])?;
                Err(cmd.refuse(
                    Errno::EPROTO,
                    "the reply cannot be read, and so not be cleared of what is beyond this door",
                ))
            }
        }
    }
}
