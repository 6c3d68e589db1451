//! A verifier on trial: it must accept an honest claim, and refuse the same bundle for another
//! artifact, another signer and another issuer, so that no acceptance is empty.

use serde_json::Value;

use super::bench::Bench;
use super::clients::{Claim, Client, Kind, Subject};
use super::failure::Failure;
use super::process::Finished;

/// A workflow that signs nothing here.
pub(super) const STRANGER: &str =
    "https://github.com/stranger/interop/.github/workflows/release.yml@refs/heads/main";

/// An identity provider that vouches for nobody here.
pub(super) const ELSEWHERE: &str = "https://issuer.example.test";

/// The verifier accepts the claim, and refuses every lie about it.
pub(super) fn hold(
    bench: &Bench,
    verifier: Client,
    honest: &Claim<'_>,
    other: Subject<'_>,
) -> Result<(), Failure> {
    expect_acceptance(bench, verifier, honest)?;
    if verifier.compares(honest.kind) {
        let lie = Claim { subject: other, ..*honest };
        expect_refusal(bench, verifier, &lie, "another artifact")?;
    }
    let lie = Claim { identity: STRANGER, ..*honest };
    expect_refusal(bench, verifier, &lie, "another signer")?;
    expect_refusal(bench, verifier, &Claim { issuer: ELSEWHERE, ..*honest }, "another issuer")?;
    Ok(())
}

/// The verifier accepts; a statement it prints is about the artifact.
fn expect_acceptance(bench: &Bench, verifier: Client, claim: &Claim<'_>) -> Result<(), Failure> {
    let finished = verifier.verify(bench, claim)?;
    if !finished.succeeded() {
        return Err(Failure::new(finished.report()));
    }
    if claim.kind == Kind::Statement && !verifier.compares(claim.kind) {
        let statement: Value = serde_json::from_str(&finished.stdout)?;
        if statement["subject"][0]["digest"]["sha256"] != claim.subject.sha256()?.as_str() {
            let found = format!("the statement is about something else: {statement}");
            return Err(Failure::new(found));
        }
    }
    Ok(())
}

/// The verifier refuses, and says so.
pub(super) fn expect_refusal(
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
