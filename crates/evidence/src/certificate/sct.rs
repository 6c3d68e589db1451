//! Signed certificate timestamps: a CT log's promise to publish a certificate.
//!
//! RFC 6962 §3.2 and §3.3. It stands in the certificate, about what was to become it, or beside it,
//! about the certificate as it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use const_oid::ObjectIdentifier;
use crypto::HashAlgorithm;
use der::Decode;
use der::asn1::OctetStringRef;
use serde::Deserialize;

use super::Certificate;
use crate::json;
use crate::number::UnixTime;

/// The extension that holds the list of timestamps (RFC 6962 §3.3).
pub const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// The critical extension that makes a pre-certificate unusable (RFC 6962 §3.1).
pub const POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");
/// Most timestamps read on one certificate; public web certificates carry two or three.
pub const SCTS_MAX: usize = 16;
/// Longest document with a timestamp read, in bytes. One has about 250.
pub const SCT_DOCUMENT_SIZE_MAX: usize = 16 * 1024;

/// A CT log's promise, as claimed by the certificate that carries it, or by what stands beside that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCertificateTimestamp {
    /// SHA-256 of the log's SubjectPublicKeyInfo.
    pub log_id: [u8; 32],
    /// When the log saw the pre-certificate, or the certificate.
    pub time: UnixTime,
    /// Extensions; static CT logs put the leaf's index there.
    pub extensions: Vec<u8>,
    /// The hash the signature uses.
    pub hash: HashAlgorithm,
    /// The signature over [`SignedCertificateTimestamp::signed_data`], or, of one that stands beside
    /// the certificate, over [`SignedCertificateTimestamp::signed_data_of_certificate`].
    pub signature: Vec<u8>,
}

/// Why a certificate's list of timestamps does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSctError {
    /// Not an OCTET STRING holding a TLS list.
    #[error("the list of certificate timestamps is malformed")]
    Malformed,
    /// Another version than 1.
    #[error("wanted a certificate timestamp of version 1, found version {found}")]
    Version {
        /// The version found, counted from 1.
        found: u16,
    },
    /// A signature over a hash that is not supported.
    #[error("the certificate timestamp uses unsupported hash {found}")]
    UnsupportedHash {
        /// TLS number of the hash (RFC 5246 §7.4.1.4.1).
        found: u8,
    },
    /// More than [`SCTS_MAX`].
    #[error("more than {SCTS_MAX} certificate timestamps")]
    TooMany,
    /// A document that is longer than [`SCT_DOCUMENT_SIZE_MAX`], or not what a CT log answers with.
    #[error("not what a CT log answers with (RFC 6962 §4.1)")]
    NotAnAnswer,
}

/// What a CT log answers with when it is sent a chain (RFC 6962 §4.1).
#[derive(Deserialize)]
struct Answer {
    sct_version: u8,
    id: String,
    timestamp: u64,
    extensions: String,
    signature: String,
}

impl Certificate {
    /// The embedded timestamps; empty if there is no such extension.
    ///
    /// # Errors
    /// When the extension is there but malformed: then nothing can be said.
    pub fn certificate_timestamps(&self) -> Result<Vec<SignedCertificateTimestamp>, ParseSctError> {
        let Some(value) = self.extension(SCT_LIST) else { return Ok(Vec::new()) };
        let octets = <&OctetStringRef>::from_der(value).map_err(|_| ParseSctError::Malformed)?;
        parse_list(octets.as_bytes())
    }
}

/// Parses a TLS-encoded `SignedCertificateTimestampList`.
///
/// # Errors
/// When it is malformed, or holds a timestamp of an unknown version or hash.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, ParseSctError> {
    let mut outer = Fields(bytes);
    let mut list = Fields(outer.vector()?);
    outer.finish()?;
    let mut timestamps = Vec::new();
    while !list.0.is_empty() {
        if timestamps.len() == SCTS_MAX {
            return Err(ParseSctError::TooMany);
        }
        timestamps.push(SignedCertificateTimestamp::parse(list.vector()?)?);
    }
    Ok(timestamps)
}

impl SignedCertificateTimestamp {
    /// Parses one TLS-encoded timestamp (RFC 6962 §3.2).
    ///
    /// # Errors
    /// When it is malformed, or of an unknown version or hash.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseSctError> {
        let mut fields = Fields(bytes);
        let [version] = fields.array()?;
        if version != 0 {
            return Err(ParseSctError::Version { found: u16::from(version) + 1 });
        }
        let log_id = fields.array()?;
        let milliseconds = i64::try_from(u64::from_be_bytes(fields.array()?))
            .map_err(|_| ParseSctError::Malformed)?;
        let extensions = fields.vector()?.to_vec();
        // The second byte names the key's algorithm; the key itself says that with authority.
        let [hash, _signature] = fields.array()?;
        let hash = match hash {
            4 => HashAlgorithm::Sha256,
            5 => HashAlgorithm::Sha384,
            6 => HashAlgorithm::Sha512,
            found => return Err(ParseSctError::UnsupportedHash { found }),
        };
        let signature = fields.vector()?.to_vec();
        fields.finish()?;
        let time = UnixTime::from_milliseconds(milliseconds);
        Ok(Self { log_id, time, extensions, hash, signature })
    }

    /// Reads what a CT log answered with, which is how a timestamp is kept that stands beside its
    /// certificate.
    ///
    /// # Errors
    /// When it is no such answer, or the timestamp in it is malformed, or of an unknown version or
    /// hash.
    pub fn from_answer(document: &[u8]) -> Result<Self, ParseSctError> {
        if document.len() > SCT_DOCUMENT_SIZE_MAX {
            return Err(ParseSctError::NotAnAnswer);
        }
        let answer: Answer = json::parse(document).map_err(|_| ParseSctError::NotAnAnswer)?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| ParseSctError::NotAnAnswer);
        let extensions = decode(&answer.extensions)?;
        let size = u16::try_from(extensions.len()).map_err(|_| ParseSctError::Malformed)?;
        // The same parts as in a list; the signature is of the same form in both.
        let parts: [&[u8]; 6] = [
            &[answer.sct_version],
            &decode(&answer.id)?,
            &answer.timestamp.to_be_bytes(),
            &size.to_be_bytes(),
            &extensions,
            &decode(&answer.signature)?,
        ];
        if parts[1].len() != 32 {
            return Err(ParseSctError::Malformed);
        }
        Self::parse(&parts.concat())
    }

    /// What the log signed about a pre-certificate (RFC 6962 §3.2, `precert_entry`): version,
    /// type, time, entry type, hash of the issuer's key, and the TBSCertificate without the list.
    ///
    /// # Errors
    /// When the TBSCertificate is longer than the format can say (2²⁴ bytes).
    pub fn signed_data(
        &self,
        issuer_key_hash: &[u8; 32],
        tbs_without_list: &[u8],
    ) -> Result<Vec<u8>, ParseSctError> {
        precertificate_signed_data(self.time, issuer_key_hash, tbs_without_list, &self.extensions)
    }

    /// What the log signed about a certificate (RFC 6962 §3.2, `x509_entry`): version, type, time,
    /// entry type, and the certificate.
    ///
    /// # Errors
    /// When the certificate is longer than the format can say (2²⁴ bytes).
    pub fn signed_data_of_certificate(
        &self,
        certificate_der: &[u8],
    ) -> Result<Vec<u8>, ParseSctError> {
        signed_data(self.time, Entry::Certificate, certificate_der, &self.extensions)
    }
}

/// What a CT log logs (RFC 6962 §3.1, `LogEntryType`).
enum Entry<'a> {
    Certificate,
    Precertificate { issuer_key_hash: &'a [u8; 32] },
}

/// The bytes that a CT log signs about a pre-certificate (RFC 6962 §3.2).
///
/// # Errors
/// When a part is longer than the format can say.
pub fn precertificate_signed_data(
    time: UnixTime,
    issuer_key_hash: &[u8; 32],
    tbs: &[u8],
    extensions: &[u8],
) -> Result<Vec<u8>, ParseSctError> {
    signed_data(time, Entry::Precertificate { issuer_key_hash }, tbs, extensions)
}

fn signed_data(
    time: UnixTime,
    entry: Entry<'_>,
    logged: &[u8],
    extensions: &[u8],
) -> Result<Vec<u8>, ParseSctError> {
    let milliseconds = u64::try_from(time.milliseconds()).map_err(|_| ParseSctError::Malformed)?;
    let size = u32::try_from(logged.len())
        .ok()
        .filter(|size| *size < 1 << 24)
        .ok_or(ParseSctError::Malformed)?;
    let extensions_size = u16::try_from(extensions.len()).map_err(|_| ParseSctError::Malformed)?;
    let mut data = Vec::with_capacity(64 + logged.len());
    data.extend([0, 0]); // v1, certificate_timestamp
    data.extend(milliseconds.to_be_bytes());
    match entry {
        Entry::Certificate => data.extend([0, 0]),
        Entry::Precertificate { issuer_key_hash } => {
            data.extend([0, 1]);
            data.extend(issuer_key_hash);
        }
    }
    data.extend(&size.to_be_bytes()[1..]);
    data.extend(logged);
    data.extend(extensions_size.to_be_bytes());
    data.extend(extensions);
    Ok(data)
}

/// Reads TLS presentation language (RFC 5246 §4): fixed arrays and vectors with 16-bit lengths.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseSctError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(ParseSctError::Malformed)?;
        self.0 = tail;
        Ok(*head)
    }

    fn vector(&mut self) -> Result<&'a [u8], ParseSctError> {
        let size = usize::from(u16::from_be_bytes(self.array()?));
        let (head, tail) = self.0.split_at_checked(size).ok_or(ParseSctError::Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn finish(self) -> Result<(), ParseSctError> {
        if self.0.is_empty() { Ok(()) } else { Err(ParseSctError::Malformed) }
    }
}
