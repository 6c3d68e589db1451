//! Wrong usage of each command: what was found, what was wanted, and what to do.

/// Beside these cases, which name no file and reach no network, stand those of the other modules.
#[test]
fn wrong_usage_is_explained() {
    trycmd::TestCases::new()
        .register_bin("countersign", std::path::Path::new(env!("CARGO_BIN_EXE_countersign")))
        .case("tests/cmd/*.trycmd");
}
