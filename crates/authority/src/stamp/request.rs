//! What a requester wants timestamped: DER (RFC 3161 §2.4.1), or the JSON of Sigstore's authority.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use const_oid::ObjectIdentifier;
use crypto::{Hash, HashAlgorithm};
use der::asn1::Int;
use der::{Decode, Encode};
use evidence::timestamp::tsp::{
    PkiFailure, PkiStatusInfo, STATUS_REJECTION, TimeStampReq, TimeStampResp,
};
use evidence::timestamp::{INTEGER_SIZE_MAX, ParseTimestampError, hash_value};
use serde_json::Value;

use super::{StampError, TimestampAuthority};
use crate::jose::json::parse_object;

/// Longest DER request read, in bytes: an imprint, a policy and a nonce take about 200.
pub const DER_REQUEST_SIZE_MAX: usize = 4 * 1024;

/// Longest JSON request read, in bytes, as in Sigstore's timestamp authority.
pub const JSON_REQUEST_SIZE_MAX: usize = 1024;

/// A request that can be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRequest {
    imprint: Hash,
    nonce: Option<Vec<u8>>,
    wants_certificate: bool,
}

/// Why a request is rejected, in RFC 3161's terms and in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// More bytes than are read.
    #[error("a request of {found} bytes is longer than the {max} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Not a request.
    #[error("the request is malformed: {why}")]
    Malformed {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A hash algorithm that proves nothing, or is unknown, or another length than its hashes'.
    #[error("wanted a SHA-256, SHA-384 or SHA-512 hash")]
    BadAlgorithm,
    /// A policy that this authority does not have.
    #[error("policy {found} is not this authority's")]
    Policy {
        /// The policy asked for.
        found: ObjectIdentifier,
    },
    /// Extensions, of which none is known.
    #[error("the request has extensions, of which none is supported")]
    Extension,
    /// The authority cannot state a time at the moment.
    #[error("no trusted time is available")]
    TimeNotAvailable,
    /// The authority failed.
    #[error("the authority failed")]
    SystemFailure,
}

impl Rejection {
    /// The failure bit (RFC 3161 §2.4.2).
    #[must_use]
    pub fn failure(&self) -> PkiFailure {
        match self {
            Self::TooLong { .. } | Self::Malformed { .. } => PkiFailure::BadDataFormat,
            Self::BadAlgorithm => PkiFailure::BadAlgorithm,
            Self::Policy { .. } => PkiFailure::UnacceptedPolicy,
            Self::Extension => PkiFailure::UnacceptedExtension,
            Self::TimeNotAvailable => PkiFailure::TimeNotAvailable,
            Self::SystemFailure => PkiFailure::SystemFailure,
        }
    }

    /// DER of the `TimeStampResp` that says so.
    #[must_use]
    pub fn to_response(&self) -> Vec<u8> {
        let fail_info = self.failure().to_bit_string();
        fail_info
            .and_then(|fail_info| {
                let status = PkiStatusInfo {
                    status: STATUS_REJECTION,
                    status_string: Some(vec![self.to_string()]),
                    fail_info: Some(fail_info),
                };
                TimeStampResp { status, time_stamp_token: None }.to_der()
            })
            .expect("a bit and a short text encode")
    }
}

impl From<&StampError> for Rejection {
    fn from(error: &StampError) -> Self {
        match error {
            StampError::ClockBehind { .. } => Self::TimeNotAvailable,
            _ => Self::SystemFailure,
        }
    }
}

impl TimestampRequest {
    /// Parses a DER request to this authority.
    ///
    /// # Errors
    /// When it is malformed, or asks for what is not given here.
    pub fn parse_der(bytes: &[u8], authority: &TimestampAuthority) -> Result<Self, Rejection> {
        bounded(bytes, DER_REQUEST_SIZE_MAX)?;
        let request = TimeStampReq::from_der(bytes)
            .map_err(|_| Rejection::Malformed { why: "it is not DER of a TimeStampReq" })?;
        if request.version != 1 {
            return Err(Rejection::Malformed { why: "its version is not 1" });
        }
        let imprint = &request.message_imprint;
        let imprint =
            hash_value("the imprint", &imprint.hash_algorithm, imprint.hashed_message.as_bytes())
                .map_err(|error| match error {
                ParseTimestampError::HashLength { .. } => {
                    Rejection::Malformed { why: "the hash is not as long as its algorithm's are" }
                }
                _ => Rejection::BadAlgorithm,
            })?;
        // Refused whether critical or not: what is silently left out was asked for in vain.
        if request.extensions.is_some_and(|extensions| !extensions.is_empty()) {
            return Err(Rejection::Extension);
        }
        check_policy(request.req_policy, authority)?;
        let nonce = request.nonce.map(|nonce| nonce.as_bytes().to_vec());
        if nonce.as_ref().is_some_and(|nonce| nonce.len() > INTEGER_SIZE_MAX) {
            return Err(Rejection::Malformed { why: "the nonce is longer than 64 bytes" });
        }
        Ok(Self { imprint, nonce, wants_certificate: request.cert_req })
    }

    /// Parses a JSON request to this authority: `artifactHash` (base64), `hashAlgorithm`, and
    /// optionally `nonce` (a whole number of up to 64 bits), `certificates` and `tsaPolicyOID`.
    ///
    /// # Errors
    /// As [`Self::parse_der`].
    pub fn parse_json(bytes: &[u8], authority: &TimestampAuthority) -> Result<Self, Rejection> {
        bounded(bytes, JSON_REQUEST_SIZE_MAX)?;
        let malformed = |why| Rejection::Malformed { why };
        let request = parse_object(bytes).map_err(|_| malformed("it is not a JSON object"))?;
        let member = |name| request.get(name).filter(|value| !value.is_null());
        let algorithm = member("hashAlgorithm").and_then(Value::as_str).unwrap_or_default();
        let algorithm = HashAlgorithm::from_name(&algorithm.to_ascii_lowercase())
            .ok_or(Rejection::BadAlgorithm)?;
        let hash = member("artifactHash")
            .and_then(Value::as_str)
            .and_then(|hash| STANDARD.decode(hash).ok())
            .ok_or(malformed("`artifactHash` is not base64"))?;
        let imprint = Hash::from_bytes(algorithm, &hash)
            .ok_or(malformed("the hash is not as long as its algorithm's are"))?;
        let wants_certificate = match member("certificates") {
            None => false,
            Some(Value::Bool(wanted)) => *wanted,
            Some(_) => return Err(malformed("`certificates` is not true or false")),
        };
        let nonce = member("nonce").map(json_nonce).transpose()?;
        let policy = match member("tsaPolicyOID") {
            None => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(value) => {
                let policy = value.as_str().and_then(|text| ObjectIdentifier::new(text).ok());
                Some(policy.ok_or(malformed("`tsaPolicyOID` is not an object identifier"))?)
            }
        };
        check_policy(policy, authority)?;
        Ok(Self { imprint, nonce, wants_certificate })
    }

    /// What is to be timestamped.
    #[must_use]
    pub fn imprint(&self) -> &Hash {
        &self.imprint
    }

    /// The number to repeat, as DER writes it.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// Whether the token must carry the signing certificate.
    #[must_use]
    pub fn wants_certificate(&self) -> bool {
        self.wants_certificate
    }
}

fn bounded(bytes: &[u8], max: usize) -> Result<(), Rejection> {
    if bytes.len() > max {
        return Err(Rejection::TooLong { found: bytes.len(), max });
    }
    Ok(())
}

fn check_policy(
    policy: Option<ObjectIdentifier>,
    authority: &TimestampAuthority,
) -> Result<(), Rejection> {
    match policy {
        Some(found) if found != authority.policy() => Err(Rejection::Policy { found }),
        _ => Ok(()),
    }
}

/// The content octets of the DER INTEGER (X.690 §8.3).
fn json_nonce(value: &Value) -> Result<Vec<u8>, Rejection> {
    let der = match (value.as_u64(), value.as_i64()) {
        (Some(number), _) => number.to_der(),
        (None, Some(number)) => number.to_der(),
        (None, None) => {
            return Err(Rejection::Malformed { why: "`nonce` is not a 64-bit whole number" });
        }
    };
    let nonce = der.and_then(|der| Int::from_der(&der));
    nonce
        .map(|nonce| nonce.as_bytes().to_vec())
        .map_err(|_| Rejection::Malformed { why: "`nonce` is not a 64-bit whole number" })
}
