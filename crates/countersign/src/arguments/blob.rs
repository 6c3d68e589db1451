//! A file that a signature is about: its digest, or where the signature is over the file itself,
//! all of it.

use std::io::Read;
use std::path::Path;

use crypto::{HashAlgorithm, Hasher, KeyKind, PublicKey};
use evidence::bundle::{Content, SignerMaterial};
use evidence::entry::Body;
use evidence::{Digest, Evidence, Statement};
use verify::{Artifact, NonEmpty};

use crate::exit::{Exit, Failure};
use crate::{machine, ui};

/// Largest file held in memory, in bytes, where a signature is over the file itself.
const WHOLE_FILE_SIZE_MAX: usize = 64 * 1024 * 1024;

/// What has to be known of a file to verify evidence about it.
pub(crate) enum Blob {
    /// All its bytes.
    Whole(Vec<u8>),
    /// Its digests; the first is the SHA-256, or the one that was given.
    Digests(NonEmpty<Digest>),
}

impl Blob {
    /// Reads what this evidence needs of a file (`-` for standard input), or takes a digest as it
    /// was given. A file is read once, as a stream, unless the signature is over all of it.
    /// `key` is the one that must have signed, where that is known beforehand.
    pub(crate) fn read(
        argument: &Path,
        evidence: Option<&Evidence>,
        key: Option<&PublicKey>,
    ) -> Result<Self, Failure> {
        if let Some(digest) = argument.to_str().and_then(as_digest) {
            return Ok(Self::Digests(NonEmpty::new(digest?)));
        }
        if evidence.is_some_and(|evidence| needs_whole_file(evidence, key)) {
            return machine::read(argument, "file", WHOLE_FILE_SIZE_MAX).map(Self::Whole);
        }
        let algorithms = evidence.map(|evidence| hash_algorithms(evidence, key));
        let algorithms = algorithms.unwrap_or_default();
        hash_file(argument, &algorithms).map(Self::Digests)
    }

    /// The artifact to judge.
    pub(crate) fn artifact(&self) -> Artifact<'_> {
        match self {
            Self::Whole(bytes) => Artifact::from_bytes(bytes),
            Self::Digests(digests) => Artifact::from_digests(digests.clone()),
        }
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
fn needs_whole_file(evidence: &Evidence, key: Option<&PublicKey>) -> bool {
    let certified = match &evidence.signer {
        SignerMaterial::Certificate(certificate) => Some(certificate.public_key().kind()),
        // An entry tells how a key has signed; without one only the key does.
        SignerMaterial::PublicKeyHint(_) if evidence.entries.is_empty() => key.map(PublicKey::kind),
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
fn hash_algorithms(evidence: &Evidence, key: Option<&PublicKey>) -> Vec<HashAlgorithm> {
    let mut algorithms = Vec::new();
    match &evidence.content {
        Content::Message { digest, .. } => {
            algorithms.extend(digest.iter().map(Digest::algorithm));
            algorithms.extend(evidence.signature_hash);
            let key = match &evidence.signer {
                SignerMaterial::Certificate(certificate) => Some(certificate.public_key()),
                SignerMaterial::PublicKeyHint(_) => key,
            };
            algorithms.extend(key.and_then(|key| key.default_scheme().hash()));
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

/// Hashes a file as a stream in one algorithm.
pub(crate) fn hash_in(path: &Path, algorithm: HashAlgorithm) -> Result<Digest, Failure> {
    let digests = hash_file(path, &[algorithm])?;
    let found = digests.iter().find(|digest| digest.algorithm() == algorithm);
    Ok(*found.unwrap_or(digests.first()))
}

/// Hashes a file once, as a stream, in SHA-256 and the algorithms named.
pub(crate) fn hash_file(
    path: &Path,
    algorithms: &[HashAlgorithm],
) -> Result<NonEmpty<Digest>, Failure> {
    const CHUNK_SIZE: usize = 128 * 1024;
    let mut hashers = NonEmpty::new(Hasher::new(HashAlgorithm::Sha256));
    for algorithm in algorithms.iter().filter(|&&algorithm| algorithm != HashAlgorithm::Sha256) {
        hashers.push(Hasher::new(*algorithm));
    }
    let mut file = machine::open(path, "file")?;
    let length = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0);
    let progress = ui::progress::bytes("hashed", length);
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        let size = file.read(&mut chunk).map_err(|error| {
            Failure::new(Exit::Unknown, format!("cannot read the file {}", path.display()))
                .caused_by(error)
        })?;
        progress.inc(size as u64);
        if size == 0 {
            progress.finish_and_clear();
            return Ok(hashers.map(|hasher| Digest::from(hasher.finish())));
        }
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk[..size]));
    }
}
