//! OCI layouts on disk: evidence in them is found wherever `cosign save` and others put it, and
//! nothing leads out of the folder or fills the memory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use client::layout::{Layout, LayoutEvidence, LayoutProblem};
use client::registry::{AttachmentKind, Place};
use evidence::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::log::Kind;
use testkit::{Scene, SealedLayer};
use verify::{Obstacle, ObstacleKind};

use crate::{BUNDLE, OCI_INDEX, OCI_MANIFEST, manifest};

/// A layout in a folder that goes when the test ends.
struct Folder {
    folder: TempDir,
    listed: Vec<Value>,
    image: Digest,
}

impl Folder {
    /// As `cosign save` makes it, with an image and nothing else.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(folder.path().join("oci-layout"), marker).unwrap();
        let (bytes, image) = manifest("image");
        let mut layout = Self { folder, listed: Vec::new(), image };
        layout.blob(&bytes);
        layout.list(&bytes, json!({"kind": "dev.cosignproject.cosign/image"}));
        layout
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        fs::write(self.file(&digest), bytes).unwrap();
        digest
    }

    fn file(&self, digest: &Digest) -> std::path::PathBuf {
        self.path().join("blobs/sha256").join(digest.hex())
    }

    fn list(&mut self, bytes: &[u8], annotations: Value) {
        let digest = Digest::sha256(bytes).to_string();
        self.listed.push(json!({"mediaType": OCI_MANIFEST, "digest": digest,
            "size": bytes.len(), "annotations": annotations}));
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.listed});
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    /// The scene, about this image.
    fn scene(&self, scene: Scene) -> Scene {
        scene.with(|scene| scene.artifact = manifest("image").0)
    }

    /// A manifest of one layer, as a blob.
    fn layer(&self, media_type: &str, bytes: &[u8], more: &Value) -> Vec<u8> {
        let digest = self.blob(bytes).to_string();
        let config = self.blob(b"{}").to_string();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config, "size": 2},
            "layers": [{"mediaType": media_type, "digest": digest, "size": bytes.len(),
                "annotations": more["annotations"]}],
        });
        if !more["subject"].is_null() {
            manifest["subject"] = more["subject"].clone();
        }
        let bytes = serde_json::to_vec(&manifest).unwrap();
        self.blob(&bytes);
        bytes
    }

    fn sealed(&self, sealed: &SealedLayer) -> Vec<u8> {
        let more = json!({"annotations": sealed.annotations});
        self.layer(sealed.media_type, &sealed.bytes, &more)
    }

    fn subject(&self) -> Value {
        json!({"mediaType": OCI_MANIFEST, "digest": self.image.to_string(), "size": 1})
    }

    fn bundle(&self) -> Vec<u8> {
        let bundle = self.scene(Scene::statement(Kind::DsseV1)).seal().bundle_json();
        let more = json!({"annotations": {}, "subject": self.subject()});
        self.layer(BUNDLE, &bundle, &more)
    }

    fn find(&self) -> LayoutEvidence {
        let layout = Layout::open(self.path()).unwrap();
        layout.find_evidence(&self.image)
    }
}

/// The kinds of what was found, sorted: a folder has no order.
fn kinds(found: &LayoutEvidence) -> Vec<AttachmentKind> {
    assert!(found.pieces.iter().all(|piece| piece.place == Place::Layout));
    let mut kinds: Vec<_> = found.pieces.iter().map(|piece| piece.kind).collect();
    kinds.sort();
    kinds
}

#[test]
fn what_cosign_saved_is_found_loose_blobs_included() {
    use AttachmentKind::{Attestation, Bundle, Signature};
    let mut folder = Folder::new();
    let signature = folder.sealed(&folder.scene(Scene::cosign()).seal_layer());
    folder.list(&signature, json!({"kind": "dev.cosignproject.cosign/sigs"}));
    let attestation = folder.scene(Scene::cosign_attestation(Kind::IntotoV1)).seal_layer();
    let attestation = folder.sealed(&attestation);
    folder.list(&attestation, json!({"kind": "dev.cosignproject.cosign/atts"}));
    folder.bundle();
    let found = folder.find();
    assert!(found.obstacles.is_empty(), "{found:?}");
    assert_eq!(kinds(&found), [Bundle, Signature, Attestation]);
    for piece in found.pieces {
        piece.parse().unwrap();
    }
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.image(None).unwrap().digest, folder.image);
}

/// Tools that know nothing of Cosign list things under the names of its tags.
#[test]
fn what_others_copied_is_found_by_its_name() {
    let mut folder = Folder::new();
    folder.listed.clear();
    let reference = |name: String| json!({"org.opencontainers.image.ref.name": name});
    folder.list(&manifest("image").0, reference("latest".to_owned()));
    let sealed = folder.sealed(&folder.scene(Scene::cosign()).seal_layer());
    let tag = format!("sha256-{}.sig", folder.image.hex());
    folder.list(&sealed, reference(format!("registry.example/app:{tag}")));
    let other = folder.sealed(&folder.scene(Scene::cosign_attestation(Kind::DsseV1)).seal_layer());
    let another = format!("sha256-{}.att", Digest::sha256(b"another image").hex());
    folder.list(&other, reference(another));
    let found = folder.find();
    assert_eq!(kinds(&found), [AttachmentKind::Signature], "and not what is about another image");
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.image(None).unwrap().digest, folder.image);
    assert_eq!(layout.image(Some("latest")).unwrap().digest, folder.image);
    let absent = layout.image(Some("v2")).unwrap_err();
    assert!(matches!(absent.problem(), LayoutProblem::NotOneImage { found: 0 }), "{absent}");
}

/// As oras lists what refers to an image beside it, and go-containerregistry the image itself.
#[test]
fn artifacts_beside_the_only_image_do_not_make_it_two() {
    let mut folder = Folder::new();
    folder.listed.clear();
    let bundle = folder.bundle();
    for (bytes, kind) in
        [(manifest("image").0, "application/vnd.oci.image.config.v1+json"), (bundle, BUNDLE)]
    {
        folder.list(&bytes, json!({}));
        folder.listed.last_mut().unwrap()["artifactType"] = kind.into();
    }
    // Written with what was changed last.
    folder.listed.push(json!({"mediaType": OCI_MANIFEST, "size": 1, "artifactType": "a/b",
        "digest": Digest::sha256(b"absent").to_string()}));
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": folder.listed});
    fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.image(None).unwrap().digest, folder.image);
    assert_eq!(layout.find_evidence(&folder.image).pieces.len(), 1);
}

#[test]
fn of_several_images_one_must_be_named() {
    let mut folder = Folder::new();
    folder.listed.clear();
    for name in ["one", "two"] {
        let (bytes, _) = manifest(name);
        folder.blob(&bytes);
        folder.list(&bytes, json!({"org.opencontainers.image.ref.name": name}));
    }
    let layout = Layout::open(folder.path()).unwrap();
    let several = layout.image(None).unwrap_err();
    assert!(matches!(several.problem(), LayoutProblem::NotOneImage { found: 2 }), "{several}");
    assert_eq!(layout.image(Some("two")).unwrap().digest, manifest("two").1);
}

#[test]
fn what_is_no_layout_is_refused() {
    let empty = TempDir::new().unwrap();
    let refused = |path: &Path| Layout::open(path).unwrap_err();
    assert!(matches!(refused(empty.path()).problem(), LayoutProblem::NotALayout));
    assert!(matches!(refused(Path::new("/nowhere")).problem(), LayoutProblem::NotALayout));
    let folder = Folder::new();
    for marker in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#] {
        fs::write(folder.path().join("oci-layout"), marker).unwrap();
        assert!(matches!(refused(folder.path()).problem(), LayoutProblem::NotALayout));
    }
    let folder = Folder::new();
    let index = folder.path().join("index.json");
    for nonsense in ["[]", "{}", r#"{"manifests":[{"digest":"../../etc/passwd"}]}"#] {
        fs::write(&index, nonsense).unwrap();
        assert!(matches!(refused(folder.path()).problem(), LayoutProblem::Malformed { .. }));
    }
    fs::write(&index, vec![b' '; 5 * 1024 * 1024]).unwrap();
    assert!(matches!(refused(folder.path()).problem(), LayoutProblem::TooLarge { .. }));
}

/// That something cannot be looked at does not say that it is not there.
#[test]
fn only_what_is_absent_is_no_layout() {
    let unlookable = "x".repeat(300);
    let error = Layout::open(Path::new(&unlookable)).unwrap_err();
    assert!(matches!(error.problem(), LayoutProblem::Io(_)), "{error}");
    let folder = Folder::new();
    let file = folder.path().join("index.json");
    let error = Layout::open(&file).unwrap_err();
    assert!(matches!(error.problem(), LayoutProblem::NotALayout), "{error}");
}

/// Wherever a link stands, and wherever it leads.
#[test]
fn links_are_not_followed() {
    let target = Folder::new();
    target.bundle();
    let is_trick = |problem: &LayoutProblem| matches!(problem, LayoutProblem::NotPlain { .. });
    for name in ["index.json", "oci-layout"] {
        let folder = Folder::new();
        fs::remove_file(folder.path().join(name)).unwrap();
        symlink(target.path().join(name), folder.path().join(name)).unwrap();
        assert!(is_trick(Layout::open(folder.path()).unwrap_err().problem()), "{name}");
    }
    for name in ["blobs", "blobs/sha256"] {
        let folder = Folder::new();
        fs::remove_dir_all(folder.path().join(name)).unwrap();
        symlink(target.path().join(name), folder.path().join(name)).unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        assert!(is_trick(layout.image(None).unwrap_err().problem()), "{name}");
        let found = layout.find_evidence(&folder.image);
        assert!(found.pieces.is_empty() && !found.obstacles.is_empty(), "{name}: {found:?}");
        assert!(found.obstacles.iter().all(|obstacle| is_trick(obstacle.problem())), "{name}");
    }
    // One blob: the referrer itself, and the bundle in it.
    for which in ["manifest", "bundle"] {
        let folder = Folder::new();
        let referrer = folder.bundle();
        let json: Value = serde_json::from_slice(&referrer).unwrap();
        let bundle = json["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let digest = if which == "manifest" { Digest::sha256(&referrer) } else { bundle };
        let moved = folder.path().join("moved");
        fs::rename(folder.file(&digest), &moved).unwrap();
        symlink(&moved, folder.file(&digest)).unwrap();
        let found = folder.find();
        assert!(found.pieces.is_empty(), "{which}");
        assert!(found.obstacles.iter().all(|obstacle| is_trick(obstacle.problem())), "{found:?}");
        assert!(!found.obstacles.is_empty(), "{which}");
    }
}

/// A pipe that nobody writes to would be waited for.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = Folder::new();
    let referrer = folder.bundle();
    let path = folder.file(&Digest::sha256(&referrer));
    fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).unwrap();
    let found = folder.find();
    let [obstacle] = found.obstacles.as_slice() else { panic!("{found:?}") };
    assert!(matches!(obstacle.problem(), LayoutProblem::NotPlain { wanted: "file" }), "{obstacle}");
}

/// What was opened is what is read, whatever stands under its name by then.
#[test]
fn a_folder_that_is_replaced_meanwhile_is_still_the_one_that_was_opened() {
    let (folder, other) = (Folder::new(), Folder::new());
    folder.bundle();
    let layout = Layout::open(folder.path()).unwrap();
    let aside = other.path().join("aside");
    fs::rename(folder.path(), &aside).unwrap();
    symlink(other.path(), folder.path()).unwrap();
    let found = layout.find_evidence(&folder.image);
    assert_eq!((found.pieces.len(), found.obstacles.len()), (1, 0), "{found:?}");
    fs::remove_file(folder.path()).unwrap();
    fs::rename(&aside, folder.path()).unwrap();
}

#[test]
fn other_bytes_than_the_name_says_are_an_obstacle() {
    let folder = Folder::new();
    let referrer = folder.bundle();
    let json: Value = serde_json::from_slice(&referrer).unwrap();
    let bundle: Digest = json["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let mut bytes = fs::read(folder.file(&bundle)).unwrap();
    *bytes.last_mut().unwrap() = b' ';
    fs::write(folder.file(&bundle), &bytes).unwrap();
    let found = folder.find();
    assert!(found.pieces.is_empty());
    let mismatch =
        |problem: &LayoutProblem| matches!(problem, LayoutProblem::DigestMismatch { .. });
    assert!(mismatch(found.obstacles[0].problem()), "{found:?}");
    assert_eq!(Obstacle::from(&found.obstacles[0]).kind, ObstacleKind::Malformed);

    let folder = Folder::new();
    let mut referrer = folder.bundle();
    let digest = Digest::sha256(&referrer);
    referrer.push(b'\n');
    fs::write(folder.file(&digest), &referrer).unwrap();
    let found = folder.find();
    assert!(mismatch(found.obstacles[0].problem()), "{found:?}");

    let folder = Folder::new();
    fs::write(folder.file(&folder.image), b"{}").unwrap();
    assert!(Layout::open(folder.path()).unwrap().image(None).is_err());
}

#[test]
fn a_malformed_or_missing_referrer_is_an_obstacle() {
    let folder = Folder::new();
    let twice = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "subject": folder.subject(),
        "layers": [], "manifests": []});
    folder.blob(twice.to_string().as_bytes());
    let found = folder.find();
    let malformed = |problem: &LayoutProblem| matches!(problem, LayoutProblem::Malformed { .. });
    assert!(malformed(found.obstacles[0].problem()), "{found:?}");

    let mut folder = Folder::new();
    let signature = folder.sealed(&folder.scene(Scene::cosign()).seal_layer());
    folder.list(&signature, json!({"kind": "dev.cosignproject.cosign/sigs"}));
    fs::remove_file(folder.file(&Digest::sha256(&signature))).unwrap();
    let found = folder.find();
    assert_eq!(Obstacle::from(&found.obstacles[0]).kind, ObstacleKind::NotFound);
}

/// Layers of gigabytes stay on disk: a sparse file that nobody could read into memory.
#[test]
fn layers_are_never_read() {
    let folder = Folder::new();
    folder.bundle();
    let layer = Digest::sha256(b"a layer of two tebibytes");
    fs::File::create(folder.file(&layer)).unwrap().set_len(1 << 41).unwrap();
    let found = folder.find();
    assert!(found.obstacles.is_empty(), "{found:?}");
    assert_eq!(kinds(&found), [AttachmentKind::Bundle]);
    // Nor is a bundle that says it is that long, or is longer than it says.
    for (declared, actual) in [(1_u64 << 40, 10), (10, 11)] {
        let folder = Folder::new();
        let bytes = vec![b'x'; actual];
        let more = json!({"annotations": {}, "subject": folder.subject()});
        let manifest = folder.layer(BUNDLE, &bytes, &more);
        fs::remove_file(folder.file(&Digest::sha256(&manifest))).unwrap();
        let mut json: Value = serde_json::from_slice(&manifest).unwrap();
        json["layers"][0]["size"] = declared.into();
        folder.blob(json.to_string().as_bytes());
        let found = folder.find();
        assert!(found.pieces.is_empty());
        let too_large = |problem: &LayoutProblem| matches!(problem, LayoutProblem::TooLarge { .. });
        assert!(too_large(found.obstacles[0].problem()), "{found:?}");
    }
}

#[test]
fn files_with_other_names_are_passed_over() {
    let folder = Folder::new();
    let referrer = folder.bundle();
    let digest = Digest::sha256(&referrer);
    for name in ["README", &digest.hex().to_uppercase(), &digest.hex()[1..], "..", "x"] {
        let _ = fs::write(folder.path().join("blobs/sha256").join(name), &referrer);
    }
    let found = folder.find();
    assert!(found.obstacles.is_empty(), "{found:?}");
    assert_eq!(found.pieces.len(), 1);
}
