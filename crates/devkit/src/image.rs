//! Small images made on the spot: valid, tiny and always the same for the same input.
//!
//! OCI image specification v1.1 (manifest, index, configuration, layer); POSIX.1-2017 pax §"ustar
//! Interchange Format" for the layer. Layers are not compressed: a digest then does not depend on a
//! compressor, and the layer's digest is its `diff_id`.

use evidence::Digest;
use serde_json::{Value, json};

use crate::{DevkitError, beginning};

/// Longest path in a layer, in bytes: the `name` field of a ustar header.
pub const PATH_SIZE_MAX: usize = 100;

/// Largest sum of file contents in a layer made here, in bytes.
pub const LAYER_SIZE_MAX: usize = 16 * 1024 * 1024;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// Size of a header, and what contents are padded to.
const TAR_BLOCK_SIZE: usize = 512;

/// Bytes with their media type and digest: a blob or a manifest to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The media type.
    pub media_type: &'static str,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An image for one platform. Push the blobs first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// The configuration: a blob.
    pub config: Content,
    /// The one layer: a blob.
    pub layer: Content,
    /// The manifest.
    pub manifest: Content,
}

/// An image for several platforms. Push the images first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageIndex {
    /// One image for each platform.
    pub images: Vec<Image>,
    /// The index.
    pub manifest: Content,
}

/// What an image runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux on 64-bit x86.
    LinuxAmd64,
    /// Linux on 64-bit ARM.
    LinuxArm64,
}

/// A file in a layer.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Relative path without `..`.
    pub path: &'a str,
    /// What is in it.
    pub contents: &'a [u8],
    /// Whether it can be executed.
    pub executable: bool,
}

impl Content {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: Digest::sha256(&bytes), bytes }
    }

    fn of_json(media_type: &'static str, document: &Value) -> Self {
        Self::new(media_type, document.to_string().into_bytes())
    }

    /// OCI image specification v1.1, "Content Descriptors".
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest.to_string(),
            "size": self.bytes.len(),
        })
    }
}

impl Platform {
    /// The name in Go's vocabulary, as the specification wants it.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::LinuxAmd64 => "amd64",
            Self::LinuxArm64 => "arm64",
        }
    }

    fn members(self) -> Value {
        match self {
            Self::LinuxAmd64 => json!({ "architecture": "amd64", "os": "linux" }),
            Self::LinuxArm64 => json!({ "architecture": "arm64", "os": "linux", "variant": "v8" }),
        }
    }
}

impl Image {
    /// An image with these files as its one layer, whose command is the first of them.
    ///
    /// # Errors
    /// When a path cannot stand in a layer, or the files are too large.
    pub fn new(platform: Platform, files: &[File<'_>]) -> Result<Self, DevkitError> {
        let layer = Content::new(LAYER_TYPE, tar(files)?);
        let mut config = platform.members();
        config["config"] = match files.first() {
            Some(file) => json!({ "Cmd": [format!("/{}", file.path)] }),
            None => json!({}),
        };
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [layer.digest.to_string()] });
        let config = Content::of_json(CONFIG_TYPE, &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        let manifest = Content::of_json(MANIFEST_TYPE, &manifest);
        Ok(Self { platform, config, layer, manifest })
    }
}

impl ImageIndex {
    /// An index over images.
    #[must_use]
    pub fn new(images: Vec<Image>) -> Self {
        let descriptor = |image: &Image| {
            let mut descriptor = image.manifest.descriptor();
            descriptor["platform"] = image.platform.members();
            descriptor
        };
        let manifests: Vec<_> = images.iter().map(descriptor).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests });
        Self { images, manifest: Content::of_json(INDEX_TYPE, &index) }
    }

    /// An image for amd64 and arm64 whose only file is a shell script that says `greeting`.
    ///
    /// # Errors
    /// When the greeting is too large.
    pub fn greeting(greeting: &str) -> Result<Self, DevkitError> {
        let images = [Platform::LinuxAmd64, Platform::LinuxArm64].map(|platform| {
            let quoted = greeting.replace('\'', r"'\''");
            let script = format!(
                "#!/bin/sh\nprintf '%s\\n' '{quoted}' 'made for {}'\n",
                platform.architecture()
            );
            let file = File { path: "greet", contents: script.as_bytes(), executable: true };
            Image::new(platform, &[file])
        });
        Ok(Self::new(images.into_iter().collect::<Result<_, _>>()?))
    }
}

/// A ustar archive: owned by root, without times.
fn tar(files: &[File<'_>]) -> Result<Vec<u8>, DevkitError> {
    let size = files.iter().map(|file| file.contents.len()).sum();
    if size > LAYER_SIZE_MAX {
        return Err(DevkitError::LayerSize { found: size });
    }
    let mut archive = Vec::new();
    for file in files {
        archive.extend_from_slice(&tar_header(file)?);
        archive.extend_from_slice(file.contents);
        archive.resize(archive.len().next_multiple_of(TAR_BLOCK_SIZE), 0);
    }
    // "At the end of the archive file there shall be two 512-octet logical records filled with
    // binary zeros".
    archive.resize(archive.len() + 2 * TAR_BLOCK_SIZE, 0);
    Ok(archive)
}

fn tar_header(file: &File<'_>) -> Result<[u8; TAR_BLOCK_SIZE], DevkitError> {
    let sound = |component: &str| !matches!(component, "" | "." | "..");
    let good = file.path.len() <= PATH_SIZE_MAX
        && !file.path.contains('\0')
        && file.path.split('/').all(sound);
    if !good {
        return Err(DevkitError::LayerPath { found: beginning(file.path) });
    }
    let mut header = [0; TAR_BLOCK_SIZE];
    let mut set = |start: usize, text: &[u8]| {
        header[start..start + text.len()].copy_from_slice(text);
    };
    set(0, file.path.as_bytes());
    set(100, if file.executable { b"0000755\0" } else { b"0000644\0" });
    set(108, b"0000000\0");
    set(116, b"0000000\0");
    set(124, format!("{:011o}\0", file.contents.len()).as_bytes());
    set(136, b"00000000000\0");
    // The checksum is over the header with its own field full of spaces.
    set(148, b"        ");
    set(156, b"0");
    set(257, b"ustar\x0000");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    Ok(header)
}
