//! `verify-blob`: a file or digest, and a bundle that is said to be about it.

use std::path::PathBuf;

use clap::Args;
use verify::{Case, ClaimPattern, WantedIn};

use crate::arguments::blob::Blob;
use crate::arguments::detached::EvidenceArguments;
use crate::arguments::instance::TrustRootArguments;
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::ui::Output;
use crate::{machine, ui};

/// Verify that a bundle is a signature or attestation by the wanted signer about a file.
///
/// Nothing is fetched: the public Sigstore instance's trust root is built in, and a bundle carries
/// the rest. Exit code 0: verified; 12: not trusted; 3: could not tell; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct VerifyBlob {
    /// The file (`-` for standard input), or its digest as `sha256:HEX`.
    #[arg(value_name = "FILE_OR_DIGEST")]
    artifact: PathBuf,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Show every check, with what was wanted and found.
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    evidence: EvidenceArguments,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,
}

impl VerifyBlob {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let (wanted, needs) = (self.signer.wanted()?, self.signer.trust_needs()?);
        let piece = self.evidence.read()?;
        let roots = self.trust_root.load_for(&needs)?;
        let blob = Blob::read(&self.artifact, piece.evidence.as_ref().ok(), wanted.key())?;
        let artifact = blob.artifact();
        let policy = wanted.policy(roots, ClaimPattern::any());
        let pieces = [piece];
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        let now = machine::now();
        let (verdict, explanations) = if self.explain || self.output == Output::Json {
            policy.explain(&case, now, WantedIn::Flags)
        } else {
            (policy.judge(&case, now), Vec::new())
        };
        let name = self.artifact.display().to_string();
        let shown = ui::verdict::Shown {
            name: &name,
            digest: artifact.digest(),
            verdict: &verdict,
            explanations: &explanations,
            within: None,
            hint: None,
            wanted_in: WantedIn::Flags,
        };
        match self.output {
            Output::Text => ui::verdict::print_text(&shown),
            Output::Json => ui::verdict::print_json(&shown),
        }
        Ok(ui::verdict::exit(&verdict))
    }
}
