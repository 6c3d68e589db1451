//! The house's invariants, kept by a test: which crate may know which, what each may reach, and
//! how a file looks. The drawing itself is [`house`]; the rules read it and judge the tree.
//!
//! Every rule is a function over text or plain data, so that its test can hand it a violation.

pub mod form;
pub mod graph;
pub mod house;
pub mod modules;
pub mod reach;
pub mod source;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::{Place, Source};

/// Files longer than this are listed, not refused: a reason to ask oneself whether a file is still
/// one thought.
pub const LINES_BEFORE_ASKING: usize = 600;

/// One broken rule, at one place, with the way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the workspace, with `/` between its parts.
    pub file: String,
    /// The line, counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What was found, and what was wanted.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, found, remedy } = self;
        match line {
            0 => write!(f, "{file}: [{rule}] {found}; {remedy}"),
            line => write!(f, "{file}:{line}: [{rule}] {found}; {remedy}"),
        }
    }
}

/// What [`check`] saw.
#[derive(Debug)]
pub struct Report {
    /// Every broken rule, ordered by file and line.
    pub violations: Vec<Violation>,
    /// Files past [`LINES_BEFORE_ASKING`], longest first.
    pub long_files: Vec<(String, usize)>,
    /// How many Rust files were read.
    pub files: usize,
    /// How many workspace members there are.
    pub crates: usize,
}

/// Why the tree could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A Rust file is not Rust.
    #[error("{file} does not parse: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// What the lexer said.
        reason: String,
    },
    /// `cargo` could not be started, or refused.
    #[error("`cargo {command}` failed: {reason}")]
    Cargo {
        /// The arguments.
        command: String,
        /// What it said.
        reason: String,
    },
    /// `cargo metadata` answered something else than was expected.
    #[error("`cargo metadata` answered something else than was expected: {0}")]
    Metadata(#[from] serde_json::Error),
}

/// Judges the workspace at `root` by every rule.
///
/// # Errors
/// When something could not be read, or `cargo` could not describe the workspace.
pub fn check(root: &Path) -> Result<Report, TidyError> {
    let metadata = graph::Metadata::parse(&cargo(
        root,
        &["metadata", "--format-version", "1", "--locked", "--no-deps"],
    )?)?;
    let mut violations = graph::arrows(&metadata, &house::HOUSE);
    for member in house::PURE_OF_NETWORK {
        if metadata.has_member(member) {
            let tree = cargo(
                root,
                &["tree", "-p", member, "-e", "no-dev", "--prefix", "depth", "--locked"],
            )?;
            violations.extend(graph::forbidden_descendants(member, &tree));
        }
    }

    let root_manifest = read(&root.join("Cargo.toml"))?;
    violations.extend(form::workspace_lints("Cargo.toml", &root_manifest));
    let mut long_files = Vec::new();
    let mut files = 0;
    for member in metadata.members() {
        let manifest = format!("{}/Cargo.toml", member.folder(root));
        violations.extend(form::member_lints(&manifest, &read(&root.join(&manifest))?));
        let sources = sources_of(root, member)?;
        files += sources.len();
        for source in &sources {
            violations.extend(reach::check(source));
            violations.extend(form::check(source));
            if source.lines() > LINES_BEFORE_ASKING {
                long_files.push((source.path.clone(), source.lines()));
            }
        }
        violations.extend(modules::cycles(&sources));
    }
    // Data of others stays as they signed it.
    for path in files_below(root, root)?.into_iter().filter(|path| !path.contains("/data/")) {
        let bytes = fs::read(root.join(&path)).map_err(|source| io_error(&path, source))?;
        if let Ok(text) = String::from_utf8(bytes) {
            violations.extend(form::outside_names(&path, &text));
        }
    }
    violations.sort();
    violations.dedup();
    long_files.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    Ok(Report { violations, long_files, files, crates: metadata.members().count() })
}

/// The Rust files of one member, parsed.
fn sources_of(root: &Path, member: &graph::Package) -> Result<Vec<Source>, TidyError> {
    let folder = member.folder(root);
    let mut sources = Vec::new();
    for path in files_below(root, &root.join(&folder))? {
        let inside = path.strip_prefix(&format!("{folder}/")).unwrap_or(&path);
        if let Some(place) = Place::of(inside) {
            let text = read(&root.join(&path))?;
            sources.push(Source::parse(&member.name, &path, place, text)?);
        }
    }
    Ok(sources)
}

/// Every file below a folder, as paths relative to `root`, sorted; build output, version control
/// and installed packages are no part of the project.
fn files_below(root: &Path, folder: &Path) -> Result<Vec<String>, TidyError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|source| io_error(&folder, source))?;
        for entry in entries {
            let path = entry.map_err(|source| io_error(&folder, source))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_symlink() || ["target", ".git", "node_modules"].contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(root) {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, TidyError> {
    fs::read_to_string(path).map_err(|source| io_error(path, source))
}

fn io_error(path: impl AsRef<Path>, source: io::Error) -> TidyError {
    TidyError::Io { path: path.as_ref().to_path_buf(), source }
}

/// What `cargo` prints for these arguments, run in the workspace.
fn cargo(root: &Path, arguments: &[&str]) -> Result<String, TidyError> {
    let failed = |reason: String| TidyError::Cargo { command: arguments.join(" "), reason };
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .current_dir(root)
        .args(arguments)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}
