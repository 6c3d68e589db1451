//! Other programs that tests run where they find them.
//!
//! Who tries the project on a machine without them loses some tests, and is told which. Where they
//! were promised to be (`.ci/run` installs them and sets [`CI`]), their absence is a failure: a test
//! that quietly ran nothing would pass for ever.

/// The variable that says that every program is here; `1` in `.ci/run`.
pub const CI: &str = "COUNTERSIGN_CI";

/// Says that a test is skipped for want of a program.
///
/// # Panics
/// Where every program was promised to be here.
pub fn skip_without(program: &str) {
    let promised = std::env::var_os(CI).is_some_and(|value| value == "1");
    assert!(!promised, "{program} cannot be used here, and {CI} says that it can");
    println!("skipped: {program} cannot be used here");
}
