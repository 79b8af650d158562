//! Channel programs: Lua that runs in the kernel, in one transaction group or over one view of the pool.

use super::Zfs;
use super::call::{CallError, Operation};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, Value};
use crate::units::Bytes;

const CHANNEL_PROGRAM: Operation = Operation::new(Ioc::CHANNEL_PROGRAM, "run a channel program on");

/// A channel program and its limits.
#[derive(Clone, Debug)]
pub struct Program {
    script: String,
    arguments: NvList,
    instructions_max: u64,
    memory_max: Bytes,
    /// How long what it returns may be, if that is known to be less than its memory.
    reply_max: Option<Bytes>,
}

impl Program {
    /// Instructions a program may use where nothing else is said: `ZCP_DEFAULT_INSTRLIMIT`. The kernel's own limit
    /// (`zfs_lua_max_instrlimit`) is ten times that.
    pub const INSTRUCTIONS_DEFAULT: u64 = 10_000_000;
    /// Memory a program may use where nothing else is said: `ZCP_DEFAULT_MEMLIMIT`. The kernel's own limit is ten times that.
    pub const MEMORY_DEFAULT: Bytes = Bytes::from_mib(10);

    /// That script, without arguments. See zfs-program(8) for the language.
    pub fn new(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            arguments: NvList::new(),
            instructions_max: Self::INSTRUCTIONS_DEFAULT,
            memory_max: Self::MEMORY_DEFAULT,
            reply_max: None,
        }
    }

    /// What the script gets as `...`: a Lua table of these.
    #[must_use]
    pub fn arguments(mut self, arguments: NvList) -> Self {
        self.arguments = arguments;
        self
    }

    /// Stops it after so many instructions.
    #[must_use]
    pub fn instructions_max(mut self, instructions: u64) -> Self {
        self.instructions_max = instructions;
        self
    }

    /// Stops it when it uses more memory. What it returns must fit as well.
    #[must_use]
    pub fn memory_max(mut self, memory: Bytes) -> Self {
        self.memory_max = memory;
        self
    }

    /// No room is made for longer answers than this: to make it takes longer than a short program does.
    #[must_use]
    pub(super) fn reply_max(mut self, bytes: Bytes) -> Self {
        self.reply_max = Some(bytes);
        self
    }
}

impl Zfs {
    /// Runs a channel program in syncing context: all it changes is on disk at once, in one transaction group, when it returns.
    /// Returns what the script returns, `None` if that is nothing.
    ///
    /// While it runs, the pool writes nothing else: keep it short.
    ///
    /// Issues `ZFS_IOC_CHANNEL_PROGRAM`.
    ///
    /// # Errors
    /// - [`ErrorKind::ProgramFailed`]: it cannot be parsed, raised an error (the message has it; what it changed before stays changed), or used up
    ///   its instructions or memory.
    /// - [`ErrorKind::Denied`]: the caller is not root. [`ErrorKind::NotFound`]: there is no such pool.
    #[doc(alias = "lzc_channel_program")]
    pub fn channel_program(&self, pool: &PoolName, program: &Program) -> Result<Option<Value>> {
        self.run_program(pool, program, true)
    }

    /// Runs a channel program in open context: it can only read (`zfs.list`, `zfs.get_prop`, `zfs.exists`, `zfs.check`), and the pool goes on meanwhile.
    ///
    /// Issues `ZFS_IOC_CHANNEL_PROGRAM` without `sync`.
    ///
    /// # Errors
    /// As [`Zfs::channel_program`].
    #[doc(alias = "lzc_channel_program_nosync")]
    pub fn channel_program_nosync(
        &self,
        pool: &PoolName,
        program: &Program,
    ) -> Result<Option<Value>> {
        self.run_program(pool, program, false)
    }

    fn run_program(&self, pool: &PoolName, program: &Program, sync: bool) -> Result<Option<Value>> {
        let memory = program.memory_max.get();
        let mut input = NvList::new();
        input
            .insert("program", program.script.as_str())
            .insert("arg", program.arguments.clone())
            .insert("sync", sync)
            .insert("instrlimit", program.instructions_max)
            .insert("memlimit", memory);
        let mut cmd = Cmd::new(pool.as_str());
        let packed = input
            .to_bytes()
            .map_err(|error| CallError::library(CHANNEL_PROGRAM, pool.as_str(), error));
        cmd.input = Some(packed.map_err(|error| error.into_error(self))?);
        // What it returns may be as large as its memory, and a second try would run it twice.
        let reply_max = program.reply_max.unwrap_or(program.memory_max).get();
        cmd.reply_max =
            usize::try_from(reply_max).unwrap_or(usize::MAX).min(super::call::REPLY_BYTES_MAX);
        match self.call_cmd(CHANNEL_PROGRAM, &mut cmd) {
            Ok(mut reply) => Ok(reply.remove("return")),
            Err(error) => Err(self.program_error(error)),
        }
    }

    /// The script's own message says more than the errno.
    fn program_error(&self, error: CallError) -> Error {
        let CallError::Refused(refusal) = error else { return error.into_error(self) };
        let message = refusal.reply.get("error").map(|value| match value {
            Value::String(text) => text.to_string(),
            other => format!("{other:?}"),
        });
        match message {
            Some(message) if !message.is_empty() => {
                let errno = refusal.errno;
                let kind = match errno {
                    Errno::EPERM => ErrorKind::Denied,
                    // The embedded kernel's word for a program it does not run; the module has no such.
                    Errno::ENOTSUP => ErrorKind::Unsupported,
                    _ => ErrorKind::ProgramFailed,
                };
                CHANNEL_PROGRAM.error(kind, &refusal.target, message).with_errno(errno)
            }
            _ => refusal.into_error(self),
        }
    }
}
