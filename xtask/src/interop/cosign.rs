//! Cosign, of whatever version is on PATH: what it signs and attests we verify, what we sign and
//! attest it verifies, in both of its formats, with certificates and with keys, in every registry.

mod blobs;
mod company;
mod detached;
mod stage;

use devkit::registry::Referrers;

use super::check::Check;
use super::exit::{UNTRUSTED, expect_code, expect_success};
use super::failure::Failure;
use super::group::Group;
use super::place::Place;
use super::shelf::{Format, Said};
use stage::{Signer, Stage};

/// Every registry but the one behind a token service: that is on loopback, where Cosign 3.1.3 asks
/// none (`realm host "127.0.0.1" is a private or link-local address`).
const PLACES: [Place; 4] = [
    Place::Memory(Referrers::On),
    Place::Memory(Referrers::Off),
    Place::ReferrersApi,
    Place::Password,
];

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for place in PLACES {
        for format in [Format::Bundles, Format::Tags] {
            for signer in [Signer::Keyless, Signer::Key] {
                for said in [Said::Signature, Said::Attestation] {
                    let what = format!("{said:?} ({format:?}, {signer:?})");
                    let run = move |stage: &Stage<'_>| theirs(stage, format, signer, said);
                    checks.push(check(place, format!("Cosign's {what}"), run));
                    let run = move |stage: &Stage<'_>| ours(stage, format, signer, said);
                    checks.push(check(place, format!("our {what}, Cosign verifies"), run));
                }
            }
        }
        checks.push(check(place, "signatures by both beside each other".to_owned(), both));
        let what = "with a company's certificate, Cosign verifies and we do";
        checks.push(check(place, format!("our signature {what}"), company::ours));
        checks.push(check(place, format!("Cosign's signature {what}"), company::theirs));
        for signer in [Signer::Keyless, Signer::Key] {
            let run = move |stage: &Stage<'_>| detached::theirs(stage, signer);
            checks.push(check(place, format!("Cosign's signature in files ({signer:?})"), run));
        }
    }
    checks.extend(blobs::checks());
    checks
}

fn check(
    place: Place,
    name: String,
    run: impl Fn(&Stage<'_>) -> Result<(), Failure> + 'static,
) -> Check {
    let name = format!("{}: {name}", place.name());
    Check::new(Group::Cosign, name, move |bench| run(&Stage::set(bench, place)?))
}

/// Cosign says something about an image, and we verify it; for somebody else we do not.
fn theirs(stage: &Stage<'_>, format: Format, signer: Signer, said: Said) -> Result<(), Failure> {
    stage.cosign_says(format, signer, said)?;
    for (wanted, code) in [(stage.right(signer), 0), (stage.wrong(signer), UNTRUSTED)] {
        expect_code(code, stage.we_verify(said, &wanted)?)?;
    }
    Ok(())
}

/// We say something about an image, and Cosign verifies it; for somebody else it does not.
fn ours(stage: &Stage<'_>, format: Format, signer: Signer, said: Said) -> Result<(), Failure> {
    stage.we_say(format, signer, said)?;
    expect_success(stage.cosign_verifies(format, said, &stage.right(signer))?)?;
    let other = stage.cosign_verifies(format, said, &stage.wrong(signer))?;
    if other.succeeded() {
        return Err(Failure::new(format!("it was verified for somebody else\n{}", other.report())));
    }
    Ok(())
}

/// Each adds to what the other wrote, and nothing is lost.
fn both(stage: &Stage<'_>) -> Result<(), Failure> {
    let said = Said::Signature;
    stage.cosign_says(Format::Tags, Signer::Key, said)?;
    stage.we_say(Format::Tags, Signer::Keyless, said)?;
    stage.cosign_says(Format::Tags, Signer::Keyless, said)?;
    let found = stage.signatures()?;
    if found != 3 {
        return Err(Failure::new(format!("wanted 3 signatures under the tag, found {found}")));
    }
    stage.cosign_says(Format::Bundles, Signer::Keyless, said)?;
    stage.we_say(Format::Bundles, Signer::Keyless, said)?;
    stage.cosign_says(Format::Bundles, Signer::Key, said)?;
    let found = stage.bundles()?;
    if found != 3 {
        return Err(Failure::new(format!("wanted 3 bundles beside the image, found {found}")));
    }
    for format in [Format::Tags, Format::Bundles] {
        for signer in [Signer::Keyless, Signer::Key] {
            expect_success(stage.cosign_verifies(format, said, &stage.right(signer))?)?;
        }
    }
    for signer in [Signer::Keyless, Signer::Key] {
        expect_code(0, stage.we_verify(said, &stage.right(signer))?)?;
    }
    Ok(())
}
