//! What stands beside evidence in files of its own: the promise of a CT log, and the hash that a
//! signature is over.

use crypto::{HashAlgorithm, KeyKind, Scheme, sha256};
use evidence::certificate::SignedCertificateTimestamp;
use evidence::cosign::DetachedFiles;
use evidence::{Evidence, ParseEvidenceError};
use serde_json::Value;
use testkit::certificate::SctDraft;
use testkit::clock::{CERTIFIED_FROM, CERTIFIED_TO};
use testkit::{Key, Scene, Sealed};
use verify::{Artifact, Demands, Piece, Refusal, VerifiedClaim};

use crate::judging::{authority, demanding, explain_piece, variant};
use crate::waivers::{UNLOGGED, UNPUBLISHED};

/// A scene whose certificate holds no promise.
fn unpromised() -> Scene {
    Scene::v1().on_certificate(|certificate| certificate.scts.clear())
}

/// Judges with promises beside the certificate.
fn beside(
    scene: &Scene,
    demands: Demands,
    answers: impl FnOnce(&[u8]) -> Vec<Value>,
) -> Result<VerifiedClaim, Refusal> {
    let sealed = scene.seal();
    let mut evidence = Evidence::from_bundle(&sealed.bundle_json()).unwrap();
    evidence.certificate_timestamps = answers(&sealed.certificate.clone().unwrap())
        .iter()
        .map(|answer| SignedCertificateTimestamp::from_answer(answer.to_string().as_bytes()))
        .collect::<Result<_, _>>()
        .unwrap();
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let piece = Piece { source: "bundle".to_owned(), evidence: Ok(evidence) };
    explain_piece(scene, piece, demanding(scene, &sealed, demands), &artifact).0
}

fn promise(scene: &Scene) -> SctDraft {
    let instance = &scene.instance;
    SctDraft::new(&instance.ct_key, &instance.authorities[0].spki, CERTIFIED_FROM)
}

#[test]
fn a_promise_beside_a_certificate_counts_as_one_in_it() {
    let scene = unpromised();
    let refusal = beside(&scene, Demands::all(), |_| Vec::new()).unwrap_err();
    assert_eq!(refusal, Refusal::NoCertificateTimestamp { found: 0 });
    let good = promise(&scene);
    let claim = beside(&scene, Demands::all(), |der| vec![good.answer(der)]).unwrap();
    assert_eq!(claim.waived(), []);
    // Beside one in it, both count.
    beside(&Scene::v1(), Demands::all(), |der| vec![good.answer(der)]).unwrap();
}

#[test]
fn a_promise_beside_a_certificate_must_be_about_it_and_its_logs() {
    let refused = |change: &dyn Fn(&mut SctDraft)| {
        let scene = unpromised();
        let mut draft = promise(&scene);
        change(&mut draft);
        let [strict, waived] = [Demands::all(), UNPUBLISHED]
            .map(|demands| beside(&scene, demands, |der| vec![draft.answer(der)]));
        (strict.unwrap_err(), waived.is_ok())
    };
    // A log that is not known says nothing; one that is known must have said it.
    let stranger = Key::named("a stranger's CT log", KeyKind::EcdsaP256);
    let (refusal, waived) = refused(&|draft| {
        draft.log_id = sha256(&stranger.spki()).to_vec();
        draft.signed_by = stranger.clone();
    });
    assert_eq!((refusal, waived), (Refusal::NoCertificateTimestamp { found: 1 }, true));
    let bad = (Refusal::BadCertificateTimestamp, false);
    assert_eq!(refused(&|draft| draft.signed_by = stranger.clone()), bad);
    assert_eq!(refused(&|draft| draft.damaged = true), bad);
    let (refusal, waived) = refused(&|draft| draft.time_ms = late_ms());
    assert_eq!((&*variant(&refusal), waived), ("CertificateTimestampInFuture", false));
    for answer in [|_: &[u8]| b"another certificate".to_vec(), |der: &[u8]| der[4..].to_vec()] {
        for scene in [unpromised(), Scene::v1()] {
            let draft = promise(&scene);
            let judged = beside(&scene, UNPUBLISHED, |der| vec![draft.answer(&answer(der))]);
            assert_eq!(judged.unwrap_err(), Refusal::BadCertificateTimestamp);
        }
    }
    let retired = unpromised().with_instance(|it| it.ct_window.1 = Some(CERTIFIED_FROM - 1));
    let draft = promise(&retired);
    let refusal = beside(&retired, UNPUBLISHED, |der| vec![draft.answer(der)]).unwrap_err();
    assert_eq!(variant(&refusal), "CtLogKeyNotValid");
}

fn late_ms() -> u64 {
    u64::try_from(CERTIFIED_TO + 86_400).unwrap() * 1000
}

/// A signature over an artifact, by itself, of a key that is pinned.
fn detached(scheme: Scheme, said: Option<HashAlgorithm>) -> Result<VerifiedClaim, Refusal> {
    let scene = Scene::v1().with_key(KeyKind::Rsa { bits: 2048 }).pinned();
    let sealed = scene.seal();
    let signature = sealed.key.sign_with(scheme, &sealed.artifact);
    let mut evidence =
        Evidence::from_detached_signature(&signature, &DetachedFiles::default()).unwrap();
    evidence.signature_hash = said;
    judge(&scene, &sealed, Ok(evidence), UNLOGGED)
}

fn judge(
    scene: &Scene,
    sealed: &Sealed,
    evidence: Result<Evidence, ParseEvidenceError>,
    demands: Demands,
) -> Result<VerifiedClaim, Refusal> {
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let piece = Piece { source: "files".to_owned(), evidence };
    explain_piece(scene, piece, demanding(scene, sealed, demands), &artifact).0
}

#[test]
fn a_signature_over_another_hash_is_taken_where_that_is_said() {
    detached(Scheme::RsaPkcs1Sha256, None).unwrap();
    let refusal = detached(Scheme::RsaPkcs1Sha512, None).unwrap_err();
    assert_eq!(refusal, Refusal::BadSignature);
    detached(Scheme::RsaPkcs1Sha512, Some(HashAlgorithm::Sha512)).unwrap();
    detached(Scheme::RsaPkcs1Sha384, Some(HashAlgorithm::Sha384)).unwrap();
    let refusal = detached(Scheme::RsaPkcs1Sha512, Some(HashAlgorithm::Sha384)).unwrap_err();
    assert_eq!(refusal, Refusal::BadSignature);
    // It comes on top: what is recognised without it is not hidden by it.
    detached(Scheme::RsaPkcs1Sha256, Some(HashAlgorithm::Sha512)).unwrap();
}

/// A log entry has recorded it; what somebody says beside it is not asked for.
#[test]
fn an_entry_knows_the_hash_better() {
    for scene in [Scene::v1(), Scene::v2().pinned()] {
        let sealed = scene.seal();
        let mut evidence = Evidence::from_bundle(&sealed.bundle_json()).unwrap();
        evidence.signature_hash = Some(HashAlgorithm::Sha512);
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let piece = Piece { source: "bundle".to_owned(), evidence: Ok(evidence) };
        explain_piece(&scene, piece, authority(&scene, &sealed), &artifact).0.unwrap();
    }
}
