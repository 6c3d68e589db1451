//! The cryptographic floor of one verification, and a stopwatch that is fair to all it times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Message, PublicKey, Scheme};
use evidence::certificate::sct::SCT_LIST;
use evidence::timestamp::Timestamp;
use evidence::{Certificate, Evidence, SignedNote};
use testkit::{Scene, Sealed};
use verify::{
    Authority, Demands, IdentityPattern, NonEmpty, Pattern, Policy, Requirement, TrustRoot,
};

/// One signature verification of the floor.
pub(crate) struct Step {
    /// Under which key.
    pub(crate) key: PublicKey,
    scheme: Scheme,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Step {
    fn new(key: &PublicKey, message: Vec<u8>, signature: &[u8]) -> Self {
        let scheme = key.default_scheme();
        Self { key: key.clone(), scheme, message, signature: signature.to_vec() }
    }

    pub(crate) fn run(&self) {
        let message = Message::Bytes(&self.message);
        self.key.verify(self.scheme, message, &self.signature).expect("the bundle is right");
    }
}

/// Every signature that the bundle's verification rests on.
pub(crate) fn of(scene: &Scene, sealed: &Sealed) -> Vec<Step> {
    let instance = &scene.instance;
    let evidence = Evidence::from_bundle(&sealed.bundle_json()).expect("a right bundle");
    let certificate = sealed.certificate.as_deref().expect("keyless");
    let certificate = Certificate::parse(certificate).expect("a right certificate");
    let parts = certificate.signed_parts().expect("parsed before");
    let issued = &certificate.certificate_timestamps().expect("a right list")[0];
    let issuer = crypto::sha256(&instance.authorities[0].spki);
    let seen = certificate.tbs_without(SCT_LIST).expect("a list");
    let seen = issued.signed_data(&issuer, &seen).expect("short");
    let mut steps = vec![
        Step::new(instance.authority_key.public(), parts.tbs_der.to_vec(), parts.signature),
        Step::new(instance.ct_key.public(), seen, &issued.signature),
        Step::new(certificate.public_key(), sealed.artifact.clone(), evidence.signature()),
    ];
    for entry in &evidence.entries {
        let is_v2 = entry.promise.is_none();
        let key = if is_v2 { &instance.log_v2_key } else { &instance.log_v1_key };
        let key = key.public();
        if let Some(promise) = &entry.promise {
            steps.push(Step::new(key, entry.promised_data().expect("a time"), promise));
        }
        let proof = entry.proof.as_ref().expect("a proof");
        let note = SignedNote::parse(proof.checkpoint.as_ref().expect("a checkpoint"));
        let note = note.expect("a note");
        let line = &note.signatures()[0].signature;
        steps.push(Step::new(key, note.text().as_bytes().to_vec(), line));
    }
    for token in &evidence.timestamps {
        let token = Timestamp::parse(token).expect("a right token");
        let signed = token.signed_attributes_der().to_vec();
        steps.push(Step::new(instance.timestamp_key.public(), signed, token.signature()));
    }
    steps.iter().for_each(Step::run);
    steps
}

/// What accepts the scene's signer under the scene's trust root.
pub(crate) fn policy(scene: &Scene, sealed: &Sealed) -> Policy {
    let roots = TrustRoot::pin(&sealed.trust_root_json()).expect("a right trust root");
    let authority = Authority::Keyless {
        name: "bench".to_owned(),
        roots: Arc::new(roots),
        identities: NonEmpty::new(IdentityPattern {
            issuer: Pattern::exact(&scene.wanted_issuer).expect("not empty"),
            subject: Pattern::exact(&scene.wanted_subject).expect("not empty"),
            extensions: Vec::new(),
        }),
        demands: Demands::all(),
    };
    let any_of = NonEmpty::new(authority);
    Policy {
        name: "bench".to_owned(),
        requirements: NonEmpty::new(Requirement::any_claim_by(any_of)),
    }
}

/// The least time that one run of each took. They take turns, so that what else the machine does
/// meets all of them alike.
pub(crate) fn least<const N: usize>(runs: [&dyn Fn(); N]) -> [Duration; N] {
    const ROUNDS: u32 = 400;
    const BATCH: u32 = 10;
    let mut least = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (run, least) in runs.iter().zip(&mut least) {
            let start = Instant::now();
            (0..BATCH).for_each(|_| run());
            *least = (*least).min(start.elapsed() / BATCH);
        }
    }
    least
}
