//! What is attested, as arguments: a predicate of some type, or a whole statement.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::predicate::{self, PredicateType, reference, size};
use evidence::statement::{NewStatement, NewSubject, StatementVersion};
use evidence::{Digest, Statement};

use super::blob::hash_file;
use crate::exit::Failure;
use crate::machine;

/// Longest predicate or statement read, in bytes: what a bundle of 128 MiB holds in base64.
const PREDICATE_SIZE_MAX: usize = 96 * 1024 * 1024;

/// What is said about the artifact.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attestation")]
pub(crate) struct PredicateArguments {
    /// File with the predicate (`-` for standard input).
    #[arg(long, value_name = "FILE", required_unless_present = "statement")]
    predicate: Option<PathBuf>,

    /// File with a whole in-toto statement, signed as it is.
    #[arg(long, value_name = "FILE", conflicts_with = "predicate")]
    statement: Option<PathBuf>,

    /// Type of the predicate: one of Cosign's names, or a URI.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom", value_parser = PredicateType::parse)]
    predicate_type: PredicateType,

    /// Sign a small statement that names the file by its digest, instead of all of it; for very
    /// large bills of materials.
    #[arg(long, value_name = "LOCATION", requires = "predicate", env = "COUNTERSIGN_BY_DIGEST")]
    by_digest: Option<String>,
}

impl PredicateArguments {
    /// The statement about the artifact of this name, as JSON, and the type of its predicate.
    pub(crate) fn statement(
        &self,
        name: &str,
        about: &Digest,
    ) -> Result<(Vec<u8>, String), Failure> {
        let now = machine::now();
        let json = if let Some(path) = &self.statement {
            let json = machine::read(path, "statement", PREDICATE_SIZE_MAX)?;
            predicate::check_given(&json, about, None).map_err(|error| {
                Failure::usage(format!("cannot use the statement {}", path.display()))
                    .caused_by(error)
            })?;
            json
        } else {
            let path = self.predicate.as_deref().unwrap_or(Path::new("-"));
            match &self.by_digest {
                Some(location) => self.reference(path, location, name, about)?,
                None => {
                    let content = machine::read(path, "predicate", PREDICATE_SIZE_MAX)?;
                    let made = self.predicate_type.statement(
                        // Python's client reads no older one; Cosign, which writes v0.1, reads both.
                        StatementVersion::V1,
                        name,
                        about,
                        &content,
                        now,
                    );
                    made.map_err(|error| {
                        let hint = error.hint();
                        let failure =
                            Failure::usage(format!("cannot use the predicate {}", path.display()))
                                .caused_by(error);
                        match hint {
                            Some(hint) => failure.hint(hint),
                            None => failure,
                        }
                    })?
                }
            }
        };
        let length = u64::try_from(json.len()).unwrap_or(u64::MAX);
        size::check(length, &[size::COSIGN]).map_err(|error| {
            let hint = error.hint();
            Failure::usage("the attestation is too large").caused_by(error).hint(hint)
        })?;
        let statement = Statement::parse(&json)
            .map_err(|error| Failure::usage("this makes no statement").caused_by(error))?;
        Ok((json, statement.predicate_type))
    }

    /// A statement that refers to a file elsewhere.
    fn reference(
        &self,
        path: &Path,
        location: &str,
        name: &str,
        about: &Digest,
    ) -> Result<Vec<u8>, Failure> {
        let size = std::fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| {
            Failure::usage(format!("cannot read the predicate {}", path.display())).caused_by(error)
        })?;
        let document = reference::Document {
            digest: *hash_file(path, &[])?.first(),
            size,
            media_type: "application/octet-stream".to_owned(),
            predicate_type: self.predicate_type.uri().to_owned(),
            location: location.to_owned(),
        };
        let predicate = document.predicate("https://countersign.dev/attester");
        let statement = NewStatement {
            version: StatementVersion::V1,
            subjects: &[NewSubject { name, digest: about }],
            predicate_type: reference::REFERENCE,
            predicate: &predicate,
        };
        Ok(statement.to_json())
    }
}
