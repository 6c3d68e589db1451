//! What lies beside an image: listed, carried along, and taken away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::interop::bench::Log;
use crate::interop::exit::{UNSIGNED, expect_success};
use crate::interop::failure::Failure;
use crate::interop::shelf::{REPOSITORY, Said, Shelf};

/// Where the evidence lies beside an image that was signed and attested in both formats.
const EVERYTHING: [&str; 4] = ["attestation tag", "referrers", "referrers", "signature tag"];

/// The annotation of a layer that holds its log entry (Cosign, "Signature Specification").
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// `tree`, `copy` and `clean`: the copy has all that the image has, and loses it alone.
pub(super) fn round(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let image = shelf.image("amd64");
    expect_beside(shelf, &image, &[])?;
    for said in [Said::Signature, Said::Attestation] {
        shelf.say(said, Log::V1, "both", "amd64")?;
    }
    expect_beside(shelf, &image, &EVERYTHING)?;
    expect_logged_as_kept(shelf)?;

    let copy = format!("{}/elsewhere/copy:amd64", shelf.standing.host());
    let mut command = shelf.ours();
    expect_success(shelf.run(command.args(["copy", &image, &copy]))?)?;
    expect_beside(shelf, &copy, &EVERYTHING)?;
    for said in [Said::Signature, Said::Attestation] {
        shelf.expect_verified(said, &copy)?;
    }

    let mut command = shelf.ours();
    expect_success(shelf.run(command.args(["clean", "--force", &copy]))?)?;
    expect_beside(shelf, &copy, &[])?;
    for said in [Said::Signature, Said::Attestation] {
        shelf.expect(said, &copy, UNSIGNED)?;
        shelf.expect(said, &image, 0)?;
    }
    Ok(())
}

/// `tree` lists these places, and has seen all of it.
fn expect_beside(shelf: &Shelf<'_>, image: &str, wanted: &[&str]) -> Result<(), Failure> {
    let mut command = shelf.ours();
    let listed = expect_success(shelf.run(command.args(["tree", "--output", "json", image]))?)?;
    let tree: Value = serde_json::from_str(&listed.stdout)?;
    let attachments = tree["attachments"].as_array().into_iter().flatten();
    let mut found: Vec<&str> = attachments.filter_map(|one| one["place"].as_str()).collect();
    found.sort_unstable();
    if found == wanted {
        return Ok(());
    }
    Err(Failure::new(format!("beside {image} wanted {wanted:?}, found {found:?}\n{tree:#}")))
}

/// The attestation under Cosign's tag is, byte for byte, the envelope that the log was shown. Cosign
/// compares their hashes.
fn expect_logged_as_kept(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let tag = format!("{}.att", shelf.digest("amd64")?.replace(':', "-"));
    let manifest: Value = serde_json::from_str(&shelf.manifest(&format!("{REPOSITORY}:{tag}"))?)?;
    let layer = &manifest["layers"][0];
    let promised = layer["annotations"][LOG_ENTRY].as_str().unwrap_or_default();
    let promised: Value = serde_json::from_str(promised)?;
    let entry = STANDARD.decode(promised["Payload"]["body"].as_str().unwrap_or_default())?;
    let entry: Value = serde_json::from_slice(&entry)?;
    let logged = entry["spec"]["envelopeHash"]["value"].as_str().unwrap_or_default();
    if layer["digest"] == format!("sha256:{logged}") {
        return Ok(());
    }
    Err(Failure::new(format!("the log entry is about {logged}, the layer is {layer:#}")))
}

/// `registry check`: all that signing needs works, and it says how referrers are kept. Nothing is
/// left behind.
pub(super) fn check(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let before = shelf.tags()?;
    let repository = shelf.image("amd64");
    let repository = repository.trim_end_matches(":amd64");
    let mut command = shelf.ours();
    command.args(["registry", "check", "--output", "json", repository]);
    let report: Value = serde_json::from_str(&expect_success(shelf.run(&mut command)?)?.stdout)?;
    let checks = report["checks"].as_array().into_iter().flatten();
    let referrers = checks
        .filter(|check| check["check"] == "referrers")
        .find_map(|check| check["finding"].as_str());
    let wanted = match shelf.place.has_referrers_api() {
        true => "the referrers API lists it",
        false => "no referrers API",
    };
    if !referrers.is_some_and(|finding| finding.contains(wanted)) {
        return Err(Failure::new(format!("wanted `{wanted}` of the referrers, found\n{report:#}")));
    }
    let after = shelf.tags()?;
    if after != before {
        return Err(Failure::new(format!("it left tags behind: {before:?} became {after:?}")));
    }
    Ok(())
}
