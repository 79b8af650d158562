//! [`Case`]: one body of the suite, its name, and what it cannot do without.

use std::fmt;
use std::sync::Arc;

use crate::{Machine, World};

/// What a case cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// A loaded OpenZFS module: mounts, block devices, other users, or the commands of OpenZFS are part of the case.
    RealModule,
    /// Superuser rights.
    Root,
    /// The programs `zfs` and `zpool`, to look at the same thing from the other side.
    Commands,
    /// Python with OpenZFS's own bindings (pyzfs).
    Pyzfs,
    /// This many empty disks.
    Disks(usize),
    /// This OpenZFS release or a newer one: what the case is about came with it.
    Since(u32, u32),
    /// A release older than this: the case is about what is not there yet.
    Before(u32, u32),
    /// A kernel that runs any channel program. The one in the process runs those of the library only.
    AnyProgram,
    /// A clock that may be set: that of a guest made for the suite, or of a kernel in this process.
    Clock,
    /// A machine at native speed: under emulation the case would take many minutes and show nothing else.
    Speed,
}

/// What a machine lacks for a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is missing, in words.
    pub reason: String,
    /// Whether the case does not apply there, so that leaving it out loses nothing even where every case is required.
    pub excused: bool,
}

/// What the nodes of a case are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peers {
    /// Handles in one process.
    #[default]
    Local,
    /// The two ends of connections.
    Remote,
}

/// One case of the suite.
#[derive(Clone)]
pub struct Case {
    name: &'static str,
    needs: Vec<Need>,
    peers: Peers,
    body: Arc<dyn Fn(&World) + Send + Sync>,
}

/// The case that `body` is. It has the function's name, and its module's name is the area.
pub fn case<F>(body: F) -> Case
where
    F: Fn(&World) + Send + Sync + 'static,
{
    let (needs, peers) = (Vec::new(), Peers::Local);
    Case { name: name_of::<F>(), needs, peers, body: Arc::new(body) }
}

/// `zfsvol_tests::suite::hold::a_hold_keeps_a_snapshot` is the case `hold::a_hold_keeps_a_snapshot`.
fn name_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let mut separators = path.rmatch_indices("::").map(|(at, separator)| at + separator.len());
    let start = separators.nth(1).unwrap_or(0);
    path.get(start..).expect("cut at a separator")
}

impl Case {
    /// Adds something the case cannot do without.
    #[must_use]
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// The same case in another area, with nodes at the two ends of connections.
    #[must_use]
    pub fn over_connections(self, area: &str) -> Self {
        // Cases are made once, and live as long as the run.
        let name = Box::leak(format!("{area}::{}", self.sentence()).into_boxed_str());
        Self { name, peers: Peers::Remote, ..self }
    }

    /// What its nodes are to each other.
    pub fn peers(&self) -> Peers {
        self.peers
    }

    /// `area::name`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The area: the file of `suite` it is in.
    pub fn area(&self) -> &'static str {
        self.name.split("::").next().unwrap_or(self.name)
    }

    /// The sentence it is named by, without the area.
    pub fn sentence(&self) -> &'static str {
        self.name.rsplit("::").next().unwrap_or(self.name)
    }

    /// Everything the machine lacks for it that keeps it from running; what does not apply first.
    pub fn lack(&self, machine: &Machine) -> Option<Lack> {
        let mut lacks: Vec<Lack> =
            self.needs.iter().filter_map(|need| machine.lacks(*need)).collect();
        lacks.sort_by_key(|lack| !lack.excused);
        lacks.into_iter().next()
    }

    /// Runs the body.
    pub fn run(&self, world: &World) {
        (self.body)(world);
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_sentence(_: &World) {}

    #[test]
    fn a_case_is_named_after_its_function_and_area() {
        let case = case(a_sentence);
        assert_eq!(case.name(), "tests::a_sentence");
        assert_eq!((case.area(), case.sentence()), ("tests", "a_sentence"));
    }
}
