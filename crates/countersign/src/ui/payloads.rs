//! What was verified about images, as Cosign prints it: one array of simple signing payloads.
//!
//! Cosign's `VERSIONING.md` makes this its interface for programs. Signer and issuer stand among the
//! optional members, as they did before Cosign's third version left them out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::bundle::Content;
use evidence::{Digest, Evidence, ImageRef};
use serde_json::{Map, Value, json};
use verify::claim::Said;
use verify::{Ground, Verdict, VerifiedClaim};

use super::terminal::println;
use super::verdict::Shown;

/// The name that Docker Hub has in Cosign's references.
const HUB: &str = "index.docker.io";

/// Prints one array of all that was verified; nothing where something was not, so that no program
/// takes a part for the whole. Images in folders have no reference, as with Cosign.
pub(crate) fn print(shown: &[Shown<'_>], in_folders: bool) {
    let mut payloads = Vec::new();
    for shown in shown {
        let Verdict::Admit(grounds) = shown.verdict else { return };
        let reference = if in_folders { String::new() } else { reference(shown.name) };
        for ground in &grounds.0 {
            if let Ground::Claim { claim, .. } = ground {
                payloads.push(payload(&reference, shown.digest, claim));
            }
        }
    }
    println!("{}", Value::from(payloads));
}

/// What was asked for, with its tag, as Cosign writes it in full: where there is a digest too, that is
/// what is pulled, and the tag is left out.
fn reference(name: &str) -> String {
    let Ok(image) = name.parse::<ImageRef>() else { return name.to_owned() };
    let registry = image.registry();
    let registry = if registry.is_docker_hub() { HUB } else { registry.as_str() };
    let repository = format!("{registry}/{}", image.repository());
    match (image.digest(), image.tag()) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => repository,
    }
}

fn payload(reference: &str, digest: &Digest, claim: &VerifiedClaim) -> Value {
    // What was signed in the older format is printed as it was signed.
    let reference = match claim.said() {
        Said::SimpleSigning(signed) => signed.reference.as_str(),
        Said::Signature | Said::Statement(_) => reference,
    };
    let kind = match claim.said() {
        Said::Statement(statement) => statement.predicate_type.as_str(),
        Said::Signature | Said::SimpleSigning(_) => evidence::cosign::IMAGE_SIGNATURE_TYPE,
    };
    let annotations = claim.annotations().map(|annotations| annotations.get());
    let mut optional: Map<String, Value> =
        annotations.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let signer = [("Issuer", claim.signer().issuer()), ("Subject", claim.signer().subject())];
    for (name, value) in signer {
        match value {
            Some(value) => optional.insert(name.to_owned(), value.into()),
            // What a certified signer writes there is nobody's word for who vouched.
            None if claim.signer().subject().is_some() => optional.remove(name),
            None => None,
        };
    }
    json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest.to_string()},
            "type": kind,
        },
        "optional": optional,
    })
}

/// Prints an envelope on a line, as it stands in its bundle; nothing for what is no attestation.
pub(crate) fn print_envelope(evidence: &Evidence) {
    let Content::Envelope(envelope) = &evidence.content else { return };
    let document = json!({
        "payloadType": envelope.payload_type,
        "payload": STANDARD.encode(&envelope.payload),
        "signatures": [{"sig": STANDARD.encode(&envelope.signature)}],
    });
    println!("{document}");
}
