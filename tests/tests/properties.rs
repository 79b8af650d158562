//! The library's table of properties against what each release of OpenZFS says of its own (`fixtures/properties`, written by `dump` there).

use zfsvol_tests::PropertyFacts;

#[test]
fn the_table_agrees_with_openzfs_2_1() {
    PropertyFacts::parse(include_str!("../fixtures/properties/2.1.txt")).check_table();
}

#[test]
fn the_table_agrees_with_openzfs_2_3() {
    PropertyFacts::parse(include_str!("../fixtures/properties/2.3.txt")).check_table();
}

#[test]
fn the_table_agrees_with_openzfs_2_4() {
    PropertyFacts::parse(include_str!("../fixtures/properties/2.4.txt")).check_table();
}
