//! `verify-blob-attestation`: what was attested about a file, and by whom.

use std::path::PathBuf;

use clap::Args;
use evidence::Digest;
use verify::{Case, WantedIn};

use crate::arguments::attestations::AttestationArguments;
use crate::arguments::blob::Blob;
use crate::arguments::detached::EvidenceArguments;
use crate::arguments::instance::TrustRootArguments;
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::ui::Output;
use crate::{machine, ui};

/// Verify an attestation about a file, and what it says.
#[derive(Debug, Args)]
pub(crate) struct VerifyBlobAttestation {
    /// The file (`-` for standard input), or its digest as `sha256:HEX`; not needed with --digest.
    #[arg(value_name = "FILE_OR_DIGEST", required_unless_present = "digest")]
    artifact: Option<PathBuf>,

    /// Digest of the file, in hexadecimal.
    #[arg(long, value_name = "HEX", requires = "digest_alg", conflicts_with = "artifact")]
    digest: Option<String>,

    /// Algorithm of that digest: sha256, sha384 or sha512.
    #[arg(long = "digestAlg", value_name = "NAME")]
    digest_alg: Option<String>,

    /// Accepted for Cosign's sake: the digest is always checked.
    #[arg(long, hide = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    check_claims: bool,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Show every check, with what was wanted and found.
    #[arg(long, env = "COUNTERSIGN_EXPLAIN")]
    explain: bool,

    #[command(flatten)]
    evidence: EvidenceArguments,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    attestation: AttestationArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,
}

impl VerifyBlobAttestation {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let policy = self.attestation.policy(&self.signer)?;
        let needs = self.signer.trust_needs()?;
        let argument = self.argument()?;
        let pieces = [self.evidence.read()?];
        let policy = policy(self.trust_root.load_for(&needs)?);
        // An envelope is never signed by way of the file.
        let blob = Blob::read(&argument, pieces[0].evidence.as_ref().ok(), None)?;
        let artifact = blob.artifact();
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        let (verdict, explanations) = policy.explain(&case, machine::now(), WantedIn::Flags);
        let wants_checks = self.explain || self.output == Output::Json;
        let name = argument.display().to_string();
        let shown = ui::verdict::Shown {
            name: &name,
            digest: artifact.digest(),
            verdict: &verdict,
            explanations: if wants_checks { &explanations } else { &[] },
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

    fn argument(&self) -> Result<PathBuf, Failure> {
        if let (Some(hex), Some(algorithm)) = (&self.digest, &self.digest_alg) {
            let text = format!("{algorithm}:{hex}");
            text.parse::<Digest>().map_err(|error| {
                Failure::usage(format!("cannot use the digest `{text}`")).caused_by(Box::<
                    dyn std::error::Error + Send + Sync,
                >::from(
                    error
                ))
            })?;
            return Ok(text.into());
        }
        self.artifact.clone().ok_or_else(|| Failure::usage("there is no file and no --digest"))
    }
}
