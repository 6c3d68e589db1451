//! The workspace as it stands keeps every invariant.

use std::path::Path;

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let report = xtask::tidy::check(&root).unwrap();
    assert!(report.crates > 1 && report.files > 10, "looked at the wrong place: {report:?}");
    let told: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "\n{}\n", told.join("\n"));
}
