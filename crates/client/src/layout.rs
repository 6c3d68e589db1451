//! An OCI layout on disk, as `cosign save` and `skopeo copy … oci:` write it: an image with what lies
//! beside it: verified without any network, saved from a registry, and loaded into one.
//!
//! OCI image specification v1.1, "Image Layout". `cosign save` lists signatures and attestations in
//! the index under annotations of its own, and leaves referrers as loose blobs. Nothing outside the
//! folder is read or written: names come from digests, and whatever is not a plain file in a plain
//! folder is refused.
//!
//! A layout of ours lists all that belongs to the image, and says so: what else is among its blobs,
//! such as a signature that was withdrawn since an earlier save, counts for nothing.

mod beside;
mod files;
mod load;
mod save;
mod transfer;
mod within;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use load::Loaded;
pub use save::Saved;
pub use transfer::{BLOBS_MAX, Progress, TooManyBlobs, TransferError};

use crypto::HashAlgorithm;
use evidence::Digest;
use serde::Deserialize;
use verify::{Obstacle, ObstacleKind};

use crate::registry::discover::RawEvidence;
use crate::registry::manifest::{DESCRIPTORS_MAX, MANIFEST_SIZE_MAX};
use crate::registry::{Descriptor, Manifest};
use beside::named_tag;
use files::{Folder, check_digest, problem};

/// Cosign's annotation on what the index lists, and its values.
const KIND: &str = "kind";
const IMAGE: &str = "dev.cosignproject.cosign/image";
const IMAGE_INDEX: &str = "dev.cosignproject.cosign/imageIndex";
const SIGNATURES: &str = "dev.cosignproject.cosign/sigs";
const ATTESTATIONS: &str = "dev.cosignproject.cosign/atts";

/// What others call what the index lists.
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// Our annotation on an index that lists all that belongs to the image, and its value. Whoever writes
/// the index anew takes it away with all else.
const COMPLETE: (&str, &str) = ("dev.countersign.layout.listed", "all");

/// Types of the configurations of images.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// An OCI layout.
#[derive(Clone, Debug)]
pub struct Layout {
    root: Arc<Folder>,
    listed: Vec<Descriptor>,
    /// Whether what is not listed counts for nothing.
    is_complete: bool,
}

/// The evidence in a layout.
#[derive(Debug, Default)]
pub struct LayoutEvidence {
    /// The evidence.
    pub pieces: Vec<RawEvidence>,
    /// What could not be read. With any of these, "none found" means nothing.
    pub obstacles: Vec<LayoutError>,
}

/// Why a layout, or something in it, cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct LayoutError {
    path: PathBuf,
    #[source]
    kind: Box<LayoutProblem>,
}

/// What is in the way.
#[derive(Debug, thiserror::Error)]
pub enum LayoutProblem {
    /// No folder with an OCI layout in it.
    #[error("not an OCI layout of version 1")]
    NotALayout,
    /// The operating system says no.
    #[error("cannot be used: {0}")]
    Io(#[from] io::Error),
    /// A link, or something else that is no plain file or folder: it could lead anywhere.
    #[error("wanted a plain {wanted}, found something else, such as a link")]
    NotPlain {
        /// A file or a folder.
        wanted: &'static str,
    },
    /// Longer than is read.
    #[error("longer than the {max} bytes read")]
    TooLarge {
        /// The most read.
        max: u64,
    },
    /// More than is looked at.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most looked at.
        max: usize,
    },
    /// Not what it should be.
    #[error("wanted {wanted}, found {found}")]
    Malformed {
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// Other bytes than its name says.
    #[error("wanted content with the digest {wanted}, found {found}")]
    DigestMismatch {
        /// The digest in its name.
        wanted: Digest,
        /// The digest of its content.
        found: Digest,
    },
    /// A folder with other things in it.
    #[error("wanted an empty folder or an OCI layout, found a folder with other things in it")]
    OtherContent,
    /// No image, or several of which none was named.
    #[error("wanted one image, found {found}")]
    NotOneImage {
        /// How many.
        found: usize,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl LayoutError {
    /// What is in the way.
    #[must_use]
    pub fn problem(&self) -> &LayoutProblem {
        &self.kind
    }

    fn is_absent(&self) -> bool {
        // Below what is no folder there is nothing either.
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        matches!(self.problem(), LayoutProblem::Io(error) if absent.contains(&error.kind()))
    }
}

impl Layout {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    /// When it is none, or its index is malformed.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let folder = Folder::open(root).map_err(|error| match error.is_absent() {
            true => problem(root, LayoutProblem::NotALayout),
            false => error,
        })?;
        Self::read(&Arc::new(folder))
    }

    fn read(root: &Arc<Folder>) -> Result<Self, LayoutError> {
        let not_a_layout = || problem(root.path(), LayoutProblem::NotALayout);
        let bytes = match root.read("oci-layout", 1024) {
            Err(error) if error.is_absent() => return Err(not_a_layout()),
            outcome => outcome?,
        };
        let version: Option<Marker> = crate::json::parse(&bytes).ok();
        if version.is_none_or(|marker| !marker.image_layout_version.starts_with("1.")) {
            return Err(not_a_layout());
        }
        let path = root.path().join("index.json");
        let bytes = root.read("index.json", MANIFEST_SIZE_MAX)?;
        let Index { manifests: listed, annotations } =
            crate::json::parse(&bytes).map_err(|error: serde_json::Error| {
                let (wanted, found) = ("an index of manifests", error.to_string());
                problem(&path, LayoutProblem::Malformed { wanted, found })
            })?;
        if listed.len() > DESCRIPTORS_MAX {
            let (what, max) = ("manifests", DESCRIPTORS_MAX);
            return Err(problem(&path, LayoutProblem::TooMany { what, max }));
        }
        let (name, value) = COMPLETE;
        let is_complete = annotations.and_then(|all| all.get(name).map(|it| it == value));
        let is_complete = is_complete.unwrap_or(false);
        Ok(Self { root: Arc::clone(root), listed, is_complete })
    }

    /// The image: the one that `cosign save` marked, else the only one listed, else the one that is
    /// listed under this name.
    ///
    /// # Errors
    /// When there is none, there are several and none is named, or it cannot be read.
    pub fn image(&self, name: Option<&str>) -> Result<Manifest, LayoutError> {
        let annotated = |key: &str, values: &[&str]| -> Vec<&Descriptor> {
            let fits = |descriptor: &&Descriptor| {
                annotation(descriptor, key).is_some_and(|value| values.contains(&value))
            };
            self.listed.iter().filter(fits).collect()
        };
        let found = match name {
            Some(name) => annotated(REFERENCE, &[name]),
            None => {
                let marked = annotated(KIND, &[IMAGE, IMAGE_INDEX]);
                let is_image = |descriptor: &&Descriptor| {
                    annotation(descriptor, KIND).is_none()
                        && named_tag(descriptor).is_none()
                        && !is_artifact(descriptor)
                };
                if marked.is_empty() {
                    self.listed.iter().filter(is_image).collect()
                } else {
                    marked
                }
            }
        };
        match found.as_slice() {
            [only] => self.manifest(&only.digest, Some(&only.media_type), MANIFEST_SIZE_MAX),
            found => {
                let kind = LayoutProblem::NotOneImage { found: found.len() };
                Err(problem(&self.root.path().join("index.json"), kind))
            }
        }
    }

    fn manifest(
        &self,
        digest: &Digest,
        media_type: Option<&str>,
        size_max: u64,
    ) -> Result<Manifest, LayoutError> {
        let path = self.path(digest);
        let bytes = self.blobs(digest.algorithm())?.read(&digest.hex(), size_max)?;
        let manifest = Manifest::read(bytes, media_type, digest).map_err(|(wanted, found)| {
            problem(&path, LayoutProblem::Malformed { wanted, found })
        })?;
        check_digest(&path, digest, &manifest.digest)?;
        Ok(manifest)
    }

    fn blob(&self, digest: &Digest, size_max: u64) -> Result<Vec<u8>, LayoutError> {
        let bytes = self.blobs(digest.algorithm())?.read(&digest.hex(), size_max)?;
        let found = Digest::from(crypto::Hash::of(digest.algorithm(), &bytes));
        check_digest(&self.path(digest), digest, &found)?;
        Ok(bytes)
    }

    /// The folder of blobs whose names are digests of that algorithm.
    fn blobs(&self, algorithm: HashAlgorithm) -> Result<Folder, LayoutError> {
        self.root.folder("blobs")?.folder(algorithm.name())
    }

    /// Where a blob is, for messages.
    fn path(&self, digest: &Digest) -> PathBuf {
        let folder = self.root.path().join("blobs").join(digest.algorithm().name());
        folder.join(digest.hex())
    }
}

/// Whether something is listed as what is no image. go-containerregistry writes the type of an image's
/// configuration there, for images too.
fn is_artifact(descriptor: &Descriptor) -> bool {
    let kind = descriptor.artifact_type.as_deref();
    kind.is_some_and(|kind| !IMAGE_CONFIGS.contains(&kind))
}

fn annotation<'d>(descriptor: &'d Descriptor, name: &str) -> Option<&'d str> {
    descriptor.annotations.as_ref()?.get(name).map(String::as_str)
}

impl From<&LayoutError> for Obstacle {
    fn from(error: &LayoutError) -> Self {
        let kind = match error.problem() {
            LayoutProblem::NotALayout | LayoutProblem::NotOneImage { .. } => ObstacleKind::NotFound,
            LayoutProblem::Io(_) if error.is_absent() => ObstacleKind::NotFound,
            LayoutProblem::Io(_) => ObstacleKind::Internal,
            LayoutProblem::TooLarge { .. } | LayoutProblem::TooMany { .. } => {
                ObstacleKind::TooLarge
            }
            LayoutProblem::NotPlain { .. }
            | LayoutProblem::OtherContent
            | LayoutProblem::Malformed { .. }
            | LayoutProblem::DigestMismatch { .. } => ObstacleKind::Malformed,
        };
        let what = format!("reading {}", error.path.display());
        Self { kind, what, detail: error.kind.to_string() }
    }
}
