//! Properties: read with their sources, set, inherited, reverted, refused; the size of zvols.

use std::collections::BTreeMap;

use zfsvol_core::property::{
    MountEffect, PropertyInfo, PropertyKind, PropertyScope, PropertySet, PropertyValue, Source,
    USER_PROPERTY_NAME_BYTES_MAX, USER_PROPERTY_VALUE_BYTES_MAX, ZvolSize,
};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, SnapshotName};

use crate::{Case, Need, PropertyFacts, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(what_is_set_is_read_back_with_its_source),
        case(user_properties_are_set_together_and_inherited),
        case(the_longest_user_property_fits),
        case(a_snapshot_takes_user_properties_only),
        case(an_inherited_property_falls_back_to_the_ancestor),
        case(what_is_not_inherited_cannot_be),
        case(what_a_snapshot_cannot_have_is_not_reverted_on_it),
        case(a_received_value_comes_back_when_reverted).needs(Need::Commands),
        case(properties_that_fail_are_named_and_the_rest_is_set),
        case(properties_of_a_missing_dataset_are_not_found),
        case(zstd_of_a_missing_dataset_is_not_found),
        case(properties_of_the_wrong_kind_are_refused),
        case(a_quota_below_what_is_used_is_refused),
        case(a_property_newer_than_the_module_names_both_versions).needs(Need::Before(2, 5)),
        case(a_property_the_library_does_not_know_is_left_to_the_module),
        case(properties_inside_a_file_system_are_read),
        case(a_zvol_grows_with_its_reservation),
        case(a_zvol_size_must_be_a_multiple_of_its_blocks),
        case(the_table_is_that_of_the_loaded_module).needs(Need::RealModule),
        case(zfs_get_all_says_the_same).needs(Need::Commands),
        case(every_word_has_the_number_the_command_knows_it_by).needs(Need::Commands),
        case(a_reservation_is_what_the_command_would_set).needs(Need::Commands),
        case(a_mounted_file_system_follows_its_readonly).needs(Need::Commands).needs(Need::Root),
    ]
}

fn set(pairs: &[(&str, &str)]) -> PropertySet {
    let mut set = PropertySet::new();
    for (name, value) in pairs {
        set.set(name, *value).expect("a valid property");
    }
    set
}

fn file_system(world: &World, name: &str) -> DatasetName {
    let name = world.root().child(name).expect("a name");
    world.zfs().create_filesystem(&name, &set(&[("canmount", "off")])).expect("created");
    name
}

fn zvol(world: &World, name: &str, size: Bytes, properties: &[(&str, &str)]) -> DatasetName {
    let name = world.root().child(name).expect("a name");
    world.zfs().create_zvol(&name, size, &set(properties)).expect("created");
    name
}

fn snapshot(world: &World, dataset: &DatasetName, name: &str) -> SnapshotName {
    let snapshot = dataset.snapshot(name).expect("a name");
    world.zfs().snapshot(std::slice::from_ref(&snapshot), &PropertySet::new()).expect("a snapshot");
    snapshot
}

fn what_is_set_is_read_back_with_its_source(world: &World) {
    let a = file_system(world, "a");
    let b = a.child("b").expect("a name");
    world.zfs().create_filesystem(&b, &set(&[("canmount", "off")])).expect("created");
    let wanted = set(&[
        ("compression", "zstd-7"),
        ("atime", "off"),
        ("quota", "64M"),
        ("recordsize", "32K"),
        ("copies", "2"),
        ("xattr", "sa"),
        ("snapdir", "visible"),
        ("filesystem_limit", "10"),
    ]);
    world.zfs().set_properties(&a, &wanted).expect("set");
    let found = world.zfs().properties(&a).expect("read");
    for (name, value) in &wanted {
        assert_eq!(found.value(name), Some(value), "{name}");
        assert_eq!(found.source(name), Some(&Source::Local), "{name}");
    }
    assert_eq!(found.text("type"), Some("filesystem"));
    assert_eq!(found.source("used"), Some(&Source::None));
    assert!(found.bytes("used").expect("used") > Bytes::ZERO);
    assert!(found.number("guid").expect("guid") != 0);

    let below = world.zfs().properties(&b).expect("read");
    for name in ["compression", "atime", "recordsize", "copies", "snapdir"] {
        assert_eq!(below.value(name), wanted.get(name), "{name}");
        assert_eq!(below.source(name), Some(&Source::Inherited(a.clone())), "{name}");
    }
    assert_eq!(below.source("quota"), Some(&Source::Default));
    assert_eq!(below.bytes("quota"), Some(Bytes::ZERO));
    assert_eq!(below.text("filesystem_limit"), Some("none"));
    assert_eq!(below.source("sync"), Some(&Source::Default));

    let one = world.zfs().property(&b, "compression").expect("read").expect("there");
    assert_eq!(one.value.to_string(), "zstd-7");
    assert_eq!(world.zfs().property(&b, "com.example:none").expect("read"), None);
    assert_eq!(world.zfs().property(&b, "volsize").expect("read"), None);
}

fn user_properties_are_set_together_and_inherited(world: &World) {
    let a = file_system(world, "a");
    let b = a.child("b").expect("a name");
    world.zfs().create_filesystem(&b, &set(&[("canmount", "off")])).expect("created");
    let wanted =
        set(&[("com.example:owner", "węb\n\"x\""), ("com.example:empty", ""), ("x:1", "y")]);
    world.zfs().set_properties(&a, &wanted).expect("set");
    let found = world.zfs().properties(&b).expect("read");
    let user: BTreeMap<_, _> = found.user().map(|(name, found)| (name, &found.value)).collect();
    assert_eq!(user, wanted.iter().collect());
    assert_eq!(found.source("x:1"), Some(&Source::Inherited(a.clone())));

    world.zfs().inherit_property(&a, "x:1").expect("inherited");
    assert_eq!(world.zfs().property(&b, "x:1").expect("read"), None);
    // There is no value to take away any more: the same again is harmless.
    world.zfs().inherit_property(&a, "x:1").expect("inherited again");
}

fn the_longest_user_property_fits(world: &World) {
    let a = file_system(world, "a");
    let name = format!("a:{}", "b".repeat(USER_PROPERTY_NAME_BYTES_MAX - 2));
    let value = "v".repeat(USER_PROPERTY_VALUE_BYTES_MAX);
    world.zfs().set_properties(&a, &set(&[("b:b", &value)])).expect("the longest value");
    let found = world.zfs().property(&a, "b:b").expect("read").expect("there");
    assert_eq!(found.value.as_str(), Some(value.as_str()));
    world.zfs().set_properties(&a, &set(&[(&name, "short")])).expect("the longest name");
    let found = world.zfs().property(&a, &name).expect("read").expect("there");
    assert_eq!(found.value.as_str(), Some("short"));
    world.zfs().inherit_property(&a, &name).expect("the longest name again");
    assert_eq!(world.zfs().property(&a, &name).expect("read"), None);
}

fn a_snapshot_takes_user_properties_only(world: &World) {
    let a = file_system(world, "a");
    let s = snapshot(world, &a, "s");
    world.zfs().set_properties(&s, &set(&[("x:y", "z")])).expect("set");
    let found = world.zfs().properties(&s).expect("read");
    assert_eq!(found.text("x:y"), Some("z"));
    assert_eq!(found.source("x:y"), Some(&Source::Local));
    assert_eq!(found.text("type"), Some("snapshot"));
    assert_eq!(found.get("mountpoint"), None);
    let error = world.zfs().set_properties(&s, &set(&[("atime", "off")])).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the properties of '{s}': 'atime' cannot be set on a snapshot, which takes user properties only"
        )
    );
}

fn an_inherited_property_falls_back_to_the_ancestor(world: &World) {
    let a = file_system(world, "a");
    let b = a.child("b").expect("a name");
    world.zfs().create_filesystem(&b, &set(&[("canmount", "off"), ("sync", "always")])).expect("b");
    world.zfs().set_properties(&a, &set(&[("sync", "disabled")])).expect("set");
    world.zfs().inherit_property(&b, "sync").expect("inherited");
    let sync = world.zfs().property(&b, "sync").expect("read").expect("there");
    assert_eq!(sync.value.as_str(), Some("disabled"));
    assert_eq!(sync.source, Source::Inherited(a.clone()));
    world.zfs().inherit_property(&a, "sync").expect("inherited");
    let sync = world.zfs().property(&b, "sync").expect("read").expect("there");
    assert_eq!((sync.value.as_str(), sync.source), (Some("standard"), Source::Default));
}

fn what_is_not_inherited_cannot_be(world: &World) {
    let a = file_system(world, "a");
    for (property, reason) in [
        ("quota", "datasets do not inherit it"),
        ("used", "only the kernel sets it"),
        ("utf8only", "it is set for good when the dataset is created"),
        ("version", "it has no other value to go back to"),
    ] {
        let error = world.zfs().inherit_property(&a, property).expect_err(property);
        assert_eq!(error.kind(), ErrorKind::InvalidProperty);
        assert_eq!(
            error.to_string(),
            format!("cannot inherit a property of '{a}': '{property}': {reason}")
        );
    }
    // Not a name of any property: the module says so.
    let error = world.zfs().inherit_property(&a, "nonsense").expect_err("no such property");
    assert!(matches!(error.kind(), ErrorKind::InvalidProperty | ErrorKind::Unsupported), "{error}");
    // Back to the default, though nobody inherits it.
    world.zfs().set_properties(&a, &set(&[("quota", "64M")])).expect("set");
    world.zfs().revert_property(&a, "quota").expect("reverted");
    let quota = world.zfs().property(&a, "quota").expect("read").expect("there");
    assert_eq!((quota.value.as_bytes(), quota.source), (Some(Bytes::ZERO), Source::Default));
    let error = world
        .zfs()
        .inherit_property(&world.root().child("none").expect("a name"), "sync")
        .expect_err("no dataset");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// The module would do it, and its dataset would not be held to its quota any more.
fn what_a_snapshot_cannot_have_is_not_reverted_on_it(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    zfs.set_properties(&a, &set(&[("quota", "64M"), ("refquota", "32M")])).expect("set");
    let one = snapshot(world, &a, "one");
    for property in ["quota", "refquota", "reservation", "defaultuserquota"] {
        let error = zfs.revert_property(&one, property).expect_err("a snapshot has none");
        assert_eq!(error.kind(), ErrorKind::InvalidProperty, "{property}: {error}");
    }
    zfs.revert_property(&one, "compression").expect("there was nothing to take back");
    let quota = zfs.property(&a, "quota").expect("read").expect("there");
    assert_eq!((quota.value.as_bytes(), quota.source), (Some(Bytes::from_mib(64)), Source::Local));
}

fn a_received_value_comes_back_when_reverted(world: &World) {
    let a = file_system(world, "a");
    let b = world.root().child("b").expect("a name");
    assert!(world.zfs().received_properties(&a).expect("read").is_empty());
    world
        .zfs()
        .set_properties(&a, &set(&[("compression", "lz4"), ("x:y", "sent"), ("quota", "64M")]))
        .expect("set");
    let s = snapshot(world, &a, "s");
    command::run("sh", &["-c", &format!("zfs send -p {s} | zfs receive -u {b}")]);
    let found = world.zfs().properties(&b).expect("read");
    assert_eq!(found.source("compression"), Some(&Source::Received));

    world
        .zfs()
        .set_properties(&b, &set(&[("compression", "gzip-9"), ("x:y", "own"), ("quota", "32M")]))
        .expect("set");
    let received = world.zfs().received_properties(&b).expect("read");
    assert_eq!(received.text("compression"), Some("lz4"));
    assert_eq!(received.text("x:y"), Some("sent"));
    assert_eq!(received.bytes("quota"), Some(Bytes::from_mib(64)));
    assert_eq!(received.source("x:y"), Some(&Source::Received));
    for property in ["compression", "x:y", "quota"] {
        world.zfs().revert_property(&b, property).expect("reverted");
        let found = world.zfs().property(&b, property).expect("read").expect("there");
        assert_eq!(Some(&found.value), received.value(property), "{property}");
    }
    world.zfs().inherit_property(&b, "x:y").expect("inherited");
    assert_eq!(world.zfs().property(&b, "x:y").expect("read"), None);
    let missing = world.root().child("none").expect("a name");
    let error = world.zfs().received_properties(&missing).expect_err("no dataset");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn properties_that_fail_are_named_and_the_rest_is_set(world: &World) {
    let a = file_system(world, "a");
    let wanted = set(&[
        ("reservation", "1P"),
        ("refreservation", "2P"),
        ("compression", "gzip-3"),
        ("x:y", "z"),
    ]);
    let error = world.zfs().set_properties(&a, &wanted).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let failed: Vec<_> = error.failures().iter().map(|failure| failure.name.as_str()).collect();
    assert_eq!(failed, ["refreservation", "reservation"]);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the properties of '{a}': 'refreservation': it is more than is available, or than the quota allows (ENOSPC); \
             'reservation': it is more than is available, or than the quota allows (ENOSPC)"
        )
    );
    let found = world.zfs().properties(&a).expect("read");
    assert_eq!(found.text("compression"), Some("gzip-3"));
    assert_eq!(found.text("x:y"), Some("z"));
}

fn properties_of_a_missing_dataset_are_not_found(world: &World) {
    let missing = world.root().child("none").expect("a name");
    let error = world.zfs().properties(&missing).expect_err("no dataset");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for pairs in [&[("x:y", "z")][..], &[("atime", "off"), ("sync", "always"), ("quota", "1G")]] {
        let error = world.zfs().set_properties(&missing, &set(pairs)).expect_err("no dataset");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(error.target(), Some(missing.as_str()));
        assert!(error.failures().is_empty(), "{error}");
    }
    world.zfs().set_properties(&missing, &PropertySet::new()).expect("nothing to do");
}

/// The module does not survive it: the library must look first.
fn zstd_of_a_missing_dataset_is_not_found(world: &World) {
    let zstd = PropertySet::new().with("compression", "zstd-3").expect("a property");
    let error = world.zfs().set_properties(&world.dataset("none"), &zstd).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn properties_of_the_wrong_kind_are_refused(world: &World) {
    let a = file_system(world, "a");
    let v = zvol(world, "v", Bytes::from_mib(1), &[]);
    for (name, pair, kind, reason) in [
        (
            &a,
            ("volsize", "1M"),
            ErrorKind::WrongType,
            "'volsize' is a property of zvols and snapshots",
        ),
        (&v, ("atime", "off"), ErrorKind::WrongType, "'atime' is a property of file systems"),
        (
            &v,
            ("volblocksize", "8K"),
            ErrorKind::InvalidProperty,
            "'volblocksize' can only be set when it is created",
        ),
        (
            &a,
            ("utf8only", "on"),
            ErrorKind::InvalidProperty,
            "'utf8only' can only be set when it is created",
        ),
    ] {
        let error = world.zfs().set_properties(name, &set(&[pair])).expect_err(reason);
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string(), format!("cannot set the properties of '{name}': {reason}"));
    }
    let pool = PropertySet::for_pool().with("comment", "x").expect("a property");
    let error = world.zfs().set_properties(&a, &pool).expect_err("of a pool");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty);
}

fn a_quota_below_what_is_used_is_refused(world: &World) {
    let v = zvol(world, "v", Bytes::from_mib(8), &[("refreservation", "16M")]);
    let root = v.parent().expect("a parent");
    let error = world.zfs().set_properties(&root, &set(&[("quota", "4M")])).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the properties of '{root}': 'quota': it is less than is used or reserved already (ENOSPC)"
        )
    );
}

fn a_property_newer_than_the_module_names_both_versions(world: &World) {
    let newer = PropertyInfo::all(PropertyScope::Dataset)
        .iter()
        .find(|info| {
            info.since.is_some_and(|since| since > world.release()) && info.access.is_settable()
        })
        .expect("the table has properties that are newer");
    let a = file_system(world, "a");
    let value = match newer.kind {
        PropertyKind::Index(words) => PropertyValue::from(words.first().expect("a word").0),
        _ => PropertyValue::from(1_u64),
    };
    let properties = PropertySet::new().with(newer.name, value).expect("a property of the table");
    let error = world.zfs().set_properties(&a, &properties).expect_err("too new");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let (major, minor) = newer.since.expect("it is newer");
    let version = &world.zfs().module().version;
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the properties of '{a}': '{}': the loaded module is OpenZFS {version}, and the property came with {major}.{minor} (EINVAL)",
            newer.name
        )
    );
}

fn a_property_the_library_does_not_know_is_left_to_the_module(world: &World) {
    let a = file_system(world, "a");
    let mut properties = PropertySet::new();
    properties.set_unchecked("nonsense", 1_u64).expect("unchecked");
    let error = world.zfs().set_properties(&a, &properties).expect_err("nonsense");
    assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidProperty));
    assert_eq!(error.failures().len(), 1);
    // A number of a word that this module knows passes, whoever checked it.
    let mut properties = PropertySet::new();
    properties.set_unchecked("sync", 2_u64).expect("unchecked");
    world.zfs().set_properties(&a, &properties).expect("a known number");
    assert_eq!(world.zfs().properties(&a).expect("read").text("sync"), Some("disabled"));
    let mut properties = PropertySet::new();
    properties.set_unchecked("sync", 99_u64).expect("unchecked");
    let error = world.zfs().set_properties(&a, &properties).expect_err("an unknown number");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty, "{error}");
}

fn properties_inside_a_file_system_are_read(world: &World) {
    let a = world.root().child("a").expect("a name");
    let properties =
        set(&[("canmount", "off"), ("normalization", "formD"), ("casesensitivity", "mixed")]);
    world.zfs().create_filesystem(&a, &properties).expect("created");
    let s = snapshot(world, &a, "s");
    let found = world.zfs().properties(&a).expect("read");
    assert_eq!(found.text("normalization"), Some("formD"));
    assert_eq!(found.text("casesensitivity"), Some("mixed"));
    assert_eq!(found.text("utf8only"), Some("on"));
    assert_eq!(found.text("version"), Some("5"));
    let one = world.zfs().property(&s, "casesensitivity").expect("read").expect("there");
    assert_eq!(one.value.as_str(), Some("mixed"));
    let v = zvol(world, "v", Bytes::from_mib(1), &[]);
    assert_eq!(world.zfs().property(&v, "casesensitivity").expect("read"), None);
}

fn a_zvol_grows_with_its_reservation(world: &World) {
    let v = zvol(world, "v", Bytes::from_mib(8), &[("volblocksize", "16K")]);
    let reservation = |size| {
        let size = ZvolSize { volsize: size, ..ZvolSize::default() };
        world.zfs().zvol_reservation(&v.pool(), size).expect("a reservation")
    };
    let read = || {
        let found = world.zfs().properties(&v).expect("read");
        (found.bytes("volsize").expect("a size"), found.bytes("refreservation").expect("a number"))
    };
    // Sparse, it stays sparse.
    world.zfs().resize_zvol(&v, Bytes::from_mib(12)).expect("resized");
    assert_eq!(read(), (Bytes::from_mib(12), Bytes::ZERO));
    // Thick, it stays thick.
    let full = reservation(Bytes::from_mib(12));
    let thick = PropertySet::new().with("refreservation", full).expect("a property");
    world.zfs().set_properties(&v, &thick).expect("set");
    world.zfs().resize_zvol(&v, Bytes::from_mib(16)).expect("resized");
    assert_eq!(read(), (Bytes::from_mib(16), reservation(Bytes::from_mib(16))));
    // What cannot be reserved leaves it as it was.
    let error = world.zfs().resize_zvol(&v, Bytes::from_gib(1 << 20)).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert_eq!(read(), (Bytes::from_mib(16), reservation(Bytes::from_mib(16))));
    let error = world.zfs().resize_zvol(&world.root(), Bytes::from_mib(1)).expect_err("no zvol");
    assert_eq!(error.kind(), ErrorKind::WrongType);
}

fn a_zvol_size_must_be_a_multiple_of_its_blocks(world: &World) {
    let v = zvol(world, "v", Bytes::from_mib(1), &[("volblocksize", "16K")]);
    let size = PropertySet::new().with("volsize", Bytes::from_kib(24)).expect("a property");
    let error = world.zfs().set_properties(&v, &size).expect_err("not a multiple");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the properties of '{v}': 'volsize': it must be a multiple of volblocksize, and not zero (EINVAL)"
        )
    );
}

fn the_table_is_that_of_the_loaded_module(_: &World) {
    PropertyFacts::of_loaded_module().expect("sysfs").check_table();
}

fn zfs_get_all_says_the_same(world: &World) {
    let a = file_system(world, "a");
    world
        .zfs()
        .set_properties(&a, &set(&[("compression", "gzip"), ("quota", "64M"), ("x:y", "z")]))
        .expect("set");
    let b = a.child("b").expect("a name");
    world.zfs().create_filesystem(&b, &set(&[("mountpoint", "/srv/b")])).expect("created");
    let c = b.child("c").expect("a name");
    world.zfs().create_filesystem(&c, &PropertySet::new()).expect("created");
    let v = zvol(world, "v", Bytes::from_mib(1), &[("refreservation", "2M")]);
    let s = snapshot(world, &v, "s");
    let d = world.root().child("d").expect("a name");
    world.zfs().create_clone(&d, &s, &PropertySet::new()).expect("cloned");
    for name in [world.root().to_string(), a.into(), b.into(), c.into(), v.into(), d.into()] {
        same_as_the_command(world, &name);
    }
    same_as_the_command(world, s.as_str());
}

fn same_as_the_command(world: &World, name: &str) {
    let entity: zfsvol_core::EntityName = name.parse().expect("a name");
    let found = world.zfs().properties(&entity).expect("read");
    let shown = command::zfs(&["get", "-Hp", "-o", "property,value,source", "all", name]);
    let mut differences = Vec::new();
    for line in shown.lines() {
        let field: Vec<&str> = line.split('\t').collect();
        let [property, value, source] = field.try_into().expect("three fields");
        let ours = found.get(property).map_or(("-".into(), "-".into()), |found| {
            (found.value.to_string(), found.source.to_string())
        });
        // Changed by the looking; said by other words; said by names where the kernel has GUIDs.
        if matches!(property, "available" | "used" | "referenced" | "written" | "redact_snaps") {
            continue;
        }
        // The commands of 2.3 call `sa` `on`; those of every release call a count that is not kept
        // `none`, and one that is `local`, though nobody sets it.
        let same_word = match property {
            "xattr" => {
                matches!((ours.0.as_str(), value), ("sa", "on" | "sa") | ("dir", "on" | "dir"))
            }
            "filesystem_count" | "snapshot_count" => {
                ours.0 == value || (ours.0 == "-" && value == "none")
            }
            // The commands of 2.3 tell their own defaults, which 2.2 changed.
            "compression" | "relatime" => source == "default" && world.release() < (2, 2),
            _ => false,
        };
        // A property newer than the module has its default for the command, which is of 2.3 and takes its own defaults for those of any module.
        let unknown =
            !world.zfs().module().dataset_properties.contains(property) && !property.contains(':');
        let default = source == "default" && ours.1 == source && world.release() != (2, 3);
        if !(unknown || default || same_word || ours == (value.to_owned(), source.to_owned())) {
            differences.push(format!("{property}: {ours:?}, not {value} {source}"));
        }
    }
    assert!(differences.is_empty(), "{name}: {differences:#?}");
    let shown: Vec<&str> = shown.lines().filter_map(|line| line.split('\t').next()).collect();
    for (name, _) in found.user() {
        assert!(shown.contains(&name), "{name}");
    }
}

fn every_word_has_the_number_the_command_knows_it_by(world: &World) {
    let a = file_system(world, "a");
    let mut asked = 0;
    for info in PropertyInfo::all(PropertyScope::Dataset) {
        let PropertyKind::Index(words) = info.kind else { continue };
        let known = world.zfs().module().dataset_properties.contains(info.name);
        if !info.access.is_settable() || !known || matches!(info.name, "version" | "volthreading") {
            continue;
        }
        for (word, _) in words {
            let properties = set(&[(info.name, word)]);
            // A word that is newer than the module, or whose feature the pool lacks.
            if world.zfs().set_properties(&a, &properties).is_err() {
                continue;
            }
            let shown = command::zfs(&["get", "-H", "-o", "value", info.name, a.as_str()]);
            let ours = properties.get(info.name).and_then(PropertyValue::as_str).expect("a word");
            let same = shown == ours || (info.name == "xattr" && shown == "on" && ours != "off");
            assert!(same, "{}={word} is {shown}", info.name);
            asked += 1;
        }
        world
            .zfs()
            .inherit_property(&a, info.name)
            .or_else(|_| world.zfs().revert_property(&a, info.name))
            .expect("back to the default");
    }
    assert!(asked > 100, "only {asked} words");
}

fn a_reservation_is_what_the_command_would_set(world: &World) {
    let disks: Vec<String> = (0..5)
        .map(|disk| {
            let file = world.new_file(&format!("disk{disk}"), Bytes::from_mib(256));
            file.to_str().expect("text").to_owned()
        })
        .collect();
    for (index, layout) in
        ["", "mirror", "raidz1", "raidz2", "draid1:2d:5c"].into_iter().enumerate()
    {
        let pool: zfsvol_core::PoolName =
            format!("{}-resv{index}", world.pool()).parse().expect("a pool name");
        let mut arguments =
            vec!["create", "-f", "-O", "mountpoint=none", "-o", "cachefile=none", pool.as_str()];
        arguments.extend(Some(layout).filter(|layout| !layout.is_empty()));
        arguments.extend(disks.iter().map(String::as_str));
        command::zpool(&arguments);
        world.adopt_pool(&pool);
        for (number, (volsize, block)) in
            [("8M", "8K"), ("32M", "16K"), ("24M", "64K")].into_iter().enumerate()
        {
            let v = pool.root().child(&format!("v{number}")).expect("a name");
            let option = format!("volblocksize={block}");
            command::zfs(&["create", "-V", volsize, "-o", &option, v.as_str()]);
            let found = world.zfs().properties(&v).expect("read");
            let size = ZvolSize {
                volsize: found.bytes("volsize").expect("a size"),
                volblocksize: found.bytes("volblocksize").expect("a size"),
                copies: 1,
            };
            assert_eq!(
                Some(world.zfs().zvol_reservation(&pool, size).expect("a reservation")),
                found.bytes("refreservation"),
                "{layout} {volsize} {block}"
            );
        }
        command::zpool(&["destroy", "-f", pool.as_str()]);
    }
}

fn a_mounted_file_system_follows_its_readonly(world: &World) {
    let a = world.root().child("a").expect("a name");
    let path = world.scratch().join("mounted");
    let mountpoint = path.to_str().expect("text");
    world.zfs().create_filesystem(&a, &set(&[("mountpoint", mountpoint)])).expect("created");
    command::zfs(&["mount", a.as_str()]);
    std::fs::write(path.join("file"), "data").expect("written");
    let readonly = set(&[("readonly", "on")]);
    assert_eq!(readonly.mount_effect(), MountEffect::Remount);
    world.zfs().set_properties(&a, &readonly).expect("set");
    std::fs::write(path.join("file"), "more").expect_err("it is read-only at once");
    let found = world.zfs().properties(&a).expect("read");
    assert_eq!(found.text("mounted"), Some("yes"));
    assert_eq!(found.text("readonly"), Some("on"));
    command::zfs(&["unmount", a.as_str()]);
    assert_eq!(world.zfs().properties(&a).expect("read").text("mounted"), Some("no"));
}
