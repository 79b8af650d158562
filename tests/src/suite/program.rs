//! Channel programs, those that change and those that read.

use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::zfs::Program;
use zfsvol_core::{Bytes, ErrorKind, PoolName};

use crate::expect::{file_system, refused};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_program_changes_and_returns).needs(Need::AnyProgram),
        case(a_program_that_only_reads_cannot_change).needs(Need::AnyProgram),
        case(a_program_gets_its_arguments).needs(Need::AnyProgram),
        case(the_error_of_a_program_is_its_own_message).needs(Need::AnyProgram),
        case(a_program_that_cannot_be_parsed_is_refused).needs(Need::AnyProgram),
        case(limits_of_a_program_are_kept).needs(Need::AnyProgram),
        case(a_program_needs_its_pool),
    ]
}

fn a_program_changes_and_returns(world: &World) {
    let a = file_system(world, "a");
    let script = format!("local err = zfs.sync.snapshot('{a}@by-program'); return err");
    let returned = world.zfs().channel_program(&world.pool(), &Program::new(script)).unwrap();
    assert_eq!(returned, Some(Value::Int64(0)));
    assert!(world.zfs().exists(&a.snapshot("by-program").unwrap()).unwrap());
    assert_eq!(world.zfs().channel_program(&world.pool(), &Program::new("return")).unwrap(), None);
}

fn a_program_that_only_reads_cannot_change(world: &World) {
    let a = file_system(world, "a");
    let read = Program::new(format!("return zfs.exists('{a}')"));
    assert_eq!(
        world.zfs().channel_program_nosync(&world.pool(), &read).unwrap(),
        Some(Value::BooleanValue(true))
    );
    let write = Program::new(format!("zfs.sync.snapshot('{a}@s')"));
    refused(world.zfs().channel_program_nosync(&world.pool(), &write), ErrorKind::ProgramFailed);
    assert!(!world.zfs().exists(&a.snapshot("s").unwrap()).unwrap());
}

fn a_program_gets_its_arguments(world: &World) {
    let mut arguments = NvList::new();
    arguments.insert("number", 41i64).insert("text", "forty-one");
    let program = Program::new("local a = ...; return a.number + 1").arguments(arguments);
    assert_eq!(
        world.zfs().channel_program_nosync(&world.pool(), &program).unwrap(),
        Some(Value::Int64(42))
    );
}

fn the_error_of_a_program_is_its_own_message(world: &World) {
    let error = refused(
        world.zfs().channel_program(&world.pool(), &Program::new("error('no such thing')")),
        ErrorKind::ProgramFailed,
    );
    assert!(error.reason().contains("no such thing"), "{error}");
    assert_eq!(error.target(), Some(world.pool().as_str()));
}

fn a_program_that_cannot_be_parsed_is_refused(world: &World) {
    let error = refused(
        world.zfs().channel_program(&world.pool(), &Program::new("this is not Lua")),
        ErrorKind::ProgramFailed,
    );
    assert!(error.reason().contains("syntax error"), "{error}");
}

fn limits_of_a_program_are_kept(world: &World) {
    let zfs = world.zfs();
    let endless = Program::new("while true do end").instructions_max(10_000);
    refused(zfs.channel_program_nosync(&world.pool(), &endless), ErrorKind::ProgramFailed);
    let greedy = Program::new("local t = {}; for i = 1, 1000000 do t[i] = i .. 'x' end")
        .memory_max(Bytes::from_kib(256));
    refused(zfs.channel_program_nosync(&world.pool(), &greedy), ErrorKind::ProgramFailed);
    // More than the kernel grants, and none.
    refused(
        zfs.channel_program(&world.pool(), &Program::new("return").instructions_max(u64::MAX)),
        ErrorKind::ProgramFailed,
    );
    refused(
        zfs.channel_program(&world.pool(), &Program::new("return").memory_max(Bytes::ZERO)),
        ErrorKind::ProgramFailed,
    );
}

fn a_program_needs_its_pool(world: &World) {
    let none: PoolName = "zfsvol-no-such-pool".parse().unwrap();
    refused(world.zfs().channel_program(&none, &Program::new("return")), ErrorKind::NotFound);
}
