//! What `serve` tells the person who started it.

use crate::ui::terminal::eprintln;

use super::{FAINT, GOOD};
use crate::instance::Location;

/// Says where it is and how to use it.
pub(crate) fn started(location: &Location, issuers: &[String]) {
    let Location { data, lock, url, .. } = location;
    let config = data.join("public").join("trust_config.json");
    let config = config.display();
    eprintln!("{GOOD}ready{GOOD:#} at {url}");
    eprintln!("  {FAINT}    data{FAINT:#}  {}", data.display());
    eprintln!("  {FAINT}    lock{FAINT:#}  {} (keep it out of the data's backups)", lock.display());
    eprintln!(
        "  {FAINT} offline{FAINT:#}  {} (the roots' keys: move them off this machine)",
        data.join("keys").join("offline").display()
    );
    for issuer in issuers {
        eprintln!("  {FAINT}  issuer{FAINT:#}  {issuer}");
    }
    eprintln!("  {FAINT}   trust{FAINT:#}  {config}, also {url}/trust_config.json");
    eprintln!();
    eprintln!("  countersign sign-blob --trust-config {config} --bundle FILE.sigstore.json FILE");
    eprintln!("  sigstore --trust-config {config} sign FILE");
    eprintln!(
        "  cosign sign-blob --signing-config {signing} --trusted-root {root} \\\n    --bundle FILE.sigstore.json FILE",
        signing = data.join("public").join("signing_config.json").display(),
        root = data.join("public").join("trusted_root.json").display()
    );
    eprintln!();
}

/// Says that it is over.
pub(crate) fn stopped() {
    eprintln!("stopped; everything that was acknowledged is durable");
}
