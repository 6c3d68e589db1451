//! Cycles among modules.

use crate::product;
use xtask::tidy::modules::cycles;
use xtask::tidy::source::Source;

fn package(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| product("tlog", path, text)).collect()
}

fn refused(files: &[(&str, &str)]) -> Vec<String> {
    cycles(&package(files)).into_iter().map(|violation| violation.found).collect()
}

#[test]
fn two_modules_that_need_one_another_are_refused() {
    let found = refused(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f(a: crate::a::A) {}"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a → b (crates/tlog/src/a.rs:1)"), "{found:?}");
    assert!(found[0].contains("b → a (crates/tlog/src/b.rs:2)"), "{found:?}");
}

#[test]
fn a_long_way_round_is_refused_once() {
    let found = refused(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use super::b::x;"),
        ("b.rs", "fn x() { super::c::y() }"),
        ("c.rs", "fn y() { macro_of_ours!(crate::a::z()) }"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_way_through_a_re_export_is_followed() {
    let found = refused(&[
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::B;\npub struct A(B);"),
        ("b.rs", "use crate::A;\npub struct B(A);"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_module_and_its_parts_are_one_thought_but_the_parts_are_siblings() {
    let found = refused(&[
        ("lib.rs", "mod a;\nfn f() { a::f() }"),
        ("a.rs", "mod part;\npub struct A;\npub fn f() { part::go(); crate::f() }"),
        ("a/part.rs", "use super::A;\npub fn go() {}"),
    ]);
    assert!(found.is_empty(), "{found:?}");
    let found = refused(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod left;\nmod right;"),
        ("a/left.rs", "use super::right::R;"),
        ("a/right.rs", "use crate::a::left::L;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_part_needs_on_behalf_of_the_whole() {
    let found = refused(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod x;\nmod y;"),
        ("a/x.rs", "use crate::b::B;"),
        ("a/y.rs", "pub struct Y;"),
        ("b.rs", "use crate::a::y::Y;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a → b (crates/tlog/src/a/x.rs:1)"), "{found:?}");
}

#[test]
fn modules_inside_a_file_count() {
    let found = refused(&[(
        "lib.rs",
        "mod a { pub fn f() { super::b::g() } }\nmod b { pub fn g() { crate::a::f() } }",
    )]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn doors_tests_and_words_of_the_same_name_are_no_needs() {
    let found = refused(&[
        ("lib.rs", "//! X.\nmod a; mod b; pub use a::A; pub use b::B;\npub enum Error {}"),
        ("a.rs", "use crate::Error;\npub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }"),
        ("b.rs", "use crate::a::A;\npub struct B(A);\nfn f(b: u8, a: u8) -> u8 { b + a }"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
