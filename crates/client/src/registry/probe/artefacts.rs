//! What is pushed to find out: small, well-formed, and named so that it can be nobody else's.
//!
//! OCI image specification v1.1, "Image Manifest" and "Guidance for Artifacts Usage"; Docker's image
//! manifest version 2, schema 2; Cosign's `SIGNATURE_SPEC.md`.

use std::collections::BTreeMap;

use bytes::Bytes;
use evidence::Digest;
use evidence::cosign::SIGNATURE;
use serde_json::{Value, json};

use crate::registry::attach::{EMPTY, EMPTY_CONTENT, NewReferrer};
use crate::registry::manifest::{DOCKER_MANIFEST, Descriptor, OCI_MANIFEST};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// A type that no registry can have heard of.
const UNHEARD_OF: &str = "application/vnd.countersign.check.v1+json";

/// Two blocks of zeros are a whole archive (POSIX `ustar`); what follows them is not looked at.
const EMPTY_ARCHIVE_SIZE: usize = 1024;

/// A manifest to be pushed.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// Everything that is pushed by one probe.
#[derive(Debug)]
pub(super) struct Artefacts {
    /// The tag of the image.
    pub(super) tag: String,
    /// What every manifest below names; to be pushed first.
    pub(super) blobs: Vec<Bytes>,
    pub(super) image: Written,
    /// The same with another annotation: what the tag is pointed at anew.
    pub(super) image_anew: Written,
    pub(super) artifact: Written,
    /// A bundle beside the image.
    pub(super) referrer: Written,
    pub(super) signature: Written,
    pub(super) signature_anew: Written,
    pub(super) docker_image: Written,
    pub(super) docker_referrer: Written,
    /// The same bundle beside the image as it is listed.
    pub(super) entry: Descriptor,
}

impl Artefacts {
    /// With a name that was never used before.
    pub(super) fn new() -> Self {
        Self::named(&hex::encode(crypto::random::bytes::<16>()))
    }

    fn named(nonce: &str) -> Self {
        let mut layer = vec![0; EMPTY_ARCHIVE_SIZE];
        layer.extend_from_slice(nonce.as_bytes());
        let layer = Bytes::from(layer);
        let rootfs = json!({"type": "layers", "diff_ids": [Digest::sha256(&layer).to_string()]});
        let config = to_bytes(&json!({"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": rootfs, "history": [{"created_by": format!("countersign registry check {nonce}")}]}));
        let content = to_bytes(&json!({"countersignRegistryCheck": nonce}));
        let annotation = |what: &str| json!({"dev.countersign.check": format!("{nonce} {what}")});

        let image = |what: &str| {
            Written::oci(&json!({"config": descriptor(OCI_CONFIG, &config),
                "layers": [descriptor(OCI_LAYER, &layer)], "annotations": annotation(what)}))
        };
        let signature = |what: &str| {
            Written::oci(&json!({"config": descriptor(OCI_CONFIG, &config),
                "layers": [descriptor(SIGNATURE, &content)], "annotations": annotation(what)}))
        };
        let artifact = Written::oci(&json!({"artifactType": UNHEARD_OF,
            "config": descriptor(EMPTY, EMPTY_CONTENT), "layers": [descriptor(UNHEARD_OF, &content)],
            "annotations": annotation("artifact")}));
        let docker_image = Written::new(
            DOCKER_MANIFEST,
            to_vec(&json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
                "config": descriptor(DOCKER_CONFIG, &config),
                "layers": [descriptor(DOCKER_LAYER, &layer)]})),
        );
        let image = [image("image"), image("image anew")];
        let bundle = NewReferrer {
            media_type: evidence::bundle::MEDIA_TYPE_V0_3.to_owned(),
            bytes: content.clone(),
            annotations: BTreeMap::from([("dev.countersign.check".to_owned(), nonce.to_owned())]),
        };
        let beside =
            |subject: &Written| Written::new(OCI_MANIFEST, bundle.manifest(&subject.descriptor()));
        let [image, image_anew] = image;
        let referrer = beside(&image);
        let entry =
            Descriptor { artifact_type: Some(bundle.media_type.clone()), ..referrer.descriptor() };
        Self {
            tag: format!("countersign-check-{nonce}"),
            docker_referrer: beside(&docker_image),
            blobs: vec![layer, config.clone(), content.clone()],
            signature: signature("signature"),
            signature_anew: signature("signature anew"),
            image,
            image_anew,
            artifact,
            referrer,
            docker_image,
            entry,
        }
    }
}

impl Written {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = Digest::sha256(&bytes);
        Self { media_type, bytes, digest }
    }

    /// An OCI manifest with these members.
    fn oci(members: &Value) -> Self {
        let mut manifest = members.clone();
        manifest["schemaVersion"] = json!(2);
        manifest["mediaType"] = json!(OCI_MANIFEST);
        Self::new(OCI_MANIFEST, to_vec(&manifest))
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type, self.digest, self.bytes.len() as u64)
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(content).to_string(),
        "size": content.len()})
}

fn to_bytes(value: &Value) -> Bytes {
    to_vec(value).into()
}

fn to_vec(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers are written as JSON")
}
