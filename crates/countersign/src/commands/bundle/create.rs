//! `bundle create`: one bundle out of what was kept in files beside each other.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use client::log::{AppendError, SignedBy};
use client::plausible;
use crypto::{HashAlgorithm, KeyKind, Message, PublicKey, Scheme};
use evidence::bundle::{BUNDLE_SIZE_MAX, Content, SignerMaterial};
use evidence::cosign::{ANNOTATION_SIZE_MAX, DetachedFiles};
use evidence::{Digest, Evidence};

use super::LogAndOutput;
use crate::arguments::blob::hash_file;
use crate::arguments::keys;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime, ui};

/// Largest file held in memory, in bytes, where a signature is over the file itself.
const WHOLE_FILE_SIZE_MAX: usize = 64 * 1024 * 1024;

/// Longest signature read, in bytes, in whatever form.
const SIGNATURE_SIZE_MAX: usize = 64 * 1024;

/// Make a bundle of a signature or attestation and what was kept in files beside it.
///
/// The signature is tried on the artifact, and the log is asked for its entry; nothing is logged.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("evidence").required(true).multiple(true)
    .args(["signature", "attestation", "bundle"])))]
pub(super) struct Create {
    /// File that is signed, or that the attestation is about.
    #[arg(long, value_name = "FILE")]
    artifact: PathBuf,

    /// File with the signature, in base64 or raw.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    signature: Option<PathBuf>,

    /// File with the attestation: an envelope. It holds its own signature.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    attestation: Option<PathBuf>,

    /// File with Cosign's bundle for blobs from before v3.
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    bundle: Option<PathBuf>,

    /// File with the signer's certificate (PEM, or base64 of it).
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The signer's public key, where there is no certificate: a file, or env://VARIABLE.
    #[arg(long, value_name = "KEY", conflicts_with = "certificate")]
    key: Option<String>,

    /// File with a timestamp of the signature.
    #[arg(long, value_name = "FILE")]
    rfc3161_timestamp: Option<PathBuf>,

    /// Make a bundle without a log entry, for what was never logged.
    #[arg(long)]
    ignore_tlog: bool,

    #[command(flatten)]
    log: LogAndOutput,
}

impl Create {
    pub(super) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut evidence = self.evidence()?;
        let key = self.signer(&mut evidence)?;
        let scheme = self.check_signature(&mut evidence, &key)?;
        if self.ignore_tlog {
            if !evidence.entries.is_empty() {
                return Err(Failure::usage(
                    "the bundle has a log entry, which --ignore-tlog drops",
                )
                .hint("leave --ignore-tlog away"));
            }
            self.log.write(&evidence)?;
            return Ok(Exit::Success);
        }
        runtime::block_on(async {
            if evidence.entries.is_empty() {
                self.find_entry(&mut evidence, &key, scheme, global).await?;
            }
            self.log.prove(&mut evidence, global).await?;
            self.log.write(&evidence)?;
            Ok(Exit::Success)
        })
    }

    /// What the files make together.
    fn evidence(&self) -> Result<Evidence, Failure> {
        let read = |path: &Option<PathBuf>, what, size_max| {
            let path = path.as_deref();
            path.map(|path: &Path| machine::read(path, what, size_max)).transpose()
        };
        let certificate = read(&self.certificate, "certificate", ANNOTATION_SIZE_MAX)?;
        let timestamp = read(&self.rfc3161_timestamp, "timestamp", ANNOTATION_SIZE_MAX)?;
        let (certificate, timestamp) = (certificate.as_deref(), timestamp.as_deref());
        let files = DetachedFiles { certificate, log_entry: None, timestamp };
        let made = if let Some(json) = read(&self.bundle, "bundle", BUNDLE_SIZE_MAX)? {
            // A timestamp is all that such a bundle cannot hold.
            let stamp = Evidence::from_detached_signature(b"c3RhbXA=", &files);
            Evidence::from_blob_bundle(&json)
                .and_then(|evidence| Ok(Evidence { timestamps: stamp?.timestamps, ..evidence }))
        } else if let Some(envelope) = read(&self.attestation, "attestation", BUNDLE_SIZE_MAX)? {
            if self.signature.is_some() {
                ui::note("--signature is not read: the attestation holds its own");
            }
            if Evidence::from_bundle(&envelope).is_ok() {
                let path = self.attestation.as_deref().map(Path::display);
                let path = path.map(|path| path.to_string()).unwrap_or_default();
                return Err(Failure::usage(format!("{path} is a bundle already"))
                    .hint("an older one is made one of today's by `bundle upgrade`"));
            }
            Evidence::from_detached_envelope(envelope, &files)
        } else {
            let signature = read(&self.signature, "signature", SIGNATURE_SIZE_MAX)?;
            Evidence::from_detached_signature(&signature.unwrap_or_default(), &files)
        };
        made.map_err(|error| Failure::usage("no bundle can be made of this").caused_by(error))
    }

    /// With which key the signature is to verify. A bare one goes into the evidence as a hint.
    fn signer(&self, evidence: &mut Evidence) -> Result<PublicKey, Failure> {
        if let Some(reference) = &self.key {
            let key = keys::public(reference)?;
            match &mut evidence.signer {
                SignerMaterial::PublicKeyHint(hint) => *hint = key.hint(),
                SignerMaterial::Certificate(_) => {
                    return Err(Failure::usage("--key is given, but a certificate is there too")
                        .hint("leave --key away"));
                }
            }
            return Ok(key);
        }
        match &evidence.signer {
            SignerMaterial::Certificate(certificate) => Ok(certificate.public_key().clone()),
            SignerMaterial::PublicKeyHint(_) => {
                Err(Failure::usage("nothing says whose signature this is")
                    .hint("name the certificate with --certificate, or the public key with --key"))
            }
        }
    }

    /// Tries the signature on the artifact, and writes the artifact's digest beside it.
    fn check_signature(&self, evidence: &mut Evidence, key: &PublicKey) -> Result<Scheme, Failure> {
        let digests: Vec<_> = hash_file(&self.artifact, &HashAlgorithm::ALL)?.into();
        let wrong = || {
            let artifact = self.artifact.display();
            Failure::usage(format!("the signature is not of this key over {artifact}"))
        };
        if let Content::Envelope(envelope) = &evidence.content {
            let scheme = plausible::scheme_of(key, &envelope.pae(), &envelope.signature);
            let scheme = scheme.ok_or_else(wrong)?;
            plausible::check(evidence, digests.first().unwrap_or(&Digest::sha256(b""))).map_err(
                |error| Failure::usage("no bundle can be made of this").caused_by(error),
            )?;
            return Ok(scheme);
        }
        let signature = evidence.signature().to_vec();
        let scheme = match plausible::scheme_over(key, &digests, &signature) {
            Some(scheme) => Some(scheme),
            // Pure Ed25519 signs the file itself, and no hash of it.
            None if key.kind() == KeyKind::Ed25519 => {
                let whole = machine::read(&self.artifact, "artifact", WHOLE_FILE_SIZE_MAX)?;
                let scheme = Scheme::Ed25519;
                key.verify(scheme, Message::Bytes(&whole), &signature).is_ok().then_some(scheme)
            }
            None => None,
        };
        let scheme = scheme.ok_or_else(wrong)?;
        // As logs record it: v1 logs know SHA-512 for Ed25519, and what was hashed for all others.
        let algorithm = scheme.hash().unwrap_or(HashAlgorithm::Sha512);
        if let Content::Message { digest, .. } = &mut evidence.content {
            *digest = digests.into_iter().find(|digest| digest.algorithm() == algorithm);
        }
        Ok(scheme)
    }

    /// Asks the log for the entry of the signature.
    async fn find_entry(
        &self,
        evidence: &mut Evidence,
        key: &PublicKey,
        scheme: Scheme,
        global: &Global,
    ) -> Result<(), Failure> {
        let signed_by = match &evidence.signer {
            SignerMaterial::Certificate(certificate) => SignedBy::certificate(certificate, scheme),
            SignerMaterial::PublicKeyHint(_) => SignedBy::key(key, scheme),
        };
        let url = &self.log.rekor_url;
        let found = self.log.log()?.find(evidence, &signed_by, global.deadline()).await;
        let found = found.map_err(|error| {
            let hint = match &error {
                AppendError::Fetch(error) => error.hint(),
                _ => None,
            };
            let failure = Failure::new(Exit::Unknown, format!("{url} cannot be searched"));
            match hint {
                Some(hint) => failure.caused_by(error).hint(hint),
                None => failure.caused_by(error),
            }
        })?;
        // The first that was logged: the time of others says less.
        let first = found.into_iter().min_by_key(|entry| entry.integrated_time);
        let first = first.ok_or_else(|| {
            Failure::new(Exit::Failure, format!("{url} has no entry for this signature"))
                .hint("name the log with --rekor-url; --ignore-tlog is for what was never logged")
        })?;
        evidence.entries = vec![first];
        Ok(())
    }
}
