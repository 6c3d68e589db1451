//! `verify`: images, and all evidence that lies beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use verify::{ClaimKind, ClaimPattern, Policy, TrustRoot, WantedIn};

use crate::arguments::annotations;
use crate::arguments::detached_image::DetachedImageArguments;
use crate::arguments::image_verification::{self, ImageArguments, Inquiry, Judged, Outcome};
use crate::arguments::policy_files::PolicyFile;
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::{self, VerifyOutput};

/// Verify that images were signed by the wanted signer.
///
/// All evidence beside an image is gathered once and judged piece by piece; one that holds
/// suffices, and every refusal is told. As with Cosign, whatever the signer said about the image
/// counts as its signature, an attestation too; --signature-only wants a signature. The signature of
/// an index covers the images in it; --recursive wants each to be signed by itself. Exit code 0: all
/// verified; 10: nothing is signed; 12: nothing trusted; 3: could not tell, because something could
/// not be looked at; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// In which form to print the result: on a terminal text, else Cosign's JSON.
    #[arg(short, long, value_enum)]
    output: Option<VerifyOutput>,

    #[command(flatten)]
    images: ImageArguments,

    #[command(flatten)]
    detached: DetachedImageArguments,

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
}

/// Makes the policy under a trust root.
type PolicyUnder<'a> = Box<dyn FnOnce(TrustRoot) -> Result<Policy, Failure> + 'a>;

impl Verify {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let policy = self.policy()?;
        let inquiry = Inquiry {
            needs: self.signer.trust_needs()?,
            wanted_in: match self.policy_file {
                Some(_) => WantedIn::PolicyFile,
                None => WantedIn::Flags,
            },
            detached: self.detached.read()?,
        };
        let judged = self.images.judge(global, &inquiry, policy)?;
        self.print(&judged);
        Ok(image_verification::exit(&judged))
    }

    /// The same for the images that files name, whose paths stand where images do;
    /// `nothing` says what is wrong when they name none.
    pub(super) fn of_files(
        mut self,
        read: impl Fn(&str) -> Result<Vec<String>, Failure>,
        nothing: impl FnOnce(&[String]) -> Failure,
    ) -> Result<Self, Failure> {
        self.images.read_files(read, nothing)?;
        Ok(self)
    }

    /// The policy, once there is a trust root. What is wrong with the arguments is told before
    /// anybody is asked for one.
    fn policy(&self) -> Result<PolicyUnder<'_>, Failure> {
        if let Some(path) = &self.policy_file {
            if self.signer.is_given() {
                return Err(Failure::usage("a signer is named beside --policy-file")
                    .hint("name the signer in the policy file"));
            }
            if self.signer.names_trust() {
                return Err(Failure::usage(
                    "authorities are named by certificates beside --policy-file",
                )
                .hint(
                    "make a trusted root of them with `trusted-root create`, and give it with \
                           --trusted-root: a policy file believes a trust root as a whole",
                ));
            }
            if self.signer.has_demands() {
                return Err(Failure::usage("a demand is waived or made beside --policy-file")
                    .hint("a policy file waives nothing: name the signer by flags instead"));
            }
            if self.signature_only || !self.annotations.is_empty() {
                return Err(Failure::usage("a claim is described beside --policy-file")
                    .hint("say in the policy file what must be claimed, with which annotations"));
            }
            // What a policy denies must not be hidden from it.
            if self.images.names_signer() || self.detached.is_given() {
                return Err(Failure::usage("evidence is chosen beside --policy-file").hint(
                    "a policy file judges all that lies beside an image: leave out --signature \
                     and --certificate",
                ));
            }
            let file = PolicyFile::read(path)?;
            return Ok(Box::new(move |roots| file.under(roots)));
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
    fn print(&self, judged: &[Result<Judged, Failure>]) {
        let output = VerifyOutput::chosen(self.output);
        self.images.show(judged, output);
        if output == VerifyOutput::Json && !self.images.explain {
            // A part must not be taken for the whole.
            let Ok(judged) = judged.iter().map(Result::as_ref).collect::<Result<Vec<_>, _>>()
            else {
                return;
            };
            let outcomes = judged.iter().flat_map(|judged| &judged.outcomes);
            let shown: Vec<_> = outcomes.map(Outcome::shown).collect();
            ui::payloads::print(&shown, self.images.local_image);
        }
    }
}
