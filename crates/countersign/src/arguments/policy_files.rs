//! Policy files: read, and the files that they name beside them.

use std::path::Path;
use std::sync::Arc;

use policy::language::PROGRAM_SIZE_MAX;
use policy::policy_file;
use verify::{Policy, TrustRoot};

use crate::exit::Failure;
use crate::machine;

/// Reads a policy file. The files that it names are relative to the folder that it is in.
pub(crate) fn read(path: &Path, roots: TrustRoot) -> Result<Policy, Failure> {
    let unusable = || Failure::usage(format!("cannot use the policy file {}", path.display()));
    let bytes = machine::read(path, "policy file", policy::TEXT_SIZE_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| unusable().caused_by("it is not text"))?;
    let directory = machine::directory_of(path).to_owned();
    let read_file = move |name: &str| {
        machine::read(&directory.join(name), "file", PROGRAM_SIZE_MAX)
            .map_err(|failure| failure.full_message())
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    policy_file::parse(&text, &name, &Arc::new(roots), &read_file)
        .map_err(|problems| unusable().caused_by(problems))
}
