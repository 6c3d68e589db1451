//! How a file looks: its first line, its name, the markers of unfinished work, the lints every
//! member obeys, and the names that have no place in the repository.

use super::Violation;
use super::source::{Kind, Place, Source};

/// Names that say nothing: what is in such a file belongs somewhere.
const EMPTY_NAMES: &[&str] =
    &["common", "helper", "helpers", "misc", "type", "types", "util", "utils"];

/// Macros that stand for work not done.
const UNFINISHED: &[&str] = &["todo", "unimplemented"];

/// Names of one machine or of a registry's host: the repository is the same everywhere, and says
/// where a package comes from only through the package manager's own configuration. In pieces, so
/// that this file does not hold them.
const OUTSIDE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("/opt/", "sig"),
    concat!("shared/", "reference"),
    concat!("regis", "try.npmjs"),
    concat!("regis", "try.yarnpkg"),
    concat!("py", "pi.org"),
    concat!("pythonhos", "ted.org"),
    concat!("index.crat", "es.io"),
    concat!("static.crat", "es.io"),
    concat!("proxy.gol", "ang.org"),
    concat!("deb.deb", "ian.org"),
    concat!("repo.ma", "ven"),
];

/// Judges one file's looks.
#[must_use]
pub fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |line: usize, rule: &'static str, found: String, remedy: &str| {
        violations.push(Violation {
            file: source.path.clone(),
            line,
            rule,
            found,
            remedy: remedy.to_owned(),
        });
    };
    if source.place == Place::Product && !source.text.starts_with("//!") {
        refuse(
            1,
            "head",
            "the file does not open with `//!`".to_owned(),
            "say in one sentence what it is, and what it never does",
        );
    }
    let stem = source.path.rsplit('/').next().unwrap_or("").trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) {
        refuse(0, "names", format!("a file called `{stem}`"), "name it after what is in it");
    }
    for module in &source.modules {
        for (name, line) in &module.children {
            if EMPTY_NAMES.contains(&name.as_str()) {
                let found = format!("a module called `{name}`");
                refuse(*line, "names", found, "name it after what is in it");
            }
        }
        for mention in &module.mentions {
            let name = mention.path.last().map_or("", String::as_str);
            if mention.kind == Kind::Macro && UNFINISHED.contains(&name) {
                let found = format!("`{name}!` stands for work not done");
                refuse(mention.line, "unfinished", found, "do it, or return an error that says so");
            }
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        if is_ignored_test(line) {
            refuse(
                index + 1,
                "unfinished",
                "an ignored test".to_owned(),
                "make it pass, or remove it and what it was for",
            );
        }
    }
    violations
}

/// `#[ignore]`, `#[ignore = "…"]`, also inside `cfg_attr`, outside of comments and strings.
fn is_ignored_test(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[ignore") || (line.starts_with("#[cfg_attr") && line.contains(" ignore"))
}

/// The root manifest forbids `unsafe` for all who inherit its lints.
#[must_use]
pub fn workspace_lints(file: &str, manifest: &str) -> Vec<Violation> {
    let forbids = section(manifest, "[workspace.lints.rust]")
        .any(|line| line.replace(' ', "") == "unsafe_code=\"forbid\"");
    if forbids {
        return Vec::new();
    }
    vec![Violation {
        file: file.to_owned(),
        line: 0,
        rule: "lints",
        found: "`[workspace.lints.rust]` does not say `unsafe_code = \"forbid\"`".to_owned(),
        remedy: "put it back: no code of ours is unsafe".to_owned(),
    }]
}

/// A member inherits the workspace's lints.
#[must_use]
pub fn member_lints(file: &str, manifest: &str) -> Vec<Violation> {
    let inherits =
        section(manifest, "[lints]").any(|line| line.replace(' ', "") == "workspace=true");
    if inherits {
        return Vec::new();
    }
    vec![Violation {
        file: file.to_owned(),
        line: 0,
        rule: "lints",
        found: "the member does not inherit the workspace's lints".to_owned(),
        remedy: "add `[lints]` with `workspace = true`".to_owned(),
    }]
}

/// The lines of one section of a manifest.
fn section<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

/// Names of one machine or of a registry's host in any text file of the repository.
#[must_use]
pub fn outside_names(file: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for name in OUTSIDE.iter().filter(|name| line.contains(**name)) {
            violations.push(Violation {
                file: file.to_owned(),
                line: index + 1,
                rule: "outside",
                found: format!("`{name}` names one machine, or a registry's host"),
                remedy: "the repository is the same everywhere: say it without".to_owned(),
            });
        }
    }
    violations
}
