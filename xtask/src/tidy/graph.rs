//! The arrows: which member depends on which, and on which libraries of others, held against the
//! drawing; and what must not be reachable at all, however indirectly.

use std::path::Path;

use serde::Deserialize;

use super::Violation;
use super::house::{HOUSE, NETWORK, Room, TEST_TOOLS};

/// What `cargo metadata --no-deps` says.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
}

/// A workspace member.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null` for a normal one, else `dev` or `build`.
    kind: Option<String>,
}

impl Metadata {
    /// Reads the answer of `cargo metadata`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The workspace members.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter()
    }

    /// Whether there is a member of this name.
    #[must_use]
    pub fn has_member(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}

impl Package {
    /// The folder of its manifest, relative to the workspace.
    #[must_use]
    pub fn folder(&self, root: &Path) -> String {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        let manifest = Path::new(&self.manifest_path);
        let folder = manifest.parent().unwrap_or(manifest);
        folder.strip_prefix(&root).unwrap_or(folder).to_string_lossy().replace('\\', "/")
    }
}

/// Holds every direct dependency against the drawing.
#[must_use]
pub fn arrows(metadata: &Metadata, house: &[Room]) -> Vec<Violation> {
    let mut violations = drawing(house);
    for package in metadata.members() {
        match house.iter().find(|room| room.name == package.name) {
            Some(room) => violations.extend(arrows_of(package, room, metadata)),
            None => violations.push(Violation {
                file: format!("{}/Cargo.toml", package.name),
                line: 0,
                rule: "house",
                found: format!("`{}` stands nowhere in the drawing", package.name),
                remedy: "give it a floor and its arrows in xtask/src/tidy/house.rs".to_owned(),
            }),
        }
    }
    violations
}

/// The drawing itself: arrows point down, and crates on one floor do not know each other. What
/// stands beside the house is known by whom it names.
fn drawing(house: &[Room]) -> Vec<Violation> {
    let floor = |name: &str| house.iter().find(|room| room.name == name).map(|room| room.floor);
    let mut violations = Vec::new();
    for room in house.iter().filter(|room| room.floor > 0) {
        for member in room.members {
            if floor(member).is_none_or(|below| below >= room.floor) {
                violations.push(Violation {
                    file: "xtask/src/tidy/house.rs".to_owned(),
                    line: 0,
                    rule: "floors",
                    found: format!("`{}` may know `{member}`, which is not below it", room.name),
                    remedy: "arrows point down: find the other way".to_owned(),
                });
            }
        }
    }
    violations
}

fn arrows_of(package: &Package, room: &Room, metadata: &Metadata) -> Vec<Violation> {
    let violation = |rule: &'static str, found: String, remedy: &str| Violation {
        file: format!("{} (Cargo.toml)", package.name),
        line: 0,
        rule,
        found,
        remedy: remedy.to_owned(),
    };
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let for_tests = dependency.kind.as_deref() == Some("dev");
        if metadata.has_member(name) {
            let beside = HOUSE.iter().any(|room| room.name == name && room.floor == 0);
            let drawn = room.members.contains(&name) || for_tests && beside;
            if !drawn {
                violations.push(violation(
                    "arrows",
                    format!("`{}` knows `{name}`, an arrow that is not drawn", package.name),
                    "find the other way, or draw it in house.rs and ARCHITECTURE.md",
                ));
            }
            continue;
        }
        let listed = room.libraries.contains(&name) || for_tests && TEST_TOOLS.contains(&name);
        if !listed {
            violations.push(violation(
                "dependencies",
                format!("`{}` depends on `{name}`, which its room does not list", package.name),
                "do without it, or add it to its room in xtask/src/tidy/house.rs",
            ));
        }
    }
    for library in room.libraries.iter().chain(room.members) {
        if !package.dependencies.iter().any(|dependency| dependency.name == *library) {
            violations.push(violation(
                "dependencies",
                format!("`{}` lists `{library}` and does not use it", package.name),
                "remove it from its room in xtask/src/tidy/house.rs",
            ));
        }
    }
    violations
}

/// What `cargo tree --prefix depth` shows below a member that must not be there, with the path.
#[must_use]
pub fn forbidden_descendants(member: &str, tree: &str) -> Vec<Violation> {
    let mut path: Vec<&str> = Vec::new();
    let mut violations = Vec::new();
    for line in tree.lines() {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let (Ok(depth), Some(name)) =
            (line[..digits].parse::<usize>(), line[digits..].split_whitespace().next())
        else {
            continue;
        };
        path.truncate(depth);
        path.push(name);
        if NETWORK.contains(&name) {
            violations.push(Violation {
                file: format!("{member} (Cargo.toml)"),
                line: 0,
                rule: "pure-graph",
                found: format!("`{member}` pulls `{name}` in: {}", path.join(" → ")),
                remedy: "this crate decides and never waits: cut the dependency or its feature"
                    .to_owned(),
            });
        }
    }
    violations
}
