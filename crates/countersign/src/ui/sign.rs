//! What the signing commands tell.

use crate::ui::terminal::println;
use evidence::bundle::SignerMaterial;
use evidence::certificate::SubjectName;
use evidence::{Digest, Evidence};

use serde_json::json;

use super::{FAINT, GOOD, Output, plain};

/// Name and version of the JSON that is printed about a signature. A field may be added in a
/// version; one that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/signed/v1";

/// Says what was signed, as whom, and where the evidence is.
pub(crate) fn signed(
    output: Output,
    name: &str,
    digest: &Digest,
    evidence: &Evidence,
    place: &str,
) {
    match output {
        Output::Text => print_text(name, digest, evidence, place),
        Output::Json => print_json(name, digest, evidence, place),
    }
}

/// Says that this signer had signed it before, and that nothing was done.
pub(crate) fn there_already(output: Output, name: &str, digest: &Digest) {
    match output {
        Output::Text => {
            println!("{GOOD}signed already{GOOD:#} {}", plain(name));
            print_field("digest", &digest.to_string());
        }
        Output::Json => {
            let artifact = json!({"name": name, "digest": digest.to_string()});
            println!("{}", json!({"schema": SCHEMA, "artifact": artifact, "signedBefore": true}));
        }
    }
}

/// One document on one line, so that several images make as many lines.
fn print_json(name: &str, digest: &Digest, evidence: &Evidence, place: &str) {
    let certificate = match &evidence.signer {
        SignerMaterial::Certificate(certificate) => Some(certificate),
        SignerMaterial::PublicKeyHint(_) => None,
    };
    let subject = certificate
        .and_then(|certificate| certificate.names().first())
        .and_then(SubjectName::as_str);
    let document = json!({
        "schema": SCHEMA,
        "artifact": {"name": name, "digest": digest.to_string()},
        "signer": {
            "subject": subject,
            "issuer": certificate.and_then(|certificate| certificate.fulcio().issuer()),
        },
        "logEntries": evidence.entries.iter().map(|entry| entry.log_index).collect::<Vec<_>>(),
        "evidence": place,
    });
    println!("{document}");
}

fn print_text(name: &str, digest: &Digest, evidence: &Evidence, place: &str) {
    println!("{GOOD}signed{GOOD:#} {}", plain(name));
    print_field("digest", &digest.to_string());
    if let SignerMaterial::Certificate(certificate) = &evidence.signer {
        let subject = certificate.names().first().and_then(SubjectName::as_str);
        print_field("signer", subject.unwrap_or_default());
        // A certificate of a company's own authority names no identity provider.
        if let Some(issuer) = certificate.fulcio().issuer() {
            print_field("vouched", &format!("by {issuer}"));
        }
    }
    for entry in &evidence.entries {
        print_field("logged", &format!("as entry {}", entry.log_index));
    }
    if !place.is_empty() {
        print_field("evidence", place);
    }
}

fn print_field(name: &str, value: &str) {
    println!("  {FAINT}{name:>9}{FAINT:#}  {}", plain(value));
}
