//! What the signing commands tell.

use anstream::println;
use evidence::bundle::SignerMaterial;
use evidence::certificate::SubjectName;
use evidence::{Digest, Evidence};

use super::{FAINT, GOOD, plain};

/// Says what was signed, as whom, and where the evidence is.
pub(crate) fn signed(name: &str, digest: &Digest, evidence: &Evidence, place: &str) {
    println!("{GOOD}signed{GOOD:#} {}", plain(name));
    print_field("digest", &digest.to_string());
    if let SignerMaterial::Certificate(certificate) = &evidence.signer {
        let subject = certificate.names().first().and_then(SubjectName::as_str);
        print_field("signer", subject.unwrap_or_default());
        print_field(
            "vouched",
            &format!("by {}", certificate.fulcio().issuer().unwrap_or_default()),
        );
    }
    for entry in &evidence.entries {
        print_field("logged", &format!("as entry {}", entry.log_index));
    }
    print_field("evidence", place);
}

fn print_field(name: &str, value: &str) {
    println!("  {FAINT}{name:>9}{FAINT:#}  {}", plain(value));
}
