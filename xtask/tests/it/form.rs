//! How a file looks, rule by rule.

use crate::{caught, product};
use xtask::tidy::form::{check, member_lints, outside_names, workspace_lints};

#[test]
fn a_file_opens_by_saying_what_it_is() {
    assert_eq!(caught(&check(&product("tlog", "x.rs", "fn f() {}"))), ["1 head"]);
    assert_eq!(caught(&check(&product("tlog", "x.rs", "// X.\n//! Y."))), ["1 head"]);
    assert!(check(&product("tlog", "x.rs", "//! X.\nfn f() {}")).is_empty());
}

#[test]
fn names_that_say_nothing_are_refused() {
    let found = check(&product("tlog", "utils.rs", "//! X.\nmod helpers {\n}\nmod tile;"));
    assert_eq!(caught(&found), ["0 names", "2 names"]);
}

#[test]
fn unfinished_work_is_refused() {
    let text = "//! X.\nfn f() {\n    todo!()\n}\nfn g() { unimplemented!(\"later\") }";
    assert_eq!(caught(&check(&product("tlog", "x.rs", text))), ["3 unfinished", "5 unfinished"]);
    let text = "//! X: no `todo!()` here.\nfn todo() { todo(); \"todo!()\"; }";
    assert!(check(&product("tlog", "x.rs", text)).is_empty());
}

#[test]
fn ignored_tests_are_refused() {
    let attribute = concat!("#[ign", "ore = \"slow\"]");
    let text = format!("//! X.\n#[test]\n    {attribute}\nfn f() {{}}");
    assert_eq!(caught(&check(&product("tlog", "x.rs", &text))), ["3 unfinished"]);
}

#[test]
fn every_member_forbids_unsafe_code() {
    let good = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
    assert!(workspace_lints("Cargo.toml", good).is_empty());
    let weaker = "[workspace.lints.rust]\nunsafe_code = \"deny\"\n";
    assert_eq!(caught(&workspace_lints("Cargo.toml", weaker)), ["0 lints"]);
    let elsewhere = "[workspace.lints.rust]\n[other]\nunsafe_code = \"forbid\"\n";
    assert_eq!(caught(&workspace_lints("Cargo.toml", elsewhere)), ["0 lints"]);

    assert!(member_lints("x", "[package]\n\n[lints]\nworkspace = true\n").is_empty());
    assert_eq!(caught(&member_lints("x", "[package]\nversion.workspace = true\n")), ["0 lints"]);
    assert_eq!(caught(&member_lints("x", "[lints.rust]\nworkspace = true\n")), ["0 lints"]);
}

#[test]
fn the_repository_names_no_machine() {
    let path = concat!("/ho", "me/someone/countersign");
    assert_eq!(caught(&outside_names("README.md", &format!("a\ncd {path}"))), ["2 outside"]);
    let host = concat!("https://regis", "try.npmjs", ".org/x");
    assert_eq!(caught(&outside_names("package-lock.json", host)), ["1 outside"]);
    assert!(outside_names("README.md", "see docs/verify.md").is_empty());
}
