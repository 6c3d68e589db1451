//! Attaching evidence to an image: a manifest that refers to it, and, where the registry does not
//! keep track of such manifests, an entry in the tag that stands in for that.
//!
//! OCI distribution specification v1.1, "Pushing Manifests with Subject". The tag is changed in
//! `fallback`.

use std::collections::BTreeMap;

use bytes::Bytes;
use evidence::{Digest, ImageRef, UnixTime};
use reqwest::header::HeaderName;
use serde::Serialize;

use super::Registry;
use super::fallback::Change;
use super::manifest::{Descriptor, OCI_MANIFEST};
use super::referrers::ReferrersSource;
use crate::deadline::Deadline;
use crate::error::FetchError;

/// Media type and content of a configuration that says nothing (OCI image specification v1.1,
/// "Guidance for an Empty Descriptor").
pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY_CONTENT: &[u8] = b"{}";

pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Something to attach to an image.
#[derive(Clone, Debug)]
pub struct NewReferrer {
    /// Media type of the content, and so the kind of artifact.
    pub media_type: String,
    /// The content.
    pub bytes: Bytes,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// What a Sigstore bundle holds, as its referrer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleContent {
    /// A DSSE envelope with a statement of that predicate type.
    DsseEnvelope {
        /// The predicate type.
        predicate_type: String,
    },
    /// A signature over the artifact itself.
    MessageSignature,
}

/// Where something was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Digest of the manifest that refers to the image.
    pub manifest: Digest,
    /// How it can be found.
    pub source: ReferrersSource,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerManifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    artifact_type: &'a str,
    config: Descriptor,
    layers: [Descriptor; 1],
    subject: &'a Descriptor,
    annotations: &'a BTreeMap<String, String>,
}

impl NewReferrer {
    /// A Sigstore bundle with the annotations that Cosign writes.
    #[must_use]
    pub fn bundle(bytes: Bytes, content: BundleContent, created: UnixTime) -> Self {
        // Whole seconds, as Cosign writes them.
        let created = UnixTime::from_seconds(created.seconds()).to_string();
        let (content, predicate_type) = match content {
            BundleContent::DsseEnvelope { predicate_type } => {
                ("dsse-envelope", Some(predicate_type))
            }
            BundleContent::MessageSignature => ("message-signature", None),
        };
        let annotations = [
            ("org.opencontainers.image.created", Some(created)),
            ("dev.sigstore.bundle.content", Some(content.to_owned())),
            ("dev.sigstore.bundle.predicateType", predicate_type),
        ];
        let annotations = annotations
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let media_type = evidence::bundle::MEDIA_TYPE_V0_3.to_owned();
        Self { media_type, bytes, annotations }
    }

    /// The manifest that Cosign v3 writes, its unusual `config.artifactType` included: `cosign
    /// clean` finds its referrers by that.
    pub(super) fn manifest(&self, subject: &Descriptor) -> Vec<u8> {
        let digest = Digest::sha256(&self.bytes);
        let title = format!("{}-{}.sigstore.json", digest.algorithm(), digest.hex());
        let title = ("org.opencontainers.image.title".to_owned(), title);
        let manifest = ReferrerManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST,
            artifact_type: &self.media_type,
            config: Descriptor {
                artifact_type: Some(self.media_type.clone()),
                ..Descriptor::new(EMPTY, Digest::sha256(EMPTY_CONTENT), EMPTY_CONTENT.len() as u64)
            },
            layers: [Descriptor {
                annotations: Some(BTreeMap::from([title])),
                ..Descriptor::new(&self.media_type, digest, self.bytes.len() as u64)
            }],
            subject,
            annotations: &self.annotations,
        };
        serde_json::to_vec(&manifest).expect("a manifest has only text and numbers")
    }
}

impl Registry {
    /// Attaches something to the manifest that `subject` describes, so that it is found by whoever
    /// looks for its referrers.
    ///
    /// # Errors
    /// When the registry does not take it, or other writers keep removing it.
    pub async fn attach(
        &self,
        image: &ImageRef,
        subject: &Descriptor,
        referrer: &NewReferrer,
        deadline: Deadline,
    ) -> Result<Attached, FetchError> {
        let subject = &Descriptor::new(&subject.media_type, subject.digest, subject.size);
        self.push_blob(image, Bytes::from_static(EMPTY_CONTENT), deadline).await?;
        self.push_blob(image, referrer.bytes.clone(), deadline).await?;
        let bytes = referrer.manifest(subject);
        let digest = Digest::sha256(&bytes);
        let entry = Descriptor {
            artifact_type: Some(referrer.media_type.clone()),
            annotations: Some(referrer.annotations.clone()),
            ..Descriptor::new(OCI_MANIFEST, digest, bytes.len() as u64)
        };
        self.push_referrer(image, &subject.digest, entry, bytes, deadline).await
    }

    /// Writes a manifest that refers to another, and where the registry does not keep track of such
    /// manifests, its entry in the tag that stands in for that.
    pub(crate) async fn push_referrer(
        &self,
        image: &ImageRef,
        subject: &Digest,
        entry: Descriptor,
        bytes: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Attached, FetchError> {
        let manifest = entry.digest;
        let media_type = &entry.media_type;
        let answer = self.put_by_digest(image, &manifest, media_type, bytes, deadline).await?;
        // By this header a registry says that it keeps track of referrers itself.
        let tracked = answer.headers.get(OCI_SUBJECT);
        if tracked.is_some_and(|value| value.as_bytes() == subject.to_string().as_bytes()) {
            return Ok(Attached { manifest, source: ReferrersSource::Api });
        }
        let listed = Change::List(Box::new(entry));
        self.change_fallback(image, subject, listed, deadline).await?;
        Ok(Attached { manifest, source: ReferrersSource::FallbackTag })
    }
}
