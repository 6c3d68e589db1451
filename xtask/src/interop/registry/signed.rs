//! Images signed and verified by us.

use crate::interop::bench::Log;
use crate::interop::exit::UNSIGNED;
use crate::interop::failure::Failure;
use crate::interop::shelf::{Format, PLATFORMS, Said, Shelf};

/// Nobody has said anything about it yet.
pub(super) fn unsigned(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let image = shelf.image("amd64");
    shelf.expect(Said::Signature, &image, UNSIGNED)?;
    shelf.expect(Said::Attestation, &image, UNSIGNED)?;
    Ok(())
}

/// By tag and by digest; and what is written beside the image is what its registry needs.
pub(super) fn one_image(shelf: &Shelf<'_>) -> Result<(), Failure> {
    shelf.say(Said::Signature, Log::V1, Format::Bundles.argument(), "amd64")?;
    for image in [shelf.image("amd64"), shelf.pinned("amd64")?] {
        shelf.expect_verified(Said::Signature, &image)?;
    }
    // The other platform's image is another image.
    shelf.expect(Said::Signature, &shelf.image("arm64"), UNSIGNED)?;
    expect_tags(shelf, "amd64")
}

/// Without a referrers API there is one more tag, which lists the referrers; with it there is none
/// (OCI distribution specification 1.1, "Referrers Tag Schema").
fn expect_tags(shelf: &Shelf<'_>, signed: &str) -> Result<(), Failure> {
    let mut wanted: Vec<String> = PLATFORMS.iter().map(|&tag| tag.to_owned()).collect();
    if !shelf.place.has_referrers_api() {
        wanted.push(shelf.digest(signed)?.replace(':', "-"));
    }
    let found = shelf.tags()?;
    if found == wanted {
        return Ok(());
    }
    Err(Failure::new(format!("wanted the tags {wanted:?}, found {found:?}")))
}

/// The index is signed; its images are not.
pub(super) fn index(shelf: &Shelf<'_>) -> Result<(), Failure> {
    shelf.make_index("multi")?;
    shelf.say(Said::Signature, Log::V1, Format::Bundles.argument(), "multi")?;
    shelf.expect_verified(Said::Signature, &shelf.image("multi"))?;
    shelf.expect(Said::Signature, &shelf.image("amd64"), UNSIGNED)?;
    Ok(())
}

/// The newer log makes no promise of a time: the bundle brings a timestamp along.
pub(super) fn log_v2(shelf: &Shelf<'_>) -> Result<(), Failure> {
    shelf.say(Said::Signature, Log::V2, Format::Bundles.argument(), "arm64")?;
    shelf.expect_verified(Said::Signature, &shelf.image("arm64"))
}
