//! Who can meet a requirement, and the chain that proves what they said: log, time, signer, claim,
//! each step with the trust root of that authority.

use std::sync::Arc;

use crypto::PublicKey;
use evidence::{Digest, Evidence, UnixTime};
use nonempty::NonEmpty;

use crate::claim::{self, Artifact, VerifiedClaim};
use crate::demands::Demands;
use crate::explain::Trace;
use crate::identity::IdentityPattern;
use crate::logged::{self, Logged};
use crate::refusal::Refusal;
use crate::signer::{self, VerifiedSigner};
use crate::time::{self, VerifiedTime};
use crate::trust_root::TrustRoot;

/// Who can meet a requirement, each with its own trust root.
#[derive(Clone, Debug)]
pub enum Authority {
    /// A signer certified by an authority of the trust root.
    Keyless {
        /// What it is called.
        name: String,
        /// What is believed.
        roots: Arc<TrustRoot>,
        /// The signers wanted, any of which suffices.
        identities: NonEmpty<IdentityPattern>,
        /// What else must be shown.
        demands: Demands,
    },
    /// The holder of a key.
    Key {
        /// What it is called.
        name: String,
        /// What is believed about logs and timestamps.
        roots: Arc<TrustRoot>,
        /// The key.
        key: Box<PublicKey>,
        /// What else must be shown.
        demands: Demands,
    },
    /// Admits without evidence.
    StaticPass {
        /// What it is called.
        name: String,
    },
    /// Refuses whatever the evidence.
    StaticFail {
        /// What it is called.
        name: String,
        /// What to tell.
        message: String,
    },
    /// Refuses the artifacts it names whatever the evidence, and vouches for no other.
    DenyList {
        /// What it is called.
        name: String,
        /// The artifacts.
        digests: Vec<Digest>,
        /// What to tell.
        message: String,
    },
}

impl Authority {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Keyless { name, .. }
            | Self::Key { name, .. }
            | Self::StaticPass { name }
            | Self::StaticFail { name, .. }
            | Self::DenyList { name, .. } => name,
        }
    }

    /// Whether somebody who is wanted signed the evidence, whatever it says. For evidence that does
    /// not read: who made it decides whether that matters.
    pub(crate) fn is_signed_by(&self, evidence: &Evidence, now: UnixTime) -> bool {
        let quiet = &mut Trace::silent();
        match self {
            Self::Keyless { roots, identities, demands, .. } => {
                certified_signer(evidence, roots, *demands, now, quiet)
                    .and_then(|it| IdentityPattern::check_any(identities, &it.signer, quiet))
                    .is_ok()
            }
            Self::Key { key, demands, .. } => signer::pin(evidence, key, *demands, quiet).is_ok(),
            Self::StaticPass { .. } | Self::StaticFail { .. } | Self::DenyList { .. } => false,
        }
    }

    /// The chain: log, time, signer, claim; then whether this signer is wanted.
    pub(crate) fn prove(
        &self,
        evidence: &Evidence,
        artifact: &Artifact<'_>,
        now: UnixTime,
        trace: &mut Trace,
    ) -> Result<VerifiedClaim, Refusal> {
        match self {
            Self::Keyless { roots, identities, demands, .. } => {
                let Certified { logged, times, signer } =
                    certified_signer(evidence, roots, *demands, now, trace)?;
                let claim = claim::verify(evidence, signer, logged, times.into(), artifact, trace)?;
                IdentityPattern::check_any(identities, claim.signer(), trace)?;
                Ok(claim)
            }
            Self::Key { roots, key, demands, .. } => {
                let logged = logged::verify(evidence, roots, demands.logging, trace)?;
                let times = time::observe_any(evidence, &logged, roots, *demands, now, trace)?;
                let signer = signer::pin(evidence, key, *demands, trace)?;
                claim::verify(evidence, signer, logged, times, artifact, trace)
            }
            Self::StaticPass { .. } | Self::StaticFail { .. } | Self::DenyList { .. } => {
                Err(Refusal::NoEvidence)
            }
        }
    }
}

/// A signer whom a certificate names, and what showed it.
struct Certified {
    logged: Logged,
    times: NonEmpty<VerifiedTime>,
    signer: VerifiedSigner,
}

/// The keyless chain as far as who signed: log, time, signer.
fn certified_signer(
    evidence: &Evidence,
    roots: &TrustRoot,
    demands: Demands,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<Certified, Refusal> {
    let logged = logged::verify(evidence, roots, demands.logging, trace)?;
    let times = time::observe(evidence, &logged, roots, demands, now, trace)?;
    let signer = signer::verify(evidence, &times, roots, demands, trace)?;
    Ok(Certified { logged, times, signer })
}
