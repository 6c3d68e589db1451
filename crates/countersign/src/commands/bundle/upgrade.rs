//! `bundle upgrade`: a bundle of an older format, made one of today's.

use std::path::PathBuf;

use clap::Args;
use evidence::Evidence;
use evidence::bundle::{BUNDLE_SIZE_MAX, Content, Format, SignerMaterial};
use evidence::entry::Body;

use super::LogAndOutput;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime, ui};

/// Make a bundle v0.3 of an older one, or of Cosign's bundle for blobs, without signing anew.
///
/// What it lacks, the proof that its log entry is in the log, is fetched from there and tried. Which
/// log is trusted is the question of whoever verifies.
#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// The bundle (`-` for standard input).
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    #[command(flatten)]
    log: LogAndOutput,
}

impl Upgrade {
    pub(super) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let json = machine::read_some(&self.bundle, "bundle", BUNDLE_SIZE_MAX)?;
        let mut evidence = Evidence::from_file(&json).map_err(|error| {
            Failure::usage(format!("{} is no bundle", self.bundle.display())).caused_by(error)
        })?;
        if evidence.format == Format::BundleV0_3 {
            ui::note("it is a bundle v0.3 already");
        }
        let older = evidence.format;
        runtime::block_on(async {
            let added = self.log.prove(&mut evidence, global).await?;
            name_digest(&mut evidence);
            self.check_is_whole(&evidence)?;
            self.log.write(&evidence)?;
            if older != Format::BundleV0_3 {
                let place = self.log.place();
                ui::note(&format!("{older}: {added} proofs added, written to {place} as v0.3"));
            }
            Ok(Exit::Success)
        })
    }

    /// Whether the bundle says enough for every reader. Cosign's bundle for blobs names neither the
    /// artifact nor the key: where no log entry does, only who has both can make a bundle of it.
    fn check_is_whole(&self, evidence: &Evidence) -> Result<(), Failure> {
        let is_bare = evidence.format == Format::CosignBlob && evidence.entries.is_empty();
        if !is_bare && !matches!(evidence.content, Content::Message { digest: None, .. }) {
            return Ok(());
        }
        let message = "the bundle has no log entry, and nothing else says what was signed";
        let failure = Failure::usage(message);
        if evidence.format != Format::CosignBlob {
            return Err(failure);
        }
        let key = match evidence.signer {
            SignerMaterial::Certificate(_) => "",
            SignerMaterial::PublicKeyHint(_) => " --key cosign.pub",
        };
        let bundle = self.bundle.display();
        Err(failure.hint(format!(
            "name the file: bundle create --artifact FILE --bundle {bundle}{key} --ignore-tlog"
        )))
    }
}

/// Writes the digest of the artifact beside its signature, as the log entry has it: older bundles
/// for blobs name none, and not every reader of newer ones does without.
fn name_digest(evidence: &mut Evidence) {
    let recorded = evidence.entries.iter().find_map(|entry| match &entry.body {
        Body::HashedRekordV1(record) => Some(record.digest),
        Body::RekordV1(record) => Some(record.digest),
        _ => None,
    });
    if let Content::Message { digest: digest @ None, .. } = &mut evidence.content {
        *digest = recorded;
    }
}
