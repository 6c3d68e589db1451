//! Every signer against every verifier, in both logs: files, and statements about files.

use super::bench::Log;
use super::check::Check;
use super::clients::{Claim, Client, Kind, Subject, bundle_of};
use super::failure::Failure;
use super::group::Group;
use super::trial;

/// What the Python client says of a log entry whose kind it does not read.
const UNREAD_ENTRY: &str = "Unsupported DSSE log entry type";

/// Every signer against every verifier, in both logs.
pub(super) fn checks() -> Vec<Check> {
    let clients = [Client::Python, Client::JavaScript, Client::Ours];
    let mut checks = Vec::new();
    for signer in clients {
        for kind in [Kind::Blob, Kind::Statement] {
            for log in [Log::V1, Log::V2] {
                for verifier in clients {
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
        let artifact = bench.write("artifact.txt", b"what is signed\n")?;
        let other = bench.write("other.txt", b"what is not signed\n")?;
        let bundle = bundle_of(bench, signer, log, kind, &artifact)?;
        let identity = bench.identity();
        let honest = Claim {
            bundle: &bundle,
            kind,
            subject: Subject::File(&artifact),
            identity: &identity,
            issuer: bench.issuer(),
        };
        if incompatible {
            let what = "an entry it does not read";
            let told = trial::expect_refusal(bench, verifier, &honest, what)?;
            return match told.stderr.contains(UNREAD_ENTRY) {
                true => Ok(()),
                false => Err(Failure::new(told.report())),
            };
        }
        trial::hold(bench, verifier, &honest, Subject::File(&other))
    }))
}
