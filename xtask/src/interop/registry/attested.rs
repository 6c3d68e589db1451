//! What we attach to images, read by the clients of others; and what they attach, read by us.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::interop::bench::{Log, get};
use crate::interop::clients::{Claim, Client, Kind, Subject};
use crate::interop::exit::{UNSIGNED, UNTRUSTED, expect_code, expect_success};
use crate::interop::failure::Failure;
use crate::interop::shelf::{Format, REPOSITORY, Said, Shelf};
use crate::interop::trial;

/// Artifact type of a bundle that refers to an image.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// An image for each log, so that a bundle of one never stands in for one of the other.
const LOGS: [(Log, &str); 2] = [(Log::V1, "amd64"), (Log::V2, "arm64")];

/// Python and JavaScript verify the bundles that we attach: found as any OCI client finds them, and
/// as `download attestation` prints them.
pub(super) fn ours(shelf: &Shelf<'_>) -> Result<(), Failure> {
    for (log, tag) in LOGS {
        for said in [Said::Signature, Said::Attestation] {
            shelf.say(said, log, Format::Bundles.argument(), tag)?;
        }
        let attached = referrers(shelf, tag)?;
        let [_signature, _attestation] = attached.as_slice() else {
            return Err(Failure::new(format!("wanted two bundles, found {}", attached.len())));
        };
        for manifest in &attached {
            try_bundle(shelf, tag, &content(shelf, manifest)?)?;
        }
        try_bundle(shelf, tag, &downloaded(shelf, tag)?)?;
        shelf.expect_verified(Said::Attestation, &shelf.image(tag))?;
    }
    Ok(())
}

/// We verify the attestations that Python and JavaScript make of an image, attached by the JavaScript
/// library, as CI jobs on GitHub attach theirs. Each lies in a repository of its own, so that none is
/// accepted for the sake of another.
pub(super) fn theirs(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let manifest = shelf.manifest(&format!("{REPOSITORY}:amd64"))?;
    let manifest = shelf.bench.write("manifest.json", manifest.as_bytes())?;
    let digest = shelf.digest("amd64")?;
    for client in [Client::Python, Client::JavaScript] {
        for log in [Log::V1, Log::V2] {
            let name = format!("{}-v{}", client.name().to_lowercase(), log.version());
            let repository = format!("{}/{name}", shelf.standing.host());
            for tag in ["amd64", "arm64"] {
                let from = format!("docker://{}", shelf.image(tag));
                let to = format!("docker://{repository}:{tag}");
                shelf.skopeo(&[
                    "copy",
                    "--src-tls-verify=false",
                    "--dest-tls-verify=false",
                    &from,
                    &to,
                ])?;
            }
            let bundle = shelf.bench.path(&format!("{name}-{}.json", shelf.standing.host()));
            client.sign(shelf.bench, log, Kind::Statement, &manifest, &bundle)?;
            attach(shelf, &bundle, &format!("{repository}@{digest}"))?;
            let image = format!("{repository}:amd64");
            shelf.expect_verified(Said::Attestation, &image)?;
            // It says nothing of that type, and nothing about the other image.
            let mut command = shelf.ours();
            command.args(["verify-attestation", "--type", "spdxjson", "--trust-config"]);
            command.arg(shelf.bench.trust_config(Log::V1));
            command.args(["--certificate-identity", &shelf.bench.identity()]);
            command.args(["--certificate-oidc-issuer", shelf.bench.issuer(), &image]);
            expect_code(UNTRUSTED, shelf.run(&mut command)?)?;
            shelf.expect(Said::Attestation, &format!("{repository}:arm64"), UNSIGNED)?;
        }
    }
    Ok(())
}

/// Attaches a bundle to an image with the JavaScript library.
fn attach(shelf: &Shelf<'_>, bundle: &Path, image: &str) -> Result<(), Failure> {
    let mut command = shelf.bench.javascript();
    command.arg("attach").arg("--bundle").arg(bundle);
    if let Some(owner) = shelf.standing.owner() {
        command.args(["--user", owner.user, "--password", owner.password]);
    }
    expect_success(shelf.run(command.arg(image))?)?;
    Ok(())
}

/// Both clients of others hold the bundle to be ours, about this image and no other.
fn try_bundle(shelf: &Shelf<'_>, tag: &str, bundle: &Path) -> Result<(), Failure> {
    let (digest, identity) = (shelf.digest(tag)?, shelf.bench.identity());
    let other = format!("sha256:{}", hex::encode(crypto::sha256(b"another image")));
    let honest = Claim {
        bundle,
        kind: Kind::Statement,
        subject: Subject::Digest(&digest),
        identity: &identity,
        issuer: shelf.bench.issuer(),
    };
    for verifier in [Client::Python, Client::JavaScript] {
        trial::hold(shelf.bench, verifier, &honest, Subject::Digest(&other))?;
    }
    Ok(())
}

/// The manifests of the bundles that refer to an image: from the referrers API, else from the tag
/// that stands in for it (OCI distribution specification 1.1, "Listing Referrers").
fn referrers(shelf: &Shelf<'_>, tag: &str) -> Result<Vec<String>, Failure> {
    let digest = shelf.digest(tag)?;
    let list: Value = if shelf.place.has_referrers_api() {
        let path = format!("/v2/{REPOSITORY}/referrers/{digest}");
        let (status, body) = get(shelf.standing.host().parse()?, &path)?;
        if status != 200 {
            return Err(Failure::new(format!("the referrers API answers {status}")));
        }
        serde_json::from_slice(&body)?
    } else {
        let fallback = digest.replace(':', "-");
        serde_json::from_str(&shelf.manifest(&format!("{REPOSITORY}:{fallback}"))?)?
    };
    let listed = list["manifests"].as_array().into_iter().flatten();
    let bundles = listed.filter(|manifest| manifest["artifactType"] == BUNDLE);
    Ok(bundles.filter_map(|manifest| Some(manifest["digest"].as_str()?.to_owned())).collect())
}

/// The bundle in an artifact, copied out by skopeo.
fn content(shelf: &Shelf<'_>, digest: &str) -> Result<PathBuf, Failure> {
    let reference = format!("{REPOSITORY}@{digest}");
    let manifest: Value = serde_json::from_str(&shelf.manifest(&reference)?)?;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
    let folder = shelf.bench.path(&format!("artifact-{}", digest.trim_start_matches("sha256:")));
    let from = format!("docker://{}/{reference}", shelf.standing.host());
    let to = format!("dir:{}", folder.display());
    shelf.skopeo(&["copy", "--src-tls-verify=false", &from, &to])?;
    Ok(folder.join(layer.trim_start_matches("sha256:")))
}

/// The only attestation of an image, as `download attestation` prints it.
fn downloaded(shelf: &Shelf<'_>, tag: &str) -> Result<PathBuf, Failure> {
    let mut command = shelf.ours();
    command.args(["download", "attestation", &shelf.image(tag)]);
    let printed = expect_success(shelf.run(&mut command)?)?.stdout;
    let attestations: Vec<&str> = printed.lines().filter(|line| line.contains("dsse")).collect();
    let [only] = attestations.as_slice() else {
        return Err(Failure::new(format!("wanted one attestation, found\n{printed}")));
    };
    Ok(shelf.bench.write(&format!("downloaded-{tag}.json"), only.as_bytes())?)
}
