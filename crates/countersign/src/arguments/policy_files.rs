//! Policy files: read and checked before anybody is asked for a trust root, and the files that they
//! name with them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use policy::language::PROGRAM_SIZE_MAX;
use policy::policy_file;
use verify::{Policy, TrustRoot};

use crate::exit::Failure;
use crate::machine;

/// Most bytes of files that one policy names, over all of them.
const FILES_SIZE_MAX: usize = 16 * PROGRAM_SIZE_MAX;

/// A policy file that can be used, once there is a trust root.
pub(crate) struct PolicyFile {
    path: String,
    name: String,
    text: String,
    /// The files that it names, as they were when it was checked.
    files: BTreeMap<String, Vec<u8>>,
}

impl PolicyFile {
    /// Reads a policy file. The files that it names are relative to the folder that it is in.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = machine::read(path, "policy file", policy::TEXT_SIZE_MAX)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let path_text = path.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| unusable(&path_text).caused_by("it is not text"))?;
        let directory = machine::directory_of(path);
        let files = RefCell::new(BTreeMap::new());
        let read_file = |name: &str| {
            let read = machine::read(&directory.join(name), "file", PROGRAM_SIZE_MAX);
            let bytes = read.map_err(|failure| failure.full_message())?;
            let mut files = files.borrow_mut();
            files.insert(name.to_owned(), bytes.clone());
            if files.values().map(Vec::len).sum::<usize>() > FILES_SIZE_MAX {
                return Err(format!("the files named are longer than {FILES_SIZE_MAX} bytes"));
            }
            Ok(bytes)
        };
        // Nothing in a policy file depends on which trust root it is under.
        let some_root = Arc::new(TrustRoot::public_good());
        policy_file::parse(&text, &name, &some_root, &read_file)
            .map_err(|problems| unusable(&path_text).caused_by(problems))?;
        Ok(Self { path: path_text, name, text, files: files.into_inner() })
    }

    /// The policy under a trust root.
    pub(crate) fn under(&self, roots: TrustRoot) -> Result<Policy, Failure> {
        let read_file = |name: &str| {
            self.files.get(name).cloned().ok_or_else(|| "it was not named before".to_owned())
        };
        policy_file::parse(&self.text, &self.name, &Arc::new(roots), &read_file)
            .map_err(|problems| unusable(&self.path).caused_by(problems))
    }
}

fn unusable(path: &str) -> Failure {
    Failure::usage(format!("cannot use the policy file {path}"))
}
