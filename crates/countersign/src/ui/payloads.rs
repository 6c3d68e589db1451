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

/// Prints one array of all that was verified; nothing where something was not, so that no program
/// takes a part for the whole.
pub(crate) fn print(shown: &[Shown<'_>]) {
    let mut payloads = Vec::new();
    for shown in shown {
        let Verdict::Admit(grounds) = shown.verdict else { return };
        for ground in &grounds.0 {
            if let Ground::Claim { claim, .. } = ground {
                payloads.push(payload(shown.name, shown.digest, claim));
            }
        }
    }
    println!("{}", Value::from(payloads));
}

fn payload(name: &str, digest: &Digest, claim: &VerifiedClaim) -> Value {
    let reference = name.parse::<ImageRef>().map_or_else(|_| name.to_owned(), |image| image.name());
    let kind = match claim.said() {
        Said::Statement(statement) => statement.predicate_type.as_str(),
        Said::Signature | Said::SimpleSigning(_) => evidence::cosign::IMAGE_SIGNATURE_TYPE,
    };
    let annotations = claim.annotations().map(|annotations| annotations.get());
    let mut optional: Map<String, Value> =
        annotations.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let signer = [("Issuer", claim.signer().issuer()), ("Subject", claim.signer().subject())];
    for (name, value) in signer {
        if let Some(value) = value {
            optional.insert(name.to_owned(), value.into());
        }
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
