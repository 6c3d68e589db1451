//! What `admit` tells the person who started it.

use std::net::SocketAddr;
use std::path::Path;

use crate::ui::terminal::eprintln;
use policy::cluster_image_policy::Remark;

use super::{FAINT, GOOD, UNSURE, plain};

/// Says where it is and what it applies.
pub(crate) fn started(address: &SocketAddr, policies: &[String]) {
    eprintln!("{GOOD}ready{GOOD:#} at https://{address}");
    eprintln!("  {FAINT} policies{FAINT:#}  {}", policies.join(", "));
    eprintln!("  {FAINT} webhooks{FAINT:#}  /mutate and /validate");
}

/// Says what may not be meant in a policy that is valid.
pub(crate) fn remark(path: &Path, remark: &Remark) {
    let text = plain(&format!("{}: {remark}", path.display()));
    eprintln!("{UNSURE}note:{UNSURE:#} {text}");
}

/// Says that it is over.
pub(crate) fn stopped() {
    eprintln!("stopped");
}
