//! `verify-blob`: a file or digest, and a bundle that is said to be about it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use crypto::{HashAlgorithm, Hasher, KeyKind};
use evidence::bundle::{BUNDLE_SIZE_MAX, Content, SignerMaterial};
use evidence::entry::Body;
use evidence::{Digest, Evidence, Statement};
use verify::{Artifact, Case, NonEmpty, Piece};

use super::trust::{SignerArguments, TrustRootArguments};
use crate::exit::{Exit, Failure};
use crate::ui::Output;
use crate::{machine, ui};

/// Largest file held in memory, in bytes, where a signature is over the file itself.
const WHOLE_FILE_SIZE_MAX: usize = 64 * 1024 * 1024;

/// Verify that a bundle is a signature or attestation by the wanted signer about a file.
///
/// Nothing is fetched: the public Sigstore instance's trust root is built in, and a bundle carries
/// the rest. Exit code 0: verified; 12: not trusted; 3: could not tell; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct VerifyBlob {
    /// The file (`-` for standard input), or its digest as `sha256:HEX`.
    #[arg(value_name = "FILE_OR_DIGEST")]
    artifact: PathBuf,

    /// The Sigstore bundle (v0.1, v0.2 or v0.3).
    #[arg(long, value_name = "FILE", env = "COSIGN_BUNDLE")]
    bundle: PathBuf,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "COSIGN_OUTPUT")]
    output: Output,

    /// Show every check, with what was wanted and found.
    #[arg(long)]
    explain: bool,
}

impl VerifyBlob {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let policy = self.signer.policy(self.trust_root.load()?)?;
        let json = machine::read(&self.bundle, "bundle", BUNDLE_SIZE_MAX)?;
        let evidence = Evidence::from_file(&json);

        let whole;
        let artifact = match self.artifact.to_str().and_then(as_digest) {
            Some(digest) => Artifact::from_digest(digest?),
            None if evidence.as_ref().is_ok_and(needs_whole_file) => {
                whole = machine::read(&self.artifact, "file", WHOLE_FILE_SIZE_MAX)?;
                Artifact::from_bytes(&whole)
            }
            None => {
                let algorithms = evidence.as_ref().map(hash_algorithms).unwrap_or_default();
                Artifact::from_digests(hash_file(&self.artifact, &algorithms)?)
            }
        };
        let pieces = [Piece { source: self.bundle.display().to_string(), evidence }];
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        let now = machine::now();
        let (verdict, explanations) = if self.explain || self.output == Output::Json {
            policy.explain(&case, now)
        } else {
            (policy.judge(&case, now), Vec::new())
        };
        let name = self.artifact.display().to_string();
        let shown = ui::verdict::Shown {
            name: &name,
            digest: artifact.digest(),
            verdict: &verdict,
            explanations: &explanations,
        };
        match self.output {
            Output::Text => ui::verdict::print_text(&shown),
            Output::Json => ui::verdict::print_json(&shown),
        }
        Ok(ui::verdict::exit(&verdict))
    }
}

/// Reads an argument that names a digest; `None` if it can only be a file.
fn as_digest(argument: &str) -> Option<Result<Digest, Failure>> {
    let (algorithm, _) = argument.split_once(':')?;
    HashAlgorithm::from_name(algorithm)?;
    Some(argument.parse().map_err(|error| {
        Failure::usage(format!("cannot use the digest `{argument}`"))
            .caused_by(Box::<dyn std::error::Error + Send + Sync>::from(error))
            .hint(format!("if it is a file, call it ./{argument}"))
    }))
}

/// Whether the signature may be over the file itself: pure Ed25519 cannot sign a hash.
fn needs_whole_file(evidence: &Evidence) -> bool {
    let certified = match &evidence.signer {
        SignerMaterial::Certificate(certificate) => Some(certificate.public_key().kind()),
        SignerMaterial::PublicKeyHint(_) => None,
    };
    let recorded_ed25519 = evidence.entries.iter().any(|entry| match &entry.body {
        Body::HashedRekordV1(record) => record.digest.algorithm() == HashAlgorithm::Sha512,
        Body::HashedRekordV2(record) => record.signature.key_details.scheme().hash().is_none(),
        Body::DsseV1(_)
        | Body::DsseV2(_)
        | Body::IntotoV1(_)
        | Body::IntotoV2(_)
        | Body::RekordV1(_) => false,
    });
    let is_message = matches!(evidence.content, Content::Message { .. });
    is_message && (certified == Some(KeyKind::Ed25519) || certified.is_none() && recorded_ed25519)
}

/// The algorithms in which the evidence names the artifact's digest.
fn hash_algorithms(evidence: &Evidence) -> Vec<HashAlgorithm> {
    let mut algorithms = Vec::new();
    match &evidence.content {
        Content::Message { digest, .. } => {
            algorithms.extend(digest.iter().map(Digest::algorithm));
            algorithms.extend(evidence.entries.iter().filter_map(|entry| match &entry.body {
                Body::HashedRekordV1(record) => Some(record.digest.algorithm()),
                Body::HashedRekordV2(record) => Some(record.digest.algorithm()),
                Body::RekordV1(record) => Some(record.digest.algorithm()),
                Body::DsseV1(_) | Body::DsseV2(_) | Body::IntotoV1(_) | Body::IntotoV2(_) => None,
            }));
        }
        Content::SimpleSigning { .. } => {}
        Content::Envelope(envelope) => {
            if let Ok(statement) = Statement::parse(&envelope.payload) {
                let digests = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
                algorithms.extend(digests.filter_map(|(name, _)| HashAlgorithm::from_name(name)));
            }
        }
    }
    algorithms.sort_unstable();
    algorithms.dedup();
    algorithms
}

/// Hashes a file once, as a stream, in SHA-256 and the algorithms named.
pub(super) fn hash_file(
    path: &Path,
    algorithms: &[HashAlgorithm],
) -> Result<NonEmpty<Digest>, Failure> {
    const CHUNK_SIZE: usize = 128 * 1024;
    let mut hashers = NonEmpty::new(Hasher::new(HashAlgorithm::Sha256));
    for algorithm in algorithms.iter().filter(|&&algorithm| algorithm != HashAlgorithm::Sha256) {
        hashers.push(Hasher::new(*algorithm));
    }
    let mut file = machine::open(path, "file")?;
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        let size = file.read(&mut chunk).map_err(|error| {
            Failure::new(Exit::Unknown, format!("cannot read the file {}", path.display()))
                .caused_by(error)
        })?;
        if size == 0 {
            return Ok(hashers.map(|hasher| Digest::from(hasher.finish())));
        }
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk[..size]));
    }
}
