//! What the registry holds: repositories with their blobs, manifests and tags, and open uploads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use evidence::Digest;
use serde::Deserialize;

use super::memory::Held;
use super::name::{Reference, RepositoryName, Tag};

/// Repositories held.
const REPOSITORIES_MAX: usize = 1000;

/// Uploads open at once. The oldest makes room: specified as "eventually time out".
const UPLOADS_MAX: usize = 256;

/// Everything.
#[derive(Default)]
pub(super) struct Store {
    repositories: BTreeMap<RepositoryName, Repository>,
    /// Oldest first.
    uploads: VecDeque<Upload>,
}

/// One repository. Every tag names a manifest that is there.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeMap<Digest, Arc<Blob>>,
    manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<Tag, Digest>,
}

/// A blob; shared by the repositories that it was mounted to.
pub(super) struct Blob {
    pub(super) bytes: Bytes,
    _held: Held,
}

/// A manifest with what the referrers API tells of it.
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) subject: Option<Digest>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    _held: Held,
}

/// A blob on its way in.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) repository: RepositoryName,
    pub(super) bytes: Vec<u8>,
    pub(super) held: Held,
}

/// The members of an image manifest or index that are looked at here.
///
/// OCI image specification v1.1, "Image Manifest" and "Image Index".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) schema_version: u32,
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) subject: Option<Descriptor>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// OCI image specification v1.1, "Content Descriptors".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
}

impl Store {
    pub(super) fn repository(&self, name: &RepositoryName) -> Option<&Repository> {
        self.repositories.get(name)
    }

    pub(super) fn repository_mut(&mut self, name: &RepositoryName) -> Option<&mut Repository> {
        self.repositories.get_mut(name)
    }

    /// The repository, made if it is not there; `None` if there are too many.
    pub(super) fn open(&mut self, name: &RepositoryName) -> Option<&mut Repository> {
        if !self.repositories.contains_key(name) && self.repositories.len() >= REPOSITORIES_MAX {
            return None;
        }
        Some(self.repositories.entry(name.clone()).or_default())
    }

    pub(super) fn add_upload(&mut self, upload: Upload) {
        if self.uploads.len() == UPLOADS_MAX {
            self.uploads.pop_front();
        }
        self.uploads.push_back(upload);
    }

    pub(super) fn upload(&mut self, name: &RepositoryName, id: &str) -> Option<&mut Upload> {
        self.uploads.iter_mut().find(|upload| upload.id == id && upload.repository == *name)
    }

    /// Takes the upload out.
    pub(super) fn take_upload(&mut self, name: &RepositoryName, id: &str) -> Option<Upload> {
        let found = |upload: &Upload| upload.id == id && upload.repository == *name;
        let place = self.uploads.iter().position(found)?;
        self.uploads.remove(place)
    }
}

impl Repository {
    /// The manifest that a tag or digest names.
    pub(super) fn manifest(&self, reference: &Reference) -> Option<(&Digest, &Manifest)> {
        let digest = match reference {
            Reference::Tag(tag) => self.tags.get(tag)?,
            Reference::Digest(digest) => digest,
        };
        self.manifests.get_key_value(digest)
    }

    pub(super) fn has_manifest(&self, digest: &Digest) -> bool {
        self.manifests.contains_key(digest)
    }

    pub(super) fn put_manifest(&mut self, digest: Digest, manifest: Manifest) {
        self.manifests.insert(digest, manifest);
    }

    /// Removes a manifest and all tags that name it; `false` if there was none.
    pub(super) fn remove_manifest(&mut self, digest: &Digest) -> bool {
        self.tags.retain(|_, named| named != digest);
        self.manifests.remove(digest).is_some()
    }

    /// The manifests whose subject is `digest`, in the order of their digests.
    pub(super) fn referrers(&self, digest: &Digest) -> impl Iterator<Item = (&Digest, &Manifest)> {
        self.manifests.iter().filter(|(_, manifest)| manifest.subject.as_ref() == Some(digest))
    }
}

impl Blob {
    pub(super) fn new(bytes: Bytes, held: Held) -> Self {
        Self { bytes, _held: held }
    }
}

impl Manifest {
    /// A manifest that was parsed and checked.
    pub(super) fn new(
        media_type: &str,
        bytes: Bytes,
        held: Held,
        document: Document,
        subject: Option<Digest>,
    ) -> Self {
        // "If the artifactType is empty or missing in the image manifest, the value of artifactType
        // MUST be set to the config descriptor mediaType value"; an index has no config.
        let artifact_type = document
            .artifact_type
            .filter(|found| !found.is_empty())
            .or(document.config.map(|config| config.media_type));
        Self {
            media_type: media_type.to_owned(),
            bytes,
            subject,
            artifact_type,
            annotations: document.annotations,
            _held: held,
        }
    }

    /// Any bytes; it takes part in the referrers API if they can be read as a manifest.
    pub(super) fn unchecked(media_type: &str, bytes: Bytes, held: Held) -> Self {
        match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) => {
                let subject = document.subject.as_ref().and_then(|of| of.digest.parse().ok());
                Self::new(media_type, bytes, held, document, subject)
            }
            Err(_) => Self {
                media_type: media_type.to_owned(),
                bytes,
                subject: None,
                artifact_type: None,
                annotations: None,
                _held: held,
            },
        }
    }
}
