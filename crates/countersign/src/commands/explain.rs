//! `explain`: every check of every piece of evidence, whoever signed.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::Evidence;
use evidence::bundle::BUNDLE_SIZE_MAX;
use verify::{Artifact, Case, ClaimPattern, Piece, Policy, Verdict, WantedIn};

use crate::arguments::blob::Blob;
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::instance::TrustRootArguments;
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::gather::gather;
use crate::global::Global;
use crate::ui::Output;
use crate::ui::verdict::{self, Question, Shown};
use crate::{machine, runtime};

/// Explain what the evidence about an image or a file proves, check by check.
///
/// Without a named signer it says who signed, which is no verification: the exit code is never 0.
/// With one, it says whether it is the one wanted, and which flags would accept the one found; the
/// exit codes are those of the verification.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Image, by digest or tag; with --bundle a file (`-` for standard input) or its digest.
    #[arg(value_name = "IMAGE_OR_FILE")]
    artifact: String,

    /// Explain this bundle about a file, instead of what lies beside an image.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Explain {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match &self.bundle {
            Some(bundle) => self.explain_blob(bundle),
            None => self.explain_image(global),
        }
    }

    fn explain_blob(&self, bundle: &Path) -> Result<Exit, Failure> {
        let (signer, needs) = (self.signer.wanted_or_anybody()?, self.signer.trust_needs()?);
        let json = machine::read_some(bundle, "bundle", BUNDLE_SIZE_MAX)?;
        let evidence = Evidence::from_file(&json);
        let roots = self.trust_root.load_for(&needs)?;
        let blob = Blob::read(self.artifact.as_ref(), evidence.as_ref().ok(), signer.key())?;
        let policy = signer.policy(roots, ClaimPattern::any());
        let pieces = [Piece { source: bundle.display().to_string(), evidence }];
        let artifact = blob.artifact();
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        Ok(self.show(&policy, &case))
    }

    fn explain_image(&self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.artifact)?;
        let (signer, needs) = (self.signer.wanted_or_anybody()?, self.signer.trust_needs()?);
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let deadline = global.deadline();
            let roots = self.trust_root.load_fresh_for(&needs, deadline).await?;
            let policy = signer.policy(roots, ClaimPattern::any());
            let digest = images::digest(&registry, &image, deadline).await?;
            let (pieces, obstacles) =
                gather(&registry, &images::evidence_place(&image)?, &digest, deadline).await;
            let artifact = Artifact::from_digest(digest);
            let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
            Ok(self.show(&policy, &case))
        })
    }

    fn show(&self, policy: &Policy, case: &Case<'_>) -> Exit {
        let (verdict, explanations) = policy.explain(case, machine::now(), WantedIn::Flags);
        let shown = Shown {
            name: &self.artifact,
            digest: case.artifact.digest(),
            verdict: &verdict,
            explanations: &explanations,
            within: None,
            hint: None,
            wanted_in: WantedIn::Flags,
        };
        let question = match self.signer.is_given() {
            true => Question::Verification,
            false => Question::WhoSigned,
        };
        match self.output {
            Output::Text => verdict::print_text_to(question, &shown),
            Output::Json => verdict::print_json_to(question, &shown),
        }
        match (question, &verdict) {
            // Somebody signed, and nobody said that this one is trusted.
            (Question::WhoSigned, Verdict::Admit(_)) => Exit::Untrusted,
            _ => verdict::exit(&verdict),
        }
    }
}
