//! What each of the two verifiers says about one sealed scene.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evidence::{Evidence, UnixTime};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, DerPublicKey};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};
use testkit::{Scene, Sealed, Signer};
use verify::{
    Artifact, Authority, Case, Demands, IdentityPattern, NonEmpty, Pattern, Piece, Policy, Refusal,
    Requirement, TrustRoot, Verdict,
};

/// Ours. A trust root that is not taken refuses everything.
pub(crate) fn ours(scene: &Scene, sealed: &Sealed) -> Result<(), Option<Refusal>> {
    let name = "oracle".to_owned();
    let roots = TrustRoot::pin(&sealed.trust_root_json()).map_err(|_| None)?;
    let roots = Arc::new(roots);
    let authority = match scene.signer {
        Signer::Pinned => {
            let key = Box::new(sealed.key.public().clone());
            Authority::Key { name, roots, key, demands: Demands::all() }
        }
        Signer::Keyless => Authority::Keyless {
            name,
            roots,
            identities: NonEmpty::new(IdentityPattern {
                issuer: Pattern::exact(&scene.wanted_issuer).unwrap(),
                subject: Pattern::exact(&scene.wanted_subject).unwrap(),
                extensions: Vec::new(),
            }),
            demands: Demands::all(),
        },
    };
    let requirement = Requirement::any_claim_by(NonEmpty::new(authority));
    let policy = Policy { name: "oracle".to_owned(), requirements: NonEmpty::new(requirement) };
    let evidence = Evidence::from_bundle(&sealed.bundle_json()).map_err(Into::into);
    let pieces = [Piece { source: "bundle".to_owned(), evidence }];
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    match policy.judge(&case, UnixTime::from_seconds(scene.now)) {
        Verdict::Admit(_) => Ok(()),
        Verdict::Refuse(reasons) => Err(Some(reasons.first().refusal.clone())),
        Verdict::Unknown(..) => panic!("nothing was in the way"),
    }
}

/// Theirs, in their words; a panic counts as a refusal.
pub(crate) fn theirs(scene: &Scene, sealed: &Sealed) -> Result<(), String> {
    let judge = || -> Result<(), Box<dyn std::error::Error>> {
        let roots = TrustedRoot::from_json(&sealed.trust_root.to_string())?;
        let verifier = Verifier::new(&roots)?;
        let bundle = Bundle::from_json(&sealed.bundle.to_string())?;
        let artifact = sealed.artifact.as_slice();
        match scene.signer {
            Signer::Pinned => {
                let key = DerPublicKey::from_pem(&sealed.key.public().to_pem())?;
                verifier.verify(artifact, &bundle, &PublicKeyVerificationPolicy::new(key))?;
            }
            Signer::Keyless => {
                let (subject, issuer) = (&scene.wanted_subject, &scene.wanted_issuer);
                let policy = VerificationPolicy::new(subject, issuer);
                verifier.verify(artifact, &bundle, &policy)?;
            }
        }
        Ok(())
    };
    match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}
