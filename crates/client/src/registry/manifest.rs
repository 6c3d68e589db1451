//! Manifests: image manifests and indexes, hashed as they came and read so that no two readers can
//! disagree about what they are.
//!
//! OCI image specification v1.1 and Docker's image manifest version 2, schema 2. A document with
//! both `layers` and `manifests`, or whose `mediaType` is not the one it was served with, is
//! refused (CVE-2021-41190).

mod exchange;

use std::collections::BTreeMap;
use std::fmt;

use evidence::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use exchange::{LookedUp, Presence};
pub(super) use exchange::{get, parse_tag};

/// Longest manifest read, in bytes (what the distribution specification asks registries to take).
pub const MANIFEST_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// Most layers or children read in one manifest.
pub const DESCRIPTORS_MAX: usize = 1000;

/// Longest media type read, in bytes: two names of 127 and a slash (RFC 6838 §4.2).
pub const MEDIA_TYPE_SIZE_MAX: usize = 255;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest whose digest was computed over the bytes that came.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Digest of `bytes`.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifest, exactly as it came.
    pub bytes: Vec<u8>,
    /// The same, read.
    pub content: ManifestContent,
}

/// What a manifest holds.
#[derive(Clone, Debug)]
pub enum ManifestContent {
    /// One image or artifact.
    Image(Box<ImageManifest>),
    /// A list of manifests, one per platform.
    Index(ImageIndex),
}

/// A manifest of one image or artifact.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// What kind of artifact it is; not present on images.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "parse_optional_media_type"
    )]
    pub artifact_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its content.
    pub layers: Vec<Descriptor>,
    /// The manifest that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Further properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A list of manifests.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// The manifest that it is about.
    #[serde(default)]
    pub subject: Option<Box<Descriptor>>,
}

/// A pointer to content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct Descriptor {
    /// The content's media type, at most [`MEDIA_TYPE_SIZE_MAX`] bytes.
    #[serde(deserialize_with = "parse_media_type")]
    pub media_type: String,
    /// The content's digest.
    #[serde(deserialize_with = "parse_digest", serialize_with = "write_digest")]
    pub digest: Digest,
    /// The content's length in bytes.
    pub size: u64,
    /// What kind of artifact the content is, if it is one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "parse_optional_media_type"
    )]
    pub artifact_type: Option<String>,
    /// Further properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The platform that an index's child is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// The platform that an image is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Platform {
    /// Operating system, as Go names it.
    pub os: String,
    /// Processor, as Go names it.
    pub architecture: String,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// A pointer to this manifest.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.bytes.len() as u64)
    }

    /// Reads a manifest that is said to be of that media type, and computes its digest in the
    /// algorithm of the one wanted, with which it is not yet compared.
    ///
    /// # Errors
    /// What was wanted, and what was found.
    pub(crate) fn read(
        bytes: Vec<u8>,
        media_type: Option<&str>,
        wanted: &Digest,
    ) -> Result<Self, (&'static str, String)> {
        let digest = Digest::from(crypto::Hash::of(wanted.algorithm(), &bytes));
        let (media_type, content) = parse(&bytes, media_type)?;
        Ok(Self { digest, media_type, bytes, content })
    }
}

impl Descriptor {
    /// A pointer without further properties.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        let media_type = media_type.into();
        Self { media_type, digest, size, artifact_type: None, annotations: None, platform: None }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(formatter, "/{variant}"))
    }
}

pub(super) fn is_index_type(media_type: &str) -> bool {
    [OCI_INDEX, DOCKER_LIST].contains(&media_type)
}

/// Media type and content, or what was wanted and what was found.
fn parse(
    bytes: &[u8],
    served_as: Option<&str>,
) -> Result<(String, ManifestContent), (&'static str, String)> {
    let json = |error: serde_json::Error| ("a manifest in JSON", error.to_string());
    let outline: Outline = crate::json::parse(bytes).map_err(json)?;
    if outline.schema_version != 2 {
        return Err(("a manifest of schema version 2", outline.schema_version.to_string()));
    }
    let served_as = served_as.map(essence);
    let media_type = match (outline.media_type, served_as) {
        (Some(stated), Some(served)) if stated != served => {
            return Err((
                "one media type for a manifest",
                format!("`{stated}` inside, `{served}` outside"),
            ));
        }
        (Some(stated), _) => stated,
        (None, Some(served)) => served.to_owned(),
        (None, None) => return Err(("a media type", "none".to_owned())),
    };
    let image = outline.config.is_some() || outline.layers.is_some();
    let (content, count) = match (media_type.as_str(), image, outline.manifests.is_some()) {
        (_, true, true) => {
            return Err(("an image or an index", "both in one manifest".to_owned()));
        }
        (OCI_MANIFEST | DOCKER_MANIFEST, true, false) => {
            let image: ImageManifest = crate::json::parse(bytes).map_err(json)?;
            let count = image.layers.len();
            (ManifestContent::Image(Box::new(image)), count)
        }
        (OCI_INDEX | DOCKER_LIST, false, true) => {
            let index: ImageIndex = crate::json::parse(bytes).map_err(json)?;
            let count = index.manifests.len();
            (ManifestContent::Index(index), count)
        }
        _ => {
            return Err(("an OCI or Docker manifest or index", format!("`{media_type}`")));
        }
    };
    if count > DESCRIPTORS_MAX {
        return Err(("at most 1000 layers or manifests", count.to_string()));
    }
    Ok((media_type, content))
}

/// A media type without its parameters.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn parse_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Derived(Descriptor);
        impl<'de> Deserialize<'de> for Derived {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // The derived function; `remote` keeps it from being the trait's.
                Descriptor::deserialize(deserializer).map(Self)
            }
        }
        crate::json::object(deserializer).map(|Derived(descriptor)| descriptor)
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

fn parse_media_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > MEDIA_TYPE_SIZE_MAX {
        return Err(serde::de::Error::custom("a media type of more than 255 bytes"));
    }
    Ok(text)
}

fn parse_optional_media_type<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct MediaType(#[serde(deserialize_with = "parse_media_type")] String);
    Ok(Option::<MediaType>::deserialize(deserializer)?.map(|MediaType(text)| text))
}

fn write_digest<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}
