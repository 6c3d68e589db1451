//! Every signer against every verifier, in both logs. Each check also shows that the verifier
//! refuses another file and another signer, so that no acceptance is empty.

use std::fs;
use std::path::PathBuf;

use super::bench::{Bench, Log};
use super::check::Check;
use super::clients::{Claim, Client, Kind, bundle_of};
use super::failure::Failure;
use super::group::Group;
use super::process::Finished;

/// What the Python client says of a log entry whose kind it does not read.
const UNREAD_ENTRY: &str = "Unsupported DSSE log entry type";

/// Every signer against every verifier, in both logs.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (signer, kinds) in [
        (Client::Python, &[Kind::Blob, Kind::Statement][..]),
        (Client::JavaScript, &[Kind::Blob, Kind::Statement]),
        (Client::Ours, &[Kind::Blob]),
    ] {
        for &kind in kinds {
            for log in [Log::V1, Log::V2] {
                for verifier in [Client::Ours, Client::Python, Client::JavaScript] {
                    checks.extend(between(signer, kind, log, verifier));
                }
            }
        }
    }
    checks
}

fn between(signer: Client, kind: Kind, log: Log, verifier: Client) -> Option<Check> {
    let group = match (signer, verifier) {
        (Client::JavaScript, _) | (_, Client::JavaScript) => Group::JavaScript,
        (Client::Python, _) | (_, Client::Python) => Group::Python,
        // Ourselves with ourselves is no proof of anything; our own tests do that.
        (Client::Ours, Client::Ours) => return None,
    };
    let what = match kind {
        Kind::Blob => "a file",
        Kind::Statement => "a statement",
    };
    let (signs, verifies, version) = (signer.name(), verifier.name(), log.version());
    // The JavaScript client still logs envelopes as `dsse/0.0.2` in the newer log; the Python
    // client has stopped reading those. When either changes, this check says so.
    let incompatible = (signer, kind, log, verifier)
        == (Client::JavaScript, Kind::Statement, Log::V2, Client::Python);
    let outcome = if incompatible { "refuses (known)" } else { "verifies" };
    let name = format!("{signs} signs {what} in log v{version}, {verifies} {outcome}");
    Some(Check::new(group, name, move |bench| {
        let artifact = artifact(bench)?;
        let bundle = bundle_of(bench, signer, log, kind, &artifact)?;
        let (artifact, identity) = (artifact.to_string_lossy(), bench.identity());
        let honest = Claim {
            bundle: &bundle,
            artifact: &artifact,
            identity: &identity,
            issuer: bench.issuer(),
        };
        if incompatible {
            let told = expect_refusal(bench, verifier, &honest, "an entry it does not read")?;
            return match told.stderr.contains(UNREAD_ENTRY) {
                true => Ok(()),
                false => Err(Failure::new(told.report())),
            };
        }
        expect_acceptance(bench, verifier, kind, &honest)?;
        expect_lies_refused(bench, verifier, kind, &honest)
    }))
}

/// The file that is signed.
fn artifact(bench: &Bench) -> Result<PathBuf, Failure> {
    Ok(bench.write("artifact.txt", b"what is signed\n")?)
}

/// The verifier accepts; an envelope it prints is about the artifact.
fn expect_acceptance(
    bench: &Bench,
    verifier: Client,
    kind: Kind,
    claim: &Claim<'_>,
) -> Result<(), Failure> {
    let finished = verifier.verify(bench, claim)?;
    if !finished.succeeded() {
        return Err(Failure::new(finished.report()));
    }
    // The JavaScript library leaves the comparison of subjects to its caller.
    if verifier == Client::JavaScript && kind == Kind::Statement {
        let statement: serde_json::Value = serde_json::from_str(&finished.stdout)?;
        let digest = hex::encode(crypto::sha256(&fs::read(claim.artifact)?));
        if statement["subject"][0]["digest"]["sha256"] != digest.as_str() {
            return Err(Failure::new("the statement is not about the artifact"));
        }
    }
    Ok(())
}

/// The verifier refuses another file, another signer and another issuer.
fn expect_lies_refused(
    bench: &Bench,
    verifier: Client,
    kind: Kind,
    honest: &Claim<'_>,
) -> Result<(), Failure> {
    let other = bench.write("other.txt", b"what is not signed\n")?;
    let other = other.to_string_lossy();
    let stranger =
        "https://github.com/stranger/interop/.github/workflows/release.yml@refs/heads/main";
    // The JavaScript library does not look at the file a statement is about.
    if !(verifier == Client::JavaScript && kind == Kind::Statement) {
        expect_refusal(bench, verifier, &Claim { artifact: &other, ..*honest }, "another file")?;
    }
    expect_refusal(bench, verifier, &Claim { identity: stranger, ..*honest }, "another signer")?;
    let elsewhere = Claim { issuer: "https://issuer.example.test", ..*honest };
    expect_refusal(bench, verifier, &elsewhere, "another issuer")?;
    Ok(())
}

fn expect_refusal(
    bench: &Bench,
    verifier: Client,
    claim: &Claim<'_>,
    what: &str,
) -> Result<Finished, Failure> {
    let finished = verifier.verify(bench, claim)?;
    if finished.succeeded() {
        return Err(Failure::new(format!("{} accepts {what}", verifier.name())));
    }
    if !verifier.refused(&finished) {
        let report = finished.report();
        return Err(Failure::new(format!("wanted a refusal of {what}, found\n{report}")));
    }
    Ok(finished)
}
