//! Cosign's tags: the names under which it keeps signatures, attestations and bills of materials
//! beside an image, and the one manifest under each, shared by all who write there.
//!
//! Cosign's `SIGNATURE_SPEC.md` and `pkg/oci/remote`. As with the tag for referrers, what is there
//! is read, merged, written, and read back until our layers stay; no other writer's layer is lost,
//! unless that writer does not look back and the registry has no conditional writes.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use evidence::cosign::{Layer, SIGNATURE};
use evidence::image::TAG_SIZE_MAX;
use evidence::{Digest, ImageRef};
use serde_json::{Map, Value, json};

use super::Registry;
use super::manifest::{
    DESCRIPTORS_MAX, Descriptor, MANIFEST_SIZE_MAX, Manifest, ManifestContent, OCI_MANIFEST, get,
};
use super::shared_tag::{Merging, Wanted};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::Answer;

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// When nothing was: what Go writes for no time, and so what Cosign's own configurations hold.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// One of the tags that Cosign keeps beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CosignTag {
    /// `….sig`.
    Signature,
    /// `….att`.
    Attestation,
    /// `….sbom`.
    Sbom,
}

impl CosignTag {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Signature, Self::Attestation, Self::Sbom];

    /// The tag beside the manifest with that digest. `None` where that would be too long for a tag,
    /// as with SHA-512: then there is none.
    #[must_use]
    pub fn of(self, subject: &Digest) -> Option<String> {
        let suffix = match self {
            Self::Signature => "sig",
            Self::Attestation => "att",
            Self::Sbom => "sbom",
        };
        let tag = format!("{}-{}.{suffix}", subject.algorithm(), subject.hex());
        (tag.len() <= TAG_SIZE_MAX).then_some(tag)
    }
}

/// What is under a tag before something is added.
struct Current {
    layers: Vec<Value>,
    /// All else in the manifest, as whoever wrote it left it.
    rest: Map<String, Value>,
    media_type: String,
    /// The answer, for its validator and for errors; its status is 404 if there is no such tag.
    answer: Answer,
}

/// Layers on their way to a tag.
struct NewLayers<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    tag: String,
    layers: Vec<Descriptor>,
    /// Content that goes when these come.
    obsolete: &'a [Digest],
    /// The manifest that has them elsewhere: put as it is where there is no such tag.
    whole: Option<&'a Manifest>,
    deadline: Deadline,
}

impl Registry {
    /// The manifest under one of Cosign's tags; `None` if there is no such tag.
    ///
    /// # Errors
    /// When it cannot be known whether there is one.
    pub async fn cosign_manifest(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        deadline: Deadline,
    ) -> Result<Option<Manifest>, FetchError> {
        let size_max = MANIFEST_SIZE_MAX;
        let answer = self.cosign_answer(image, subject, tag, size_max, deadline).await?;
        answer.map(|answer| Manifest::of(answer, None)).transpose()
    }

    /// The same, if it has at most `size_max` bytes, and not read yet.
    pub(super) async fn cosign_answer(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Option<Answer>, FetchError> {
        let Some(tag) = tag.of(subject) else { return Ok(None) };
        let url = self.url(image, &format!("manifests/{tag}"))?;
        let answer = self.send(image, get(url, size_max), deadline).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        answer.wanted(&[200]).map(Some)
    }

    /// Adds layers to one of Cosign's tags, keeping all that are there. What is there already, with
    /// the same signature, is not added again. Gives the digest of the manifest that has them.
    /// Without any layer nothing is written.
    ///
    /// # Errors
    /// When the registry does not take them, other writers keep removing them, or the tag holds
    /// what is no manifest of Cosign's; nothing is lost then.
    pub async fn add_cosign_layers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        layers: &[Layer],
        deadline: Deadline,
    ) -> Result<Digest, FetchError> {
        self.replace_cosign_layers(image, subject, tag, layers, &[], deadline).await
    }

    /// The same, and takes away the layers with these contents: those that were seen when they
    /// became obsolete, and no other that came meanwhile.
    ///
    /// # Errors
    /// As [`Self::add_cosign_layers`].
    pub async fn replace_cosign_layers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        layers: &[Layer],
        obsolete: &[Digest],
        deadline: Deadline,
    ) -> Result<Digest, FetchError> {
        let tag = self.tag_of(image, subject, tag)?;
        let mut descriptors = Vec::new();
        for layer in layers {
            let bytes = Bytes::from(layer.bytes.clone());
            let size = bytes.len() as u64;
            let digest = self.push_blob(image, bytes, deadline).await?;
            descriptors.push(Descriptor {
                annotations: Some(layer.annotations.clone()),
                ..Descriptor::new(&layer.media_type, digest, size)
            });
        }
        let layers = once_each(descriptors);
        let registry = self;
        self.add(&NewLayers { registry, image, tag, layers, obsolete, whole: None, deadline }).await
    }

    /// Adds the layers of a manifest, whose blobs are there, to one of Cosign's tags. Under a tag
    /// that is not there the manifest itself is put, byte for byte. An index has no layers to add,
    /// and takes the place of nothing.
    pub(crate) async fn join_cosign_tag(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        manifest: &Manifest,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let tag = self.tag_of(image, subject, tag)?;
        let layers = match &manifest.content {
            ManifestContent::Image(content) => once_each(content.layers.clone()),
            ManifestContent::Index(_) => Vec::new(),
        };
        let (registry, obsolete, whole) = (self, &[][..], Some(manifest));
        self.add(&NewLayers { registry, image, tag, layers, obsolete, whole, deadline }).await?;
        Ok(())
    }

    async fn add(&self, layers: &NewLayers<'_>) -> Result<Digest, FetchError> {
        let current = self.merge(layers.image, layers, layers.deadline).await?;
        Ok(Digest::sha256(&current.answer.body))
    }

    /// The tag, without which nothing can be added.
    fn tag_of(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
    ) -> Result<String, FetchError> {
        tag.of(subject).ok_or_else(|| {
            let (wanted, found) =
                ("a digest that fits into a tag", subject.algorithm().to_string());
            let kind = FetchErrorKind::Malformed { wanted, found };
            FetchError::new(self.attempt(image, subject), kind)
        })
    }
}

/// Each signature once.
fn once_each(mut layers: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    layers.retain(|layer| seen.insert((layer.digest, signature(layer).to_owned())));
    layers
}

impl Merging for NewLayers<'_> {
    type Current = Current;

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn read(&self) -> Result<Current, FetchError> {
        let Self { registry, image, tag, .. } = self;
        let url = registry.url(image, &format!("manifests/{tag}"))?;
        let answer = registry.send(image, get(url, MANIFEST_SIZE_MAX), self.deadline).await?;
        match self.whole {
            Some(Manifest { content: ManifestContent::Index(_), bytes, .. })
                if answer.status.as_u16() == 200 =>
            {
                Current::same(answer, bytes)
            }
            _ => Current::parse(answer),
        }
    }

    fn answer<'c>(&self, current: &'c Current) -> &'c Answer {
        &current.answer
    }

    fn holds(&self, current: &Current) -> bool {
        let is_there = current.answer.status.as_u16() == 200;
        (is_there || self.whole.is_none())
            && self.missing(current).is_empty()
            && !current.layers.iter().any(|layer| self.is_obsolete(layer))
    }

    async fn with(&self, current: &Current, _: bool) -> Result<Wanted, FetchError> {
        if let Some(whole) = self.whole
            && current.answer.status.as_u16() == 404
        {
            let (media_type, bytes) = (whole.media_type.clone(), whole.bytes.clone());
            return Ok(Wanted { media_type, bytes });
        }
        let kept = current.layers.iter().filter(|layer| !self.is_obsolete(layer));
        let mut layers: Vec<_> = kept.cloned().collect();
        for layer in self.missing(current) {
            layers.push(serde_json::to_value(layer).expect("a descriptor is text and numbers"));
        }
        if layers.len() > DESCRIPTORS_MAX {
            let kind = FetchErrorKind::TooMany { what: "signatures", max: DESCRIPTORS_MAX };
            return Err(current.answer.error(kind));
        }
        let config = Bytes::from(configuration(&layers));
        let size = config.len() as u64;
        let digest = self.registry.push_blob(self.image, config, self.deadline).await?;
        let mut manifest = current.rest.clone();
        // Whoever wrote a configuration under another name, Docker's, reads it under that.
        let named = manifest["config"]["mediaType"].as_str().unwrap_or(IMAGE_CONFIG).to_owned();
        let config = Descriptor::new(named, digest, size);
        manifest["config"] =
            serde_json::to_value(config).expect("a descriptor is text and numbers");
        manifest.insert("layers".to_owned(), Value::Array(layers));
        let bytes = serde_json::to_vec(&manifest).expect("what was JSON is JSON");
        if bytes.len() as u64 > MANIFEST_SIZE_MAX {
            let (what, max) = ("a manifest of signatures", MANIFEST_SIZE_MAX);
            let found = Some(bytes.len() as u64);
            return Err(current.answer.error(FetchErrorKind::TooLarge { what, max, found }));
        }
        Ok(Wanted { media_type: current.media_type.clone(), bytes })
    }
}

impl NewLayers<'_> {
    fn is_obsolete(&self, layer: &Value) -> bool {
        let is_new = self.layers.iter().any(|new| same(layer, new));
        let digest = layer["digest"].as_str();
        !is_new && self.obsolete.iter().any(|gone| digest == Some(&gone.to_string()))
    }

    fn missing(&self, current: &Current) -> Vec<&Descriptor> {
        let is_there = |layer: &Descriptor| current.layers.iter().any(|there| same(there, layer));
        self.layers.iter().filter(|layer| !is_there(layer)).collect()
    }
}

/// Whether a layer is the same signature: the same content, and for a signature beside it the very
/// same. An envelope holds its own.
fn same(there: &Value, layer: &Descriptor) -> bool {
    there["digest"].as_str() == Some(&layer.digest.to_string())
        && there["annotations"][SIGNATURE].as_str().unwrap_or_default() == signature(layer)
}

fn signature(layer: &Descriptor) -> &str {
    layer.annotations.as_ref().and_then(|all| all.get(SIGNATURE)).map_or("", String::as_str)
}

impl Current {
    /// What is there, if it is the very index that is to be put there.
    fn same(answer: Answer, index: &[u8]) -> Result<Self, FetchError> {
        if answer.body != index {
            return Err(answer.malformed("no tag, or the index to be put there", "something else"));
        }
        let (layers, rest, media_type) = (Vec::new(), Map::new(), String::new());
        Ok(Self { layers, rest, media_type, answer })
    }

    fn parse(answer: Answer) -> Result<Self, FetchError> {
        if answer.status.as_u16() == 404 {
            let rest = json!({
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": IMAGE_CONFIG},
            });
            let Value::Object(rest) = rest else { unreachable!("an object was written") };
            let media_type = OCI_MANIFEST.to_owned();
            return Ok(Self { layers: Vec::new(), rest, media_type, answer });
        }
        let answer = answer.wanted(&[200])?;
        let wanted = "a manifest of signatures";
        // Read as every manifest is, so that nothing is added to what two readers read differently.
        let manifest = Manifest::of(answer.clone(), None)?;
        if !matches!(manifest.content, ManifestContent::Image(_)) {
            return Err(answer.malformed(wanted, &manifest.media_type));
        }
        let mut rest: Map<String, Value> = serde_json::from_slice(&answer.body)
            .map_err(|error| answer.malformed(wanted, error.to_string()))?;
        let Some(Value::Array(layers)) = rest.remove("layers") else {
            return Err(answer.malformed(wanted, "no layers"));
        };
        Ok(Self { layers, rest, media_type: manifest.media_type, answer })
    }
}

/// The configuration of an image of these layers. Cosign, when it adds one of its own, finds the
/// others by it: a layer that it does not list would be lost then. Layers are stored as they are,
/// so that each is its own "uncompressed" content.
fn configuration(layers: &[Value]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let history: Vec<_> = layers.iter().map(|_| BTreeMap::from([("created", NO_TIME)])).collect();
    let document = json!({
        "architecture": "",
        "created": NO_TIME,
        "history": history,
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": ids},
        "config": {},
    });
    serde_json::to_vec(&document).expect("text and lists always serialise")
}
