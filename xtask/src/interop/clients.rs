//! The clients as signers and verifiers of one bundle: ours, Python's, JavaScript's.

use std::fs;
use std::path::{Path, PathBuf};

use super::bench::{Bench, Log};
use super::failure::Failure;
use super::process::Finished;

/// Media type of an in-toto statement in a DSSE envelope.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// The predicate that both the Python client and the JavaScript one can be given.
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// Someone who signs and verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// The binary of this workspace.
    Ours,
    /// `sigstore` for Python.
    Python,
    /// `@sigstore/sign` and `@sigstore/verify`.
    JavaScript,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The file itself.
    Blob,
    /// An in-toto statement about the file, in a DSSE envelope.
    Statement,
}

/// What a verifier is asked to believe.
pub(super) struct Claim<'a> {
    pub(super) bundle: &'a Path,
    /// The file, or for our client and Python's also `sha256:HEX`.
    pub(super) artifact: &'a str,
    pub(super) identity: &'a str,
    pub(super) issuer: &'a str,
}

impl Client {
    /// A word for it.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "countersign",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// Signs, and says where the bundle is.
    pub(super) fn sign(
        self,
        bench: &Bench,
        log: Log,
        kind: Kind,
        artifact: &Path,
        bundle: &Path,
    ) -> Result<(), Failure> {
        let token = bench.token()?;
        let config = bench.trust_config(log);
        let mut command = match self {
            Self::Ours => bench.ours(),
            Self::Python => bench.python(),
            Self::JavaScript => bench.javascript(),
        };
        match (self, kind) {
            (Self::Ours, Kind::Blob) => {
                command.arg("sign-blob").arg("--trust-config").arg(&config);
                command.arg("--identity-token").arg(&token).arg("--bundle").arg(bundle);
                command.arg(artifact);
            }
            (Self::Ours, Kind::Statement) => {
                return Err(Failure::new("countersign attests images only, so far"));
            }
            (Self::Python, Kind::Blob) => {
                command.arg("--trust-config").arg(&config).args(["sign", "--identity-token"]);
                command.arg(&token).arg("--bundle").arg(bundle).arg(artifact);
            }
            (Self::Python, Kind::Statement) => {
                let predicate = bench.write("predicate.json", PREDICATE.as_bytes())?;
                command.arg("--trust-config").arg(&config).args(["attest", "--identity-token"]);
                command.arg(&token).arg("--predicate").arg(predicate);
                command.args(["--predicate-type", PREDICATE_TYPE]).arg("--bundle").arg(bundle);
                command.arg(artifact);
            }
            (Self::JavaScript, _) => {
                command.args(["sign", "--log", &log.version().to_string(), "--token", &token]);
                command.arg("--trust-config").arg(&config).arg("--bundle").arg(bundle);
                if kind == Kind::Statement {
                    let statement = bench.write("statement.json", &statement(artifact)?)?;
                    command.args(["--payload-type", STATEMENT_TYPE]).arg(statement);
                } else {
                    command.arg(artifact);
                }
            }
        }
        bench.run(&mut command).map_err(Failure::from).and_then(expect_success)
    }

    /// Verifies with the trust of this instance; says how it ended.
    pub(super) fn verify(self, bench: &Bench, claim: &Claim<'_>) -> Result<Finished, Failure> {
        let config = bench.trust_config(Log::V1);
        let mut command = match self {
            Self::Ours => bench.ours(),
            Self::Python => bench.python(),
            Self::JavaScript => bench.javascript(),
        };
        match self {
            Self::Ours => {
                command.arg("verify-blob").arg("--trusted-root").arg(bench.trusted_root());
                command.args(["--certificate-identity", claim.identity]);
                command.args(["--certificate-oidc-issuer", claim.issuer]);
            }
            Self::Python => {
                command.arg("--trust-config").arg(&config).args(["verify", "identity"]);
                command.args(["--cert-identity", claim.identity]);
                command.args(["--cert-oidc-issuer", claim.issuer]);
            }
            Self::JavaScript => {
                command.arg("verify").arg("--trust-config").arg(&config);
                command.args(["--identity", claim.identity, "--issuer", claim.issuer]);
            }
        }
        command.arg("--bundle").arg(claim.bundle).arg(claim.artifact);
        Ok(bench.run(&mut command)?)
    }

    /// Whether this way of ending is a refusal, rather than a program that broke.
    pub(super) fn refused(self, finished: &Finished) -> bool {
        match self {
            // What is not trusted has an exit code of its own.
            Self::Ours => finished.code() == Some(12),
            Self::Python => finished.code() == Some(1) && !finished.stderr.contains("Traceback"),
            Self::JavaScript => {
                finished.code() == Some(1)
                    && ["VerificationError", "PolicyError"]
                        .iter()
                        .any(|name| finished.stderr.contains(name))
            }
        }
    }
}

/// A provenance predicate with no more than its specification demands.
const PREDICATE: &str = r#"{
  "buildDefinition": {
    "buildType": "https://example.test/build/v1",
    "externalParameters": {},
    "internalParameters": {},
    "resolvedDependencies": []
  },
  "runDetails": {"builder": {"id": "https://example.test/builder"}}
}"#;

/// An in-toto statement about a file.
fn statement(artifact: &Path) -> Result<Vec<u8>, Failure> {
    let digest = hex::encode(crypto::sha256(&fs::read(artifact)?));
    let predicate: serde_json::Value = serde_json::from_str(PREDICATE)?;
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    });
    Ok(serde_json::to_vec(&statement)?)
}

/// Turns a program that did not succeed into a failure that tells why.
pub(super) fn expect_success(finished: Finished) -> Result<(), Failure> {
    if finished.succeeded() { Ok(()) } else { Err(Failure::new(finished.report())) }
}

/// The bundle that `client` makes of the bench's artifact, signed once.
pub(super) fn bundle_of(
    bench: &Bench,
    client: Client,
    log: Log,
    kind: Kind,
    artifact: &Path,
) -> Result<PathBuf, Failure> {
    let name = format!("{}-{kind:?}-{log:?}.sigstore.json", client.name()).to_lowercase();
    if let Some(known) = bench.bundles.borrow().get(&name) {
        return Ok(known.clone());
    }
    let path = bench.path(&name);
    client.sign(bench, log, kind, artifact, &path)?;
    bench.bundles.borrow_mut().insert(name, path.clone());
    Ok(path)
}
