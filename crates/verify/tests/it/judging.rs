//! Judges a sealed scene the way every caller does, and says what came out.

use std::sync::{Arc, LazyLock};

use evidence::{Evidence, UnixTime};
use testkit::mutants::{self, Mutant};
use testkit::{Scene, Sealed, Signer};
use verify::{
    Artifact, Authority, Case, Demands, Explanation, Ground, IdentityPattern, NonEmpty, Pattern,
    Piece, Policy, Refusal, Requirement, TrustRoot, Verdict, VerifiedClaim, WantedIn,
};

/// What the scene's verifier wants: its identity, or its key, and all that is demanded.
pub(crate) fn authority(scene: &Scene, sealed: &Sealed) -> Authority {
    demanding(scene, sealed, Demands::all())
}

/// The same with other demands.
pub(crate) fn demanding(scene: &Scene, sealed: &Sealed, demands: Demands) -> Authority {
    let roots = TrustRoot::pin(&sealed.trust_root_json()).expect("the scene's trust root is taken");
    let roots = Arc::new(roots);
    let name = "the test's".to_owned();
    match scene.signer {
        Signer::Keyless => Authority::Keyless {
            name,
            roots,
            identities: NonEmpty::new(IdentityPattern {
                issuer: Pattern::exact(&scene.wanted_issuer).unwrap(),
                subject: Pattern::exact(&scene.wanted_subject).unwrap(),
                extensions: Vec::new(),
            }),
            demands,
        },
        Signer::Pinned => {
            let key = Box::new(sealed.key.public().clone());
            Authority::Key { name, roots, key, demands }
        }
    }
}

/// One requirement that any of these meets.
pub(crate) fn policy(any_of: Vec<Authority>) -> Policy {
    let any_of = NonEmpty::from_vec(any_of).unwrap();
    Policy {
        name: "test".to_owned(),
        requirements: NonEmpty::new(Requirement::any_claim_by(any_of)),
    }
}

pub(crate) fn piece(source: &str, bundle: &[u8]) -> Piece {
    Piece { source: source.to_owned(), evidence: Evidence::from_bundle(bundle).map_err(Into::into) }
}

pub(crate) fn now(scene: &Scene) -> UnixTime {
    UnixTime::from_seconds(scene.now)
}

/// Judges sealed evidence about an artifact, with every check written down.
pub(crate) fn explain_about(
    scene: &Scene,
    sealed: &Sealed,
    artifact: &Artifact<'_>,
) -> (Result<VerifiedClaim, Refusal>, Explanation) {
    let piece = piece("bundle", &sealed.bundle_json());
    explain_piece(scene, piece, authority(scene, sealed), artifact)
}

/// Judges a piece under an authority, with every check written down.
pub(crate) fn explain_piece(
    scene: &Scene,
    piece: Piece,
    authority: Authority,
    artifact: &Artifact<'_>,
) -> (Result<VerifiedClaim, Refusal>, Explanation) {
    let pieces = [piece];
    let case = Case { artifact, pieces: &pieces, obstacles: &[] };
    let policy = policy(vec![authority]);
    let (verdict, mut explanations) = policy.explain(&case, now(scene), WantedIn::Flags);
    // Explaining decides nothing.
    let quiet = policy.judge(&case, now(scene));
    assert_eq!(
        std::mem::discriminant(&verdict),
        std::mem::discriminant(&quiet),
        "{verdict:?} explained, {quiet:?} judged"
    );
    let outcome = match verdict {
        Verdict::Admit(grounds) => match grounds.0.first() {
            Ground::Claim { claim, .. } => Ok((**claim).clone()),
            Ground::Static { .. } => panic!("nothing static here"),
        },
        Verdict::Refuse(reasons) => Err(reasons.first().refusal.clone()),
        Verdict::Unknown(..) => panic!("nothing was in the way"),
    };
    (outcome, explanations.pop().expect("one piece, one authority"))
}

pub(crate) fn prove_sealed(scene: &Scene, sealed: &Sealed) -> Result<VerifiedClaim, Refusal> {
    explain_about(scene, sealed, &Artifact::from_bytes(&sealed.artifact)).0
}

pub(crate) fn prove(scene: &Scene) -> Result<VerifiedClaim, Refusal> {
    prove_sealed(scene, &scene.seal())
}

/// A mutant with what came of it.
pub(crate) struct Judged {
    pub(crate) mutant: Mutant,
    pub(crate) outcome: Result<VerifiedClaim, Refusal>,
    pub(crate) explanation: Explanation,
}

/// Every mutant, judged once for all the tests that look at it.
pub(crate) static JUDGED: LazyLock<Vec<Judged>> = LazyLock::new(|| {
    let judge = |mutant: Mutant| {
        let sealed = mutant.scene.seal();
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let (outcome, explanation) = explain_about(&mutant.scene, &sealed, &artifact);
        Judged { mutant, outcome, explanation }
    };
    mutants::all().into_iter().map(judge).collect()
});

/// A refusal's variant, by name.
pub(crate) fn variant(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
