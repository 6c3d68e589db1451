//! The clients as signers and verifiers of one bundle: ours, Python's, JavaScript's.

use std::fs;
use std::path::{Path, PathBuf};

use super::bench::{Bench, Log};
use super::exit::{UNTRUSTED, expect_success};
use super::failure::Failure;
use super::process::Finished;

/// Media type of an in-toto statement in a DSSE envelope.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// The predicate that the Python client and the JavaScript one can both be given.
pub(super) const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// A provenance predicate with no more than its specification demands.
pub(super) const PREDICATE: &str = r#"{
  "buildDefinition": {
    "buildType": "https://example.test/build/v1",
    "externalParameters": {},
    "internalParameters": {},
    "resolvedDependencies": []
  },
  "runDetails": {"builder": {"id": "https://example.test/builder"}}
}"#;

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

/// What a signature or a statement is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// This file.
    File(&'a Path),
    /// What has this digest, written `sha256:HEX`: an image.
    Digest(&'a str),
}

impl Subject<'_> {
    /// Its SHA-256, in hexadecimal.
    pub(super) fn sha256(self) -> Result<String, Failure> {
        match self {
            Self::File(path) => Ok(hex::encode(crypto::sha256(&fs::read(path)?))),
            Self::Digest(digest) => Ok(digest.trim_start_matches("sha256:").to_owned()),
        }
    }
}

/// What a verifier is asked to believe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) bundle: &'a Path,
    pub(super) kind: Kind,
    pub(super) subject: Subject<'a>,
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

    /// Signs, and writes the bundle.
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
            (Self::Ours, _) => {
                if kind == Kind::Statement {
                    command.args(["attest-blob", "--type", PREDICATE_TYPE, "--predicate"]);
                    command.arg(predicate(bench)?);
                } else {
                    command.arg("sign-blob");
                }
                command.arg("--trust-config").arg(&config).args(["--identity-token", &token]);
                command.arg("--bundle").arg(bundle).arg(artifact);
            }
            (Self::Python, Kind::Blob) => {
                command.arg("--trust-config").arg(&config).args(["sign", "--identity-token"]);
                command.arg(&token).arg("--bundle").arg(bundle).arg(artifact);
            }
            (Self::Python, Kind::Statement) => {
                command.arg("--trust-config").arg(&config).args(["attest", "--identity-token"]);
                command.arg(&token).arg("--predicate").arg(predicate(bench)?);
                command.args(["--predicate-type", PREDICATE_TYPE]).arg("--bundle").arg(bundle);
                command.arg(artifact);
            }
            (Self::JavaScript, _) => {
                command.args(["sign", "--log", &log.version().to_string(), "--token", &token]);
                command.arg("--trust-config").arg(&config).arg("--bundle").arg(bundle);
                if kind == Kind::Statement {
                    let statement = statement(Subject::File(artifact))?;
                    let statement = bench.write("statement.json", &statement)?;
                    command.args(["--payload-type", STATEMENT_TYPE]).arg(statement);
                } else {
                    command.arg(artifact);
                }
            }
        }
        expect_success(bench.run(&mut command)?)?;
        Ok(())
    }

    /// Verifies with the trust of this instance; says how it ended.
    pub(super) fn verify(self, bench: &Bench, claim: &Claim<'_>) -> Result<Finished, Failure> {
        let mut command = match self {
            Self::Ours => bench.ours(),
            Self::Python => bench.python(),
            Self::JavaScript => bench.javascript(),
        };
        let config = bench.trust_config(Log::V1);
        match self {
            Self::Ours => {
                match claim.kind {
                    Kind::Blob => command.arg("verify-blob"),
                    Kind::Statement => {
                        command.args(["verify-blob-attestation", "--type", PREDICATE_TYPE])
                    }
                };
                command.arg("--trusted-root").arg(bench.trusted_root());
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
        command.arg("--bundle").arg(claim.bundle);
        match (self, claim.subject) {
            (_, Subject::File(path)) => command.arg(path),
            (Self::Ours | Self::Python, Subject::Digest(digest)) => command.arg(digest),
            // It is not asked about a file; what it prints is compared instead.
            (Self::JavaScript, Subject::Digest(_)) => command.arg(bench.write("nothing", b"")?),
        };
        Ok(bench.run(&mut command)?)
    }

    /// Whether this client itself compares what is signed with what is asked about. The JavaScript
    /// library leaves the subjects of a statement to its caller.
    pub(super) fn compares(self, kind: Kind) -> bool {
        (self, kind) != (Self::JavaScript, Kind::Statement)
    }

    /// Whether this way of ending is a refusal, rather than a program that broke.
    pub(super) fn refused(self, finished: &Finished) -> bool {
        match self {
            // What is not trusted has an exit code of its own.
            Self::Ours => finished.code() == Some(UNTRUSTED),
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

/// A file with the predicate.
pub(super) fn predicate(bench: &Bench) -> Result<PathBuf, Failure> {
    Ok(bench.write("predicate.json", PREDICATE.as_bytes())?)
}

/// An in-toto statement about something.
fn statement(subject: Subject<'_>) -> Result<Vec<u8>, Failure> {
    let predicate: serde_json::Value = serde_json::from_str(PREDICATE)?;
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": subject.sha256()?}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    });
    Ok(serde_json::to_vec(&statement)?)
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
