//! `verify-attestation`: what was attested about images, and by whom.

use clap::Args;
use verify::WantedIn;

use crate::arguments::attestations::AttestationArguments;
use crate::arguments::image_verification::{self, ImageArguments, Inquiry, Outcome};
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::{self, VerifyOutput};

/// Verify attestations about images, and what they say.
///
/// Wanted are attestations of one type by the named signer; programs may judge what they say. Exit
/// codes are those of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyAttestation {
    /// Accepted for Cosign's sake: the digest is always checked.
    #[arg(long, hide = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    check_claims: bool,

    /// In which form to print the result: on a terminal text, else Cosign's JSON, which is each
    /// envelope on a line.
    #[arg(short, long, value_enum)]
    output: Option<VerifyOutput>,

    #[command(flatten)]
    images: ImageArguments,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    attestation: AttestationArguments,
}

impl VerifyAttestation {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let policy = self.attestation.policy(&self.signer)?;
        if self.images.names_signer() {
            ui::note(
                "with --certificate, only attestations by that certificate count, whatever else its \
                 signer attested",
            );
        }
        let inquiry = Inquiry {
            needs: self.signer.trust_needs()?,
            wanted_in: WantedIn::Flags,
            detached: None,
        };
        let judged = self.images.judge(global, &inquiry, |roots| Ok(policy(roots)))?;
        let output = VerifyOutput::chosen(self.output);
        self.images.show(&judged, output);
        if output == VerifyOutput::Json && !self.images.explain {
            let outcomes = judged.iter().flatten().flat_map(|judged| &judged.outcomes);
            outcomes.for_each(print_envelopes);
        }
        Ok(image_verification::exit(&judged))
    }
}

/// The envelopes that the verdict rests on, each once.
fn print_envelopes(outcome: &Outcome) {
    for evidence in outcome.pieces.iter().filter_map(|piece| piece.evidence.as_ref().ok()) {
        ui::payloads::print_envelope(evidence);
    }
}
