//! [`Fault`]: a door behind which chosen calls fail.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cmd, Errno, Host, Ioc, Kernel};

/// Lets the ioctls fail that its rules choose, to see what a program makes of it: a full pool, a signal, a reply that was lost.
///
/// The first rule that chooses a call decides. Rules count the calls they match, in the order in which they arrive: a program that calls
/// from one thread meets the same faults each time. Each failure says in the message that it was injected.
///
/// ```
/// # use std::sync::Arc;
/// use zfsvol_core::kernel::{Errno, Fault, FaultRule, Ioc, Kernel};
///
/// # fn example(kernel: Arc<dyn Kernel>) {
/// let door = Fault::new(kernel)
///     // The second snapshot below tank/web is taken, and the answer lost.
///     .rule(FaultRule::new(Errno::EINTR).ioc(Ioc::SNAPSHOT).name(|name| name.starts_with("tank/web")).nth(2).after())
///     // No space from the tenth call on, whatever it is.
///     .rule(FaultRule::new(Errno::ENOSPC).skip(9));
/// # }
/// ```
#[derive(Debug)]
pub struct Fault {
    inner: Arc<dyn Kernel>,
    rules: Vec<FaultRule>,
}

type Predicate = dyn Fn(&str) -> bool + Send + Sync;

/// Which calls fail, and how. Without further ado: every call, before it is carried out.
pub struct FaultRule {
    errno: Errno,
    ioc: Option<Ioc>,
    name: Option<Box<Predicate>>,
    skip: u64,
    times: u64,
    chance: Option<(u64, u64)>,
    after: bool,
    matched: AtomicU64,
    failed: AtomicU64,
}

impl FaultRule {
    /// Fails calls with that errno.
    pub fn new(errno: Errno) -> Self {
        Self {
            errno,
            ioc: None,
            name: None,
            skip: 0,
            times: u64::MAX,
            chance: None,
            after: false,
            matched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Only this ioctl.
    #[must_use]
    pub fn ioc(mut self, ioc: Ioc) -> Self {
        self.ioc = Some(ioc);
        self
    }

    /// Only calls about a name for which `predicate` holds: any of [`Cmd::names`], those inside of lists included.
    #[must_use]
    pub fn name(mut self, predicate: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.name = Some(Box::new(predicate));
        self
    }

    /// Not the first `count` of the calls that match.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most `count` calls.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// The `n`-th call that matches and no other; the first is 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.skip(n.saturating_sub(1)).times(1)
    }

    /// About one in `calls`, of those that match. Which, depends on `seed` and the count of calls alone: the same in each run.
    #[must_use]
    pub fn one_in(mut self, calls: u64, seed: u64) -> Self {
        self.chance = Some((calls.max(1), seed));
        self
    }

    /// The call is carried out, and its answer lost: what a caller sees whose connection broke a moment too late.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    /// Counts the call if it matches; whether it is to fail.
    fn chooses(&self, ioc: Ioc, cmd: &Cmd) -> bool {
        let names = |predicate: &Predicate| cmd.names(ioc).iter().any(|name| predicate(name));
        let matches =
            self.ioc.is_none_or(|wanted| wanted == ioc) && self.name.as_deref().is_none_or(names);
        if !matches {
            return false;
        }
        let place = self.matched.fetch_add(1, Ordering::Relaxed);
        let drawn = self.chance.is_none_or(|(calls, seed)| mix(seed ^ mix(place)) % calls == 0);
        if place < self.skip || !drawn {
            return false;
        }
        let times = self.times;
        let take = |failed| (failed < times).then_some(failed + 1);
        self.failed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// splitmix64 (Steele, Lea, Flood 2014): every bit of the answer depends on every bit of the question.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultRule")
            .field("errno", &self.errno)
            .field("ioc", &self.ioc)
            .field("skip", &self.skip)
            .field("after", &self.after)
            .field("matched", &self.matched)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Fault {
    /// A door to `inner` behind which nothing fails yet.
    pub fn new(inner: Arc<dyn Kernel>) -> Self {
        Self { inner, rules: Vec::new() }
    }

    /// Adds a rule behind those there are.
    #[must_use]
    pub fn rule(mut self, rule: FaultRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// How many calls each rule has let fail so far, in the order of the rules: a test that injects a fault checks that it came to it.
    pub fn failed(&self) -> Vec<u64> {
        self.rules.iter().map(|rule| rule.failed.load(Ordering::Relaxed)).collect()
    }
}

impl Kernel for Fault {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        let Some(rule) = self.rules.iter().find(|rule| rule.chooses(ioc, cmd)) else {
            return self.inner.ioctl(ioc, cmd);
        };
        if !rule.after {
            return Err(cmd.refuse(rule.errno, "a fault was injected before the call"));
        }
        // The caller sees nothing of the answer, so it is given to a copy.
        let mut carried_out = cmd.clone();
        // Whether it failed by itself is lost with the answer.
        let _lost = self.inner.ioctl(ioc, &mut carried_out);
        Err(cmd.refuse(rule.errno, "a fault was injected after the call"))
    }

    /// The host as it is: no rule is about its calls.
    fn host(&self) -> &dyn Host {
        self.inner.host()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::stub::Stub;
    use crate::nvlist::{NvList, Value};

    fn stub() -> Arc<Stub> {
        Arc::new(Stub::new(|_, cmd| {
            cmd.cookie = 1;
            Ok(())
        }))
    }

    fn create(door: &Fault, count: usize) -> Vec<Result<(), Errno>> {
        (0..count).map(|_| door.ioctl(Ioc::CREATE, &mut Cmd::new("tank/a"))).collect()
    }

    #[test]
    fn the_nth_call_fails_and_no_other() {
        let stub = stub();
        let door = Fault::new(stub.clone()).rule(FaultRule::new(Errno::EIO).nth(3));
        assert_eq!(create(&door, 5), [Ok(()), Ok(()), Err(Errno::EIO), Ok(()), Ok(())]);
        assert_eq!(stub.calls().len(), 4);
        assert_eq!(door.failed(), [1]);
    }

    #[test]
    fn only_what_matches_is_counted() {
        let named = |wanted: &'static str| move |name: &str| name == wanted;
        let door = Fault::new(stub())
            .rule(FaultRule::new(Errno::ENOSPC).ioc(Ioc::SNAPSHOT).name(named("tank/a@s")).nth(2));
        let snapshot = |name: &'static str| {
            let snaps: NvList = [(name, Value::Boolean)].into_iter().collect();
            let input: NvList = [("snaps", snaps)].into_iter().collect();
            let mut cmd = Cmd::new("tank");
            cmd.input = Some(input.to_bytes().unwrap());
            door.ioctl(Ioc::SNAPSHOT, &mut cmd)
        };
        assert_eq!(snapshot("tank/a@s"), Ok(()));
        assert_eq!(create(&door, 1), [Ok(())]);
        assert_eq!(snapshot("tank/b@s"), Ok(()));
        assert_eq!(snapshot("tank/a@s"), Err(Errno::ENOSPC));
        assert_eq!(snapshot("tank/a@s"), Ok(()));
    }

    #[test]
    fn a_lost_reply_leaves_the_request_as_it_was() {
        let stub = stub();
        let door = Fault::new(stub.clone()).rule(FaultRule::new(Errno::EINTR).after());
        let mut cmd = Cmd::new("tank/a");
        assert_eq!(door.ioctl(Ioc::CREATE, &mut cmd), Err(Errno::EINTR));
        assert_eq!(stub.calls().len(), 1);
        assert_eq!(cmd.cookie, 0);
        assert_eq!(cmd.refusal(), Some("a fault was injected after the call"));
    }

    #[test]
    fn chance_is_the_same_in_each_run() {
        let run = |seed| {
            let rule = FaultRule::new(Errno::EIO).one_in(4, seed);
            create(&Fault::new(stub()).rule(rule), 400)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let failed = run(1).iter().filter(|outcome| outcome.is_err()).count();
        assert!((70..130).contains(&failed), "{failed}");
    }

    #[test]
    fn threads_share_the_count() {
        let door = Fault::new(stub()).rule(FaultRule::new(Errno::EIO).skip(10).times(5));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| create(&door, 10));
            }
        });
        assert_eq!(door.failed(), [5]);
    }
}
