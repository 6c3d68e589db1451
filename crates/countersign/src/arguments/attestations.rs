//! Which attestations are wanted, as arguments: their type, how many must hold, and programs that
//! judge them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use evidence::predicate::PredicateType;
use policy::Language;
use policy::language::PROGRAM_SIZE_MAX;
use verify::{ClaimKind, ClaimPattern, Policy, Predicate, Rule, TrustRoot, Which};

use super::trust::SignerArguments;
use crate::exit::Failure;
use crate::machine;

/// Which attestations.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attestation")]
pub(crate) struct AttestationArguments {
    /// Type of the predicate: one of Cosign's names, or a URI.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom", value_parser = PredicateType::parse)]
    predicate_type: PredicateType,

    /// Program that every attestation must satisfy: Rego, CEL or CUE, told apart by the file's
    /// name; may be given several times.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    policy: Vec<PathBuf>,

    /// Which of the signer's attestations of that type must hold.
    #[arg(long, value_enum, default_value_t = Wanted::All, env = "COUNTERSIGN_ATTESTATIONS")]
    attestations: Wanted,
}

/// Which attestations must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Each of them, and there is one at least: as Cosign.
    All,
    /// One.
    Any,
    /// The last.
    Latest,
}

impl AttestationArguments {
    /// The policy that wants them, once there is a trust root. What is wrong with the arguments is
    /// told before anybody is asked for one.
    pub(crate) fn policy(
        &self,
        signer: &SignerArguments,
    ) -> Result<impl FnOnce(TrustRoot) -> Policy + use<>, Failure> {
        let predicate_type = self.predicate_type.uri().to_owned();
        let claim = ClaimPattern::of_kind(ClaimKind::Attestation { predicate_type });
        let wanted = signer.wanted()?;
        let predicates =
            self.policy.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
        let which = match self.attestations {
            Wanted::All => Which::All,
            Wanted::Any => Which::Any,
            Wanted::Latest => Which::Latest,
        };
        Ok(move |roots| {
            let mut policy = wanted.policy(roots, claim);
            for requirement in policy.requirements.iter_mut() {
                requirement.rule = Rule { which, predicates: predicates.clone(), ..Rule::any() };
            }
            policy
        })
    }
}

fn load(path: &Path) -> Result<Arc<dyn Predicate>, Failure> {
    let name = path.display().to_string();
    let unusable = || Failure::usage(format!("cannot use the policy {name}"));
    let language = Language::of_file(&name)
        .ok_or_else(|| unusable().hint("call the file .rego, .cel or .cue, after its language"))?;
    let bytes = machine::read(path, "policy", PROGRAM_SIZE_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| unusable().caused_by("it is not text"))?;
    let program = language.load(&name, &text).map_err(|error| unusable().caused_by(error))?;
    Ok(Arc::new(program))
}
