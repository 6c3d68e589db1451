//! `verify`: images, and all evidence that lies beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use verify::{ClaimKind, ClaimPattern, Policy, TrustRoot};

use crate::arguments::image_verification::{self, ImageArguments, Outcome};
use crate::arguments::trust::SignerArguments;
use crate::arguments::{annotations, policy_files};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::verdict;
use crate::ui::{self, VerifyOutput};

/// Verify that images were signed by the wanted signer.
///
/// All evidence beside an image is gathered once and judged piece by piece; one that holds
/// suffices, and every refusal is told. As with Cosign, whatever the signer said about the image
/// counts as its signature, an attestation too; --signature-only wants a signature. Exit code 0: all
/// verified; 10: nothing is signed; 12: nothing trusted; 3: could not tell, because something could
/// not be looked at; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    images: ImageArguments,

    #[command(flatten)]
    signer: SignerArguments,

    /// File with the policy to verify by, instead of the flags that name a signer.
    #[arg(long, value_name = "FILE", help_heading = "Signer", env = "COUNTERSIGN_POLICY_FILE")]
    policy_file: Option<PathBuf>,

    /// Annotation that must have been signed along, as KEY=VALUE; may be given several times.
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',', help_heading = "Claim")]
    annotations: Vec<String>,

    /// Take only what was meant as a signature, no other attestation.
    #[arg(long, help_heading = "Claim", env = "COUNTERSIGN_SIGNATURE_ONLY")]
    signature_only: bool,

    /// Check the annotations. The digest is always checked.
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Claim"
    )]
    check_claims: bool,

    /// In which form to print the result: on a terminal text, else Cosign's JSON.
    #[arg(short, long, value_enum)]
    output: Option<VerifyOutput>,
}

/// Makes the policy under a trust root.
type PolicyUnder<'a> = Box<dyn FnOnce(TrustRoot) -> Result<Policy, Failure> + 'a>;

impl Verify {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let policy = self.policy()?;
        let outcomes = self.images.judge(global, policy)?;
        self.print(&outcomes);
        Ok(image_verification::exit(&outcomes))
    }

    /// The policy, once there is a trust root. What is wrong with the arguments is told before
    /// anybody is asked for one.
    fn policy(&self) -> Result<PolicyUnder<'_>, Failure> {
        if let Some(path) = &self.policy_file {
            if self.signer.is_given() {
                return Err(Failure::usage("a signer is named beside --policy-file")
                    .hint("name the signer in the policy file"));
            }
            if self.signature_only || !self.annotations.is_empty() {
                return Err(Failure::usage("a claim is described beside --policy-file")
                    .hint("say in the policy file what must be claimed, with which annotations"));
            }
            return Ok(Box::new(|roots| policy_files::read(path, roots)));
        }
        let kind = if self.signature_only { ClaimKind::Signature } else { ClaimKind::Any };
        let annotations = annotations::parse(&self.annotations)?;
        let annotations = if self.check_claims { annotations } else { BTreeMap::new() };
        let wanted = self.signer.wanted()?;
        let claim = ClaimPattern { kind, annotations };
        Ok(Box::new(|roots| Ok(wanted.policy(roots, claim))))
    }

    /// As Cosign does: what was verified is JSON on standard output, and what is for people stands
    /// on standard error; on a terminal only the latter, where results are read.
    fn print(&self, outcomes: &[Outcome]) {
        let shown: Vec<_> = outcomes.iter().map(Outcome::shown).collect();
        match VerifyOutput::chosen(self.output) {
            VerifyOutput::Text => shown.iter().for_each(verdict::print_text),
            VerifyOutput::Json if self.images.explain => shown.iter().for_each(verdict::print_json),
            VerifyOutput::Json => {
                shown.iter().for_each(verdict::print_error_text);
                ui::payloads::print(&shown);
            }
        }
    }
}
