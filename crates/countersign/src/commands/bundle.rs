//! `bundle`: bundles looked into, made of detached files, and brought up to date.

mod create;
mod inspect;
mod upgrade;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use client::log::ProveError;
use client::{BadUrl, FetchErrorKind, Log, LogVersion};
use evidence::Evidence;

use super::write_document;
use crate::arguments::attaching::bundle;
use crate::arguments::network::http_client;
use crate::exit::{Exit, Failure};
use crate::global::Global;

/// The log of the public instance.
const PUBLIC_LOG: &str = "https://rekor.sigstore.dev";

/// Look into bundles, make them, and bring them up to date.
#[derive(Debug, Args)]
pub(crate) struct Bundle {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Create),
    Inspect(inspect::Inspect),
    Upgrade(upgrade::Upgrade),
}

/// The log that has the entries, and where the bundle goes.
#[derive(Debug, Args)]
struct LogAndOutput {
    /// Transparency log (Rekor v1) that has the entry, by its address.
    #[arg(long, value_name = "URL", default_value = PUBLIC_LOG)]
    rekor_url: String,

    /// Where to write the bundle, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Bundle {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Create(create) => create.run(global),
            Verb::Inspect(inspect) => inspect.run(),
            Verb::Upgrade(upgrade) => upgrade.run(global),
        }
    }
}

impl LogAndOutput {
    fn log(&self) -> Result<Log, Failure> {
        let url = self.rekor_url.parse().map_err(|error: BadUrl| {
            Failure::usage(format!("cannot use --rekor-url {}", self.rekor_url.escape_debug()))
                .caused_by(error)
        })?;
        Ok(Log::new(http_client()?, LogVersion::V1, url))
    }

    /// Fetches the proofs that a bundle of today needs and older formats have not.
    async fn prove(&self, evidence: &mut Evidence, global: &Global) -> Result<usize, Failure> {
        let proven = self.log()?.add_proofs(evidence, global.deadline()).await;
        proven.map_err(|error| {
            let url = &self.rekor_url;
            let elsewhere = || Some("name the log that has the entry with --rekor-url".to_owned());
            let (exit, message, hint) = match &error {
                ProveError::Fetch { index, source } => match source.kind() {
                    FetchErrorKind::NotFound { .. } => {
                        (Exit::Failure, format!("{url} has no entry {index}"), elsewhere())
                    }
                    // Whether it has the proof is not known.
                    _ => (Exit::Unknown, format!("{url} could not be asked"), source.hint()),
                },
                ProveError::OtherEntry { .. } => {
                    (Exit::Failure, format!("{url} has no proof for it"), elsewhere())
                }
                _ => (Exit::Failure, format!("{url} has no proof for it"), None),
            };
            let failure = Failure::new(exit, message).caused_by(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }

    /// Writes it, read back.
    fn write(&self, evidence: &Evidence) -> Result<(), Failure> {
        let mut document = bundle(evidence)?;
        Evidence::from_bundle(&document).map_err(|error| {
            Failure::new(Exit::Failure, "what was made is no bundle").caused_by(error)
        })?;
        if self.out.is_none() {
            document.push(b'\n');
        }
        write_document(self.out.as_deref(), &document)
    }

    /// Where it is written, for messages.
    fn place(&self) -> String {
        let place = self.out.as_deref().map(Path::display);
        place.map_or_else(|| "standard output".to_owned(), |path| path.to_string())
    }
}
