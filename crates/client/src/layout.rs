//! An OCI layout on disk, as `cosign save` and `skopeo copy … oci:` write it: an image with what lies
//! beside it, read without any network.
//!
//! OCI image specification v1.1, "Image Layout". `cosign save` lists signatures and attestations in
//! the index under annotations of its own, and leaves referrers as loose blobs, which are found by
//! looking at every small one. Layers are never read. Nothing outside the folder is: names come from
//! digests, and whatever is not a plain file in a plain folder is refused.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crypto::HashAlgorithm;
use evidence::Digest;
use serde::Deserialize;
use verify::{Obstacle, ObstacleKind};

use crate::registry::attachment::{Place, attachments};
use crate::registry::discover::{
    BUNDLE_SIZE_MAX, BUNDLES_SIZE_MAX, PIECES_MAX, REFERRER_SIZE_MAX, RawEvidence,
};
use crate::registry::manifest::{DESCRIPTORS_MAX, MANIFEST_SIZE_MAX};
use crate::registry::{CosignTag, Descriptor, Manifest};

/// Blobs looked at in one layout.
const BLOBS_MAX: usize = 20_000;

/// Bytes read while looking for referrers.
const SCAN_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Cosign's annotation on what the index lists, and its values.
const KIND: &str = "kind";
const IMAGE: &str = "dev.cosignproject.cosign/image";
const IMAGE_INDEX: &str = "dev.cosignproject.cosign/imageIndex";
const SIGNATURES: &str = "dev.cosignproject.cosign/sigs";
const ATTESTATIONS: &str = "dev.cosignproject.cosign/atts";

/// What others call what the index lists.
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// An OCI layout.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    listed: Vec<Descriptor>,
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
    #[error("cannot be read: {0}")]
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

/// What says that a blob is a referrer.
#[derive(Deserialize)]
struct Refers {
    #[serde(default)]
    subject: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

impl LayoutError {
    /// What is in the way.
    #[must_use]
    pub fn problem(&self) -> &LayoutProblem {
        &self.kind
    }

    fn is_absent(&self) -> bool {
        let not_found = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        matches!(self.problem(), LayoutProblem::Io(error) if not_found(error))
    }
}

impl Layout {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    /// When it is none, or its index is malformed.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let at = |name: &str| root.join(name);
        let marker = at("oci-layout");
        let bytes = match read(&marker, 1024) {
            Err(error) if matches!(*error.kind, LayoutProblem::Io(_)) => {
                return Err(problem(root, LayoutProblem::NotALayout));
            }
            outcome => outcome?,
        };
        let version: Option<Marker> = crate::json::parse(&bytes).ok();
        if version.is_none_or(|marker| !marker.image_layout_version.starts_with("1.")) {
            return Err(problem(root, LayoutProblem::NotALayout));
        }
        let index = at("index.json");
        let bytes = read(&index, MANIFEST_SIZE_MAX)?;
        let Index { manifests: listed } =
            crate::json::parse(&bytes).map_err(|error: serde_json::Error| {
                let (wanted, found) = ("an index of manifests", error.to_string());
                problem(&index, LayoutProblem::Malformed { wanted, found })
            })?;
        if listed.len() > DESCRIPTORS_MAX {
            let (what, max) = ("manifests", DESCRIPTORS_MAX);
            return Err(problem(&index, LayoutProblem::TooMany { what, max }));
        }
        Ok(Self { root: root.to_owned(), listed })
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
                    annotation(descriptor, KIND).is_none() && beside(descriptor).is_none()
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
                Err(problem(&self.root.join("index.json"), kind))
            }
        }
    }

    /// Finds all evidence about a manifest. What cannot be read is an obstacle.
    #[must_use]
    pub fn find_evidence(&self, subject: &Digest) -> LayoutEvidence {
        let mut found = LayoutEvidence::default();
        let mut manifests = Vec::new();
        for descriptor in self.listed.iter().filter(|one| is_beside(one, subject)) {
            let media_type = Some(descriptor.media_type.as_str());
            match self.manifest(&descriptor.digest, media_type, MANIFEST_SIZE_MAX) {
                Ok(manifest) => manifests.push(manifest),
                Err(error) => found.obstacles.push(error),
            }
        }
        self.scan(subject, &mut manifests, &mut found.obstacles);
        let mut room = BUNDLES_SIZE_MAX;
        let layers = manifests.iter().flat_map(|manifest| attachments(manifest, Place::Layout));
        for attachment in layers.filter(|attachment| attachment.kind.is_evidence()) {
            let Descriptor { digest, size, .. } = &attachment.layer;
            let path = self.path(digest);
            if found.pieces.len() == PIECES_MAX {
                let (what, max) = ("pieces of evidence", PIECES_MAX);
                found.obstacles.push(problem(&path, LayoutProblem::TooMany { what, max }));
                break;
            }
            let max = room.min(BUNDLE_SIZE_MAX);
            if *size > max {
                found.obstacles.push(problem(&path, LayoutProblem::TooLarge { max }));
                continue;
            }
            room -= size;
            match self.blob(digest, *size) {
                Ok(bytes) => found.pieces.push(RawEvidence {
                    bytes,
                    kind: attachment.kind,
                    media_type: attachment.layer.media_type,
                    annotations: attachment.layer.annotations.unwrap_or_default(),
                    manifest: attachment.manifest,
                    place: Place::Layout,
                }),
                Err(error) => found.obstacles.push(error),
            }
        }
        found
    }

    /// Looks at every small blob for manifests that refer to the subject: nothing lists them.
    fn scan(
        &self,
        subject: &Digest,
        manifests: &mut Vec<Manifest>,
        obstacles: &mut Vec<LayoutError>,
    ) {
        let (mut count, mut room) = (0, SCAN_SIZE_MAX);
        for algorithm in HashAlgorithm::ALL {
            let folder = self.folder(algorithm);
            let entries = match entries(&folder) {
                Ok(Some(entries)) => entries,
                Ok(None) => continue,
                Err(error) => {
                    obstacles.push(error);
                    continue;
                }
            };
            for entry in entries {
                count += 1;
                if count > BLOBS_MAX || room == 0 {
                    let (what, max) = ("blobs to look at", BLOBS_MAX);
                    obstacles.push(problem(&folder, LayoutProblem::TooMany { what, max }));
                    return;
                }
                let name = match entry {
                    Ok(entry) => entry.file_name(),
                    Err(error) => {
                        obstacles.push(problem(&folder, error.into()));
                        continue;
                    }
                };
                let name = name.to_string_lossy();
                let Ok(digest) = Digest::from_hex(algorithm, &name) else { continue };
                match self.refers_to(&digest, subject, &mut room) {
                    Ok(Some(manifest)) => {
                        if !manifests.iter().any(|known| known.digest == manifest.digest) {
                            manifests.push(manifest);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => obstacles.push(error),
                }
            }
        }
    }

    /// The blob, if it is a manifest about the subject. What is too long for one is not read.
    fn refers_to(
        &self,
        digest: &Digest,
        subject: &Digest,
        room: &mut u64,
    ) -> Result<Option<Manifest>, LayoutError> {
        let path = self.path(digest);
        let size = plain_file(&path)?;
        if size > REFERRER_SIZE_MAX {
            return Ok(None);
        }
        *room = room.saturating_sub(size);
        let bytes = read(&path, REFERRER_SIZE_MAX)?;
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Ok(None);
        }
        // Configurations and bundles are JSON too, and refer to nothing.
        let refers: Option<Refers> = crate::json::parse(&bytes).ok();
        let about = refers.and_then(|refers| refers.subject).map(|subject| subject.digest);
        if about != Some(*subject) {
            return Ok(None);
        }
        let manifest = Manifest::read(bytes, None, digest).map_err(|(wanted, found)| {
            problem(&path, LayoutProblem::Malformed { wanted, found })
        })?;
        check_digest(&path, digest, &manifest.digest)?;
        Ok(Some(manifest))
    }

    fn manifest(
        &self,
        digest: &Digest,
        media_type: Option<&str>,
        size_max: u64,
    ) -> Result<Manifest, LayoutError> {
        let path = self.path(digest);
        self.check_folders(digest.algorithm())?;
        let manifest = Manifest::read(read(&path, size_max)?, media_type, digest).map_err(
            |(wanted, found)| problem(&path, LayoutProblem::Malformed { wanted, found }),
        )?;
        check_digest(&path, digest, &manifest.digest)?;
        Ok(manifest)
    }

    fn blob(&self, digest: &Digest, size_max: u64) -> Result<Vec<u8>, LayoutError> {
        let path = self.path(digest);
        self.check_folders(digest.algorithm())?;
        let bytes = read(&path, size_max)?;
        let found = Digest::from(crypto::Hash::of(digest.algorithm(), &bytes));
        check_digest(&path, digest, &found)?;
        Ok(bytes)
    }

    fn folder(&self, algorithm: HashAlgorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.name())
    }

    /// Where a blob is: its name is made of hexadecimal digits alone.
    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder(digest.algorithm()).join(digest.hex())
    }

    fn check_folders(&self, algorithm: HashAlgorithm) -> Result<(), LayoutError> {
        plain_folder(&self.root.join("blobs"))?;
        plain_folder(&self.folder(algorithm))
    }
}

fn annotation<'d>(descriptor: &'d Descriptor, name: &str) -> Option<&'d str> {
    descriptor.annotations.as_ref()?.get(name).map(String::as_str)
}

/// What lies beside an image, if the name under which something is listed is one of Cosign's tags.
fn beside(descriptor: &Descriptor) -> Option<&str> {
    let name = annotation(descriptor, REFERENCE)?;
    let tag = name.rsplit(':').next().unwrap_or(name);
    let (stem, suffix) = tag.rsplit_once('.')?;
    let known = ["sig", "att", "sbom"].contains(&suffix);
    let (algorithm, value) = stem.split_once('-')?;
    let algorithm = HashAlgorithm::from_name(algorithm)?;
    (known && Digest::from_hex(algorithm, value).is_ok()).then_some(tag)
}

/// Whether something that is listed may be evidence about the subject. What Cosign marked as such
/// does not say about what; the judge finds out.
fn is_beside(descriptor: &Descriptor, subject: &Digest) -> bool {
    let marked =
        annotation(descriptor, KIND).is_some_and(|kind| [SIGNATURES, ATTESTATIONS].contains(&kind));
    let tags = [CosignTag::Signature, CosignTag::Attestation];
    let named = beside(descriptor);
    marked || tags.iter().any(|tag| tag.of(subject).as_deref() == named && named.is_some())
}

/// The entries of a plain folder; `None` if there is none.
fn entries(folder: &Path) -> Result<Option<fs::ReadDir>, LayoutError> {
    if let Some(parent) = folder.parent() {
        plain_folder(parent)?;
    }
    match plain_folder(folder) {
        Ok(()) => fs::read_dir(folder).map(Some).map_err(|error| problem(folder, error.into())),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

fn plain_folder(path: &Path) -> Result<(), LayoutError> {
    let found = fs::symlink_metadata(path).map_err(|error| problem(path, error.into()))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(problem(path, LayoutProblem::NotPlain { wanted: "folder" }))
    }
}

/// The size of a plain file.
fn plain_file(path: &Path) -> Result<u64, LayoutError> {
    let found = fs::symlink_metadata(path).map_err(|error| problem(path, error.into()))?;
    if found.is_file() {
        Ok(found.len())
    } else {
        Err(problem(path, LayoutProblem::NotPlain { wanted: "file" }))
    }
}

/// Reads a plain file of at most that size, however long it becomes meanwhile.
fn read(path: &Path, size_max: u64) -> Result<Vec<u8>, LayoutError> {
    let too_large = || problem(path, LayoutProblem::TooLarge { max: size_max });
    if plain_file(path)? > size_max {
        return Err(too_large());
    }
    let file = File::open(path).map_err(|error| problem(path, error.into()))?;
    let mut bytes = Vec::new();
    let limit = size_max.saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| problem(path, error.into()))?;
    if bytes.len() as u64 > size_max { Err(too_large()) } else { Ok(bytes) }
}

fn check_digest(path: &Path, wanted: &Digest, found: &Digest) -> Result<(), LayoutError> {
    if wanted == found {
        return Ok(());
    }
    let (wanted, found) = (*wanted, *found);
    Err(problem(path, LayoutProblem::DigestMismatch { wanted, found }))
}

fn problem(path: &Path, kind: LayoutProblem) -> LayoutError {
    LayoutError { path: path.to_owned(), kind: Box::new(kind) }
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
            | LayoutProblem::Malformed { .. }
            | LayoutProblem::DigestMismatch { .. } => ObstacleKind::Malformed,
        };
        let what = format!("reading {}", error.path.display());
        Self { kind, what, detail: error.kind.to_string() }
    }
}
