//! What is signed of an image: a statement for bundles, a simple signing payload for Cosign's tag.

use std::collections::BTreeMap;
use std::path::Path;

use evidence::cosign::{PAYLOAD_SIZE_MAX, SimpleSigning};
use evidence::statement::STATEMENT_TYPE_V1;
use evidence::{Digest, ImageRef, predicate};
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::{machine, ui};

/// A simple signing payload that somebody else made, as it is to be signed.
pub(super) struct GivenPayload {
    name: String,
    bytes: Vec<u8>,
    claim: SimpleSigning,
}

impl GivenPayload {
    /// Reads one from a file. What no verifier could read is refused.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = machine::read_some(path, "payload", PAYLOAD_SIZE_MAX)?;
        let name = path.display().to_string();
        let unusable = || Failure::usage(format!("cannot use the payload {name}"));
        let claim = SimpleSigning::parse(&bytes).map_err(|error| unusable().caused_by(error))?;
        if let Some(annotations) = &claim.annotations {
            let object = serde_json::from_str::<Option<Map<String, Value>>>(annotations.get());
            object
                .map_err(|_| unusable().caused_by("what is `optional` in it is no JSON object"))?;
        }
        Ok(Self { name, bytes, claim })
    }

    /// The payload, to be signed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Whether it is about that image. What it calls the image is told where that is another name: it is
    /// signed along.
    pub(super) fn check(&self, image: &ImageRef, digest: &Digest) -> Result<(), Failure> {
        let Self { name, claim, .. } = self;
        if claim.image != *digest {
            let message = format!("the payload {name} is about another image than {image}");
            let problem = format!("wanted {digest}, found {}", claim.image);
            return Err(Failure::usage(message).caused_by(problem));
        }
        if claim.reference != image.name() {
            let called = claim.reference.escape_debug();
            ui::note(&format!("the payload {name} calls the image `{called}`"));
        }
        Ok(())
    }
}

/// The statement that Cosign v3 signs: the image's digest without a name, and an empty predicate.
/// The empty name is the same as none in protobuf's JSON, and sigstore-python insists on one.
pub(super) fn statement(digest: &Digest, annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let mut subject = json!({"name": "", "digest": {digest.algorithm().name(): digest.hex()}});
    if !annotations.is_empty() {
        subject["annotations"] = json!(annotations);
    }
    let statement = json!({
        "_type": STATEMENT_TYPE_V1,
        "subject": [subject],
        "predicateType": predicate::SIGN,
        "predicate": {},
    });
    serde_json::to_vec(&statement).expect("a statement has only text, so it always serialises")
}
