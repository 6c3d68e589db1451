//! Simple signing payloads: a claim about one image, by the digest of its manifest.
//!
//! containers/image, `containers-signature(5)`, "JSON data format", with Cosign's own type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::{Digest, ParseDigestError};
use crate::json;

/// What Cosign calls its claims about images.
pub const IMAGE_SIGNATURE_TYPE: &str = "cosign container image signature";

/// A claim about an image, as its payload says.
#[derive(Clone, Debug)]
pub struct SimpleSigning {
    /// Digest of the image's manifest.
    pub image: Digest,
    /// What the signer called the image; not evidence of where it is.
    pub reference: String,
    /// What was signed along: a JSON object exactly as received, if there is one.
    pub annotations: Option<Box<RawValue>>,
}

/// Why a payload is no claim about an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePayloadError {
    /// Not JSON of the right shape.
    #[error("not a simple signing payload: {0}")]
    Json(String),
    /// Another type.
    #[error("wanted `critical.type` `{IMAGE_SIGNATURE_TYPE}`, found `{found}`")]
    UnknownType {
        /// The type found, cut to 128 characters.
        found: String,
    },
    /// What should be the image's digest is none.
    #[error("`docker-manifest-digest` is not a digest")]
    Digest(#[from] ParseDigestError),
}

#[derive(Deserialize, Serialize)]
struct Document<'a, A> {
    #[serde(borrow)]
    critical: Critical<'a>,
    optional: A,
}

#[derive(Deserialize, Serialize)]
struct Critical<'a> {
    #[serde(borrow)]
    identity: Identity<'a>,
    #[serde(borrow)]
    image: Image<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Identity<'a> {
    #[serde(borrow)]
    docker_reference: Text<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image<'a> {
    #[serde(borrow)]
    docker_manifest_digest: Text<'a>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

impl SimpleSigning {
    /// Parses a payload. The caller bounds its size.
    ///
    /// # Errors
    /// When it is no claim of Cosign's type about an image.
    pub fn parse(payload: &[u8]) -> Result<Self, ParsePayloadError> {
        let Document { critical, optional } =
            json::parse::<Document<'_, Option<Box<RawValue>>>>(payload)
                .map_err(ParsePayloadError::Json)?;
        if critical.kind != IMAGE_SIGNATURE_TYPE {
            let found = critical.kind.chars().take(128).collect();
            return Err(ParsePayloadError::UnknownType { found });
        }
        Ok(Self {
            image: critical.image.docker_manifest_digest.parse()?,
            reference: critical.identity.docker_reference.into_owned(),
            annotations: optional,
        })
    }

    /// The payload that Cosign signs for an image that is called so, with these annotations.
    #[must_use]
    pub fn payload(
        image: &Digest,
        reference: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Vec<u8> {
        let critical = Critical {
            identity: Identity { docker_reference: reference.into() },
            image: Image { docker_manifest_digest: image.to_string().into() },
            kind: IMAGE_SIGNATURE_TYPE.into(),
        };
        let optional = (!annotations.is_empty()).then_some(annotations);
        serde_json::to_vec(&Document { critical, optional }).expect("text always serialises")
    }
}
