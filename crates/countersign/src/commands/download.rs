//! `download`: what lies beside an image, as it is.

use clap::{Args, Subcommand};
use client::registry::RawEvidence;
use evidence::bundle::Content;
use evidence::predicate::{self, PredicateType};
use evidence::{Evidence, Statement};

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::terminal;
use crate::{runtime, ui};

/// Download signatures and attestations, unverified.
#[derive(Debug, Args)]
pub(crate) struct Download {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Download the signatures of an image: a document on each line.
    Signature(What),
    /// Download the attestations about an image: an envelope or bundle on each line.
    Attestation(Attestation),
}

#[derive(Debug, Args)]
struct What {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Args)]
struct Attestation {
    #[command(flatten)]
    what: What,

    /// Only those of this predicate type: one of Cosign's names, or a URI.
    #[arg(long, value_name = "TYPE", value_parser = PredicateType::parse)]
    predicate_type: Option<PredicateType>,
}

impl Download {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Signature(what) => what.print(global, is_signature),
            Verb::Attestation(attestation) => attestation.what.print(global, |evidence| {
                let predicate_type = predicate_type(evidence);
                let wanted = attestation.predicate_type.as_ref().map(PredicateType::uri);
                !is_signature(evidence)
                    && wanted.is_none_or(|wanted| predicate_type.as_deref() == Some(wanted))
            }),
        }
    }
}

fn is_signature(evidence: &Evidence) -> bool {
    predicate_type(evidence).is_none_or(|found| found == predicate::SIGN)
}

fn predicate_type(evidence: &Evidence) -> Option<String> {
    match &evidence.content {
        Content::Envelope(envelope) => {
            Some(Statement::parse(&envelope.payload).ok()?.predicate_type)
        }
        Content::Message { .. } | Content::SimpleSigning { .. } => None,
    }
}

impl What {
    /// Prints what fits. Nothing found is a failure of its own kind, as in Cosign.
    fn print(&self, global: &Global, fits: impl Fn(&Evidence) -> bool) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let digest = images::digest(&registry, &image, global.deadline()).await?;
            let place = images::evidence_place(&image)?;
            let found = registry.find_evidence(&place, &digest, global.deadline()).await;
            let mut count = 0;
            for piece in found.pieces {
                let Ok(evidence) = piece.clone().parse() else {
                    ui::note(&format!("{} is malformed, and left out", piece.manifest));
                    continue;
                };
                if fits(&evidence) {
                    count += 1;
                    terminal::bytes(&line(&piece, &evidence));
                }
            }
            for obstacle in &found.obstacles {
                ui::note(&format!("could not be looked at: {}", ui::chain(obstacle)));
            }
            Ok(match (found.obstacles.is_empty(), count) {
                (false, _) => Exit::Unknown,
                (true, 0) => {
                    ui::note("there is none");
                    Exit::Unsigned
                }
                (true, _) => Exit::Success,
            })
        })
    }
}

/// One document on one line: a bundle and an envelope as they are; a signature in Cosign's older
/// format as Cosign prints it.
fn line(piece: &RawEvidence, evidence: &Evidence) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let mut line = match &evidence.content {
        Content::SimpleSigning { payload, signature } => serde_json::json!({
            "Base64Signature": STANDARD.encode(signature),
            "Payload": STANDARD.encode(payload),
            "Cert": piece.annotations.get(evidence::cosign::CERTIFICATE),
            "Bundle": piece.annotations.get(evidence::cosign::LOG_ENTRY)
                .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()),
        })
        .to_string()
        .into_bytes(),
        _ => piece.bytes.iter().copied().filter(|byte| *byte != b'\n').collect(),
    };
    line.push(b'\n');
    line
}
