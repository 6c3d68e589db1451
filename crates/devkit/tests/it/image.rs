//! Images: well-formed, told apart by what is in them, and taken by the registry.

use devkit::DevkitError;
use devkit::image::{Content, File, Image, ImageIndex, Platform};
use devkit::registry::{Behaviour, Registry};
use evidence::Digest;
use serde_json::{Value, json};

use crate::blobs::push;
use crate::http::put;
use crate::start_registry;

fn parse(content: &Content) -> Value {
    serde_json::from_slice(&content.bytes).unwrap()
}

fn agrees(descriptor: &Value, content: &Content) {
    assert_eq!(content.digest, Digest::sha256(&content.bytes));
    assert_eq!(descriptor["mediaType"], content.media_type);
    assert_eq!(descriptor["digest"], content.digest.to_string());
    assert_eq!(descriptor["size"], content.bytes.len());
}

#[test]
fn an_index_describes_its_images_and_they_their_blobs() {
    let index = ImageIndex::greeting("good day").unwrap();
    let document = parse(&index.manifest);
    assert_eq!(document["schemaVersion"], 2);
    assert_eq!(document["mediaType"], index.manifest.media_type);
    let platforms = [
        json!({ "architecture": "amd64", "os": "linux" }),
        json!({ "architecture": "arm64", "os": "linux", "variant": "v8" }),
    ];
    let entries = document["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for ((entry, image), platform) in entries.iter().zip(&index.images).zip(platforms) {
        agrees(entry, &image.manifest);
        assert_eq!(entry["platform"], platform);
        let manifest = parse(&image.manifest);
        assert_eq!(manifest["mediaType"], image.manifest.media_type);
        agrees(&manifest["config"], &image.config);
        agrees(&manifest["layers"][0], &image.layer);
        let config = parse(&image.config);
        assert_eq!(config["architecture"], platform["architecture"]);
        assert_eq!(config["os"], "linux");
        assert_eq!(config["rootfs"]["type"], "layers");
        assert_eq!(config["rootfs"]["diff_ids"], json!([image.layer.digest.to_string()]));
        assert_eq!(config["config"]["Cmd"], json!(["/greet"]));
    }
    assert_ne!(index.images[0].manifest.digest, index.images[1].manifest.digest);
}

#[test]
fn the_same_input_makes_the_same_image_and_another_another() {
    let [one, same, other] = ["a", "a", "b"].map(|text| ImageIndex::greeting(text).unwrap());
    assert_eq!(one, same);
    assert_ne!(one.manifest.digest, other.manifest.digest);
    assert_ne!(one.images[0].manifest.digest, other.images[0].manifest.digest);
}

/// POSIX's checksum, and the fields that a reader looks at.
#[test]
fn the_layer_is_a_ustar_archive() {
    let files = [
        File { path: "bin/run", contents: &[7; 513], executable: true },
        File { path: "empty", contents: &[], executable: false },
    ];
    let layer = Image::new(Platform::LinuxAmd64, &files).unwrap().layer.bytes;
    // Header, two blocks of contents, header, two blocks of the end.
    assert_eq!(layer.len(), 512 * 6);
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).unwrap();
        u32::from_str_radix(text.trim_matches(['\0', ' ']), 8).unwrap()
    };
    for (start, path, mode, size) in [(0, "bin/run", 0o755, 513), (512 * 3, "empty", 0o644, 0)] {
        let header = &layer[start..start + 512];
        assert_eq!(std::str::from_utf8(&header[..100]).unwrap().trim_end_matches('\0'), path);
        assert_eq!(octal(&header[100..108]), mode);
        assert_eq!(octal(&header[124..136]), size);
        assert_eq!(header[156], b'0');
        assert_eq!(&header[257..265], b"ustar\x0000");
        let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let checksum = sum(&header[..148]) + 8 * u32::from(b' ') + sum(&header[156..]);
        assert_eq!(octal(&header[148..156]), checksum);
    }
    assert_eq!(layer[512..512 + 513], [7; 513]);
    assert!(layer[512 * 4..].iter().all(|byte| *byte == 0));
}

#[test]
fn paths_and_sizes_are_bounded() {
    let make = |path: &str, contents: &[u8]| {
        Image::new(Platform::LinuxArm64, &[File { path, contents, executable: false }])
    };
    let longest = "a".repeat(100);
    make(&longest, b"").unwrap();
    for path in ["", "/a", "a//b", "../a", "a/..", "./a", "a\0b", "a/", &"a".repeat(101)] {
        let outcome = make(path, b"");
        assert!(matches!(outcome, Err(DevkitError::LayerPath { .. })), "{path}");
    }
    let outcome = make("a", &vec![0; 16 * 1024 * 1024 + 1]);
    assert!(matches!(outcome, Err(DevkitError::LayerSize { found: 16_777_217 })));
}

async fn push_manifest(registry: &Registry, reference: &str, content: &Content) {
    let asked = put(format!("/v2/app/manifests/{reference}"), content.bytes.clone());
    let answer = asked.header("content-type", content.media_type).send(registry.address()).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
}

#[tokio::test]
async fn the_registry_takes_them() {
    let registry = start_registry(Behaviour::default()).await;
    let index = ImageIndex::greeting("it's here").unwrap();
    for image in &index.images {
        for blob in [&image.config, &image.layer] {
            assert_eq!(push(&registry, "app", &blob.bytes).await, blob.digest);
        }
        push_manifest(&registry, &image.manifest.digest.to_string(), &image.manifest).await;
    }
    push_manifest(&registry, "latest", &index.manifest).await;
    assert_eq!(registry.manifest("app", "latest").unwrap(), index.manifest.bytes);
}
