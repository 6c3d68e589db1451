//! Images in registries of others: made by `umoci`, pushed by `skopeo`, gathered into an index by
//! `buildah`; signed, attested, listed, copied, cleaned and verified by us, and by the Python and
//! JavaScript clients. The registries are Debian's `docker-registry` 2.8, which knows no referrers
//! API, once behind `htpasswd` and once behind a token service; and one that has the API.

mod attested;
mod kept;
mod login;
mod signed;

use super::check::Check;
use super::failure::Failure;
use super::group::Group;
use super::place::Place;
use super::shelf::Shelf;

/// How a check is run, once the images are there.
type Run = fn(&Shelf<'_>) -> Result<(), Failure>;

/// What holds in every registry.
const EVERYWHERE: [(&str, Run); 8] = [
    ("an unsigned image is refused", signed::unsigned),
    ("an image is signed and verified by tag and by digest", signed::one_image),
    ("an index of two platforms is signed and verified", signed::index),
    ("an image signed in log v2 is verified", signed::log_v2),
    ("our signatures and attestations, Python and JavaScript verify", attested::ours),
    ("attestations by Python and JavaScript, we verify", attested::theirs),
    ("what lies beside an image is listed, copied and cleaned", kept::round),
    ("registry check finds what signing needs", kept::check),
];

/// What holds where somebody must log in.
const WITH_LOGIN: [(&str, Run); 1] =
    [("a wrong password is told apart from an unsigned image", login::wrong_password)];

/// What holds where a token service stands on another port.
const WITH_TOKENS: [(&str, Run); 2] = [
    ("who may only pull verifies and cannot sign", login::reader),
    ("a token service that nobody named is sent nothing", login::unnamed_service),
];

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (group, place, parts) in [
        (Group::Registry, Place::Password, &[&EVERYWHERE[..], &WITH_LOGIN][..]),
        (Group::Registry, Place::Tokens, &[&EVERYWHERE, &WITH_LOGIN, &WITH_TOKENS]),
        (Group::Referrers, Place::ReferrersApi, &[&EVERYWHERE]),
    ] {
        for &(name, run) in parts.iter().copied().flatten() {
            let name = format!("{}: {name}", place.name());
            checks.push(Check::new(group, name, move |bench| run(&Shelf::start(bench, place)?)));
        }
    }
    checks
}
