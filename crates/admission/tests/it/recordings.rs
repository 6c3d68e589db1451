//! Every recording of a real API server, with what must be answered: as recorded, with tags; with
//! digests of signed images in their place; with digests of unsigned ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use evidence::Digest;
use evidence::image::ImageRef;
use serde_json::{Value, json};

use crate::world::{World, keyless, patched, review};

/// What must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Admitted, and nobody asked.
    Unasked,
    /// Admitted as it is.
    Admit,
    /// Admitted with so many tags pinned.
    Pin(usize),
    /// Refused, because it is a tag; the digest is named.
    Tag,
    /// Refused, because nobody has signed it.
    Unsigned,
}
use Wanted::{Admit, Pin, Tag, Unasked, Unsigned};

/// Recording; the answer with tags, with signed digests, with unsigned digests.
fn table() -> Vec<(&'static str, [Wanted; 3])> {
    let lines = include_str!("../recordings.txt").lines();
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let words: Vec<_> = row.split_whitespace().collect();
        let [name, tags, signed, unsigned] = words[..] else { panic!("{row}") };
        (name, [tags, signed, unsigned].map(wanted))
    })
    .collect()
}

fn wanted(word: &str) -> Wanted {
    match word {
        "unasked" => Unasked,
        "admit" => Admit,
        "tag" => Tag,
        "unsigned" => Unsigned,
        other => Pin(other.strip_prefix("pin=").unwrap().parse().unwrap()),
    }
}

/// The folder of recordings, if this checkout stands beside it.
fn recordings() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |above: &Path| above.join("shared/data/admission-reviews");
    let found = here.ancestors().map(folder).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no shared/data/admission-reviews beside this checkout");
    }
    found
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

/// A world that signs what it is asked to, and the images of a recording moved into its registry.
struct Stage {
    world: World,
    signs: bool,
    digests: bool,
}

impl Stage {
    fn new(signs: bool, digests: bool) -> Self {
        Self { world: World::new(&[keyless("enforce", "registry.test/**")]), signs, digests }
    }

    /// Every image of both objects as the same image of the test registry.
    fn rewrite(&self, review: &mut Value) {
        for object in ["/request/object", "/request/oldObject"] {
            if let Some(object) = review.pointer_mut(object) {
                self.rewrite_in(object, "");
            }
        }
    }

    fn rewrite_in(&self, value: &mut Value, name: &str) {
        match value {
            Value::Object(fields) => {
                // What the kubelet reports, and what was once applied, is about the object.
                let fields = fields.iter_mut();
                let fields =
                    fields.filter(|(key, _)| !["metadata", "status"].contains(&key.as_str()));
                fields.for_each(|(key, value)| self.rewrite_in(value, key));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite_in(item, name)),
            Value::String(text) if name == "image" || name == "reference" => {
                *text = self.moved(text);
            }
            _ => {}
        }
    }

    fn moved(&self, image: &str) -> String {
        let image: ImageRef = image.parse().unwrap();
        let tag = image.tag().unwrap_or("recorded");
        let moved = format!("registry.test/{}:{tag}", image.repository());
        let manifest = format!("manifest of {moved}");
        self.world.push(&moved, &manifest);
        if self.signs {
            self.world.sign(&manifest, &manifest);
        }
        let digest = Digest::sha256(manifest.as_bytes());
        match self.digests || image.digest().is_some() {
            true => format!("{moved}@{digest}"),
            false => moved,
        }
    }

    async fn check(&self, name: &str, review: &Value, wanted: Wanted) {
        let mutates = name.contains("--mutate-");
        let answer = match mutates {
            true => self.world.mutate(review).await,
            false => self.world.validate(review).await,
        };
        let calls = self.world.calls();
        let told = format!("{name}: {answer:?} after {calls:?}");
        let message = answer.message().unwrap_or_default();
        match wanted {
            Unasked => {
                assert!(answer.allowed() && answer.patches().is_empty(), "{told}");
                assert!(calls.is_empty(), "{told}");
            }
            Admit => {
                assert!(answer.allowed() && answer.patches().is_empty(), "{told}");
                assert!(!calls.is_empty(), "{told}");
            }
            Pin(count) => {
                assert!(answer.allowed() && answer.patches().len() == count, "{told}");
                assert!(calls.iter().all(|call| call.starts_with("resolve ")), "{told}");
            }
            Tag => {
                assert!(message.contains("a tag can move"), "{told}");
                assert!(message.contains("write `registry.test/"), "{told}");
                assert!(message.contains("@sha256:"), "{told}");
            }
            Unsigned => assert!(message.contains("no signature was found"), "{told}"),
        }
        assert_eq!(answer.warnings(), [] as [String; 0], "{told}");
    }
}

#[tokio::test]
async fn every_recording_gets_the_expected_answer() {
    let Some(folder) = recordings() else { return };
    for (name, [with_tags, signed, unsigned]) in table() {
        for (signs, digests, wanted) in
            [(true, false, with_tags), (true, true, signed), (false, true, unsigned)]
        {
            let stage = Stage::new(signs, digests);
            let mut review = read(&folder, name);
            stage.rewrite(&mut review);
            stage.check(name, &review, wanted).await;
        }
    }
}

#[test]
fn the_table_holds_every_recording() {
    let Some(folder) = recordings() else { return };
    let names = std::fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.trim_end_matches(".json").to_owned()
    });
    let table: BTreeSet<_> = table().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), table);
}

/// The whole way of a Pod: pinned by the one webhook, judged by the other.
#[tokio::test]
async fn pods_as_recorded_pass_both_webhooks_if_signed() {
    let Some(folder) = recordings() else { return };
    let mut ways = 0;
    for (name, [with_tags, ..]) in table() {
        let Pin(_) = with_tags else { continue };
        for signs in [true, false] {
            let stage = Stage::new(signs, false);
            let mut review = read(&folder, name);
            stage.rewrite(&mut review);
            let answer = stage.world.mutate(&review).await;
            let object = patched(&review["request"]["object"], &answer);
            review["request"]["object"] = object;
            let answer = stage.world.validate(&review).await;
            assert_eq!(answer.allowed(), signs, "{name}: {answer:?}");
            ways += 1;
        }
    }
    assert!(ways >= 18);
}

/// Recorded objects under names that no policy covers: nobody is asked, everything is admitted.
#[tokio::test]
async fn recordings_under_no_policy_ask_nobody() {
    let Some(folder) = recordings() else { return };
    let world = World::new(&[keyless("enforce", "registry.test/**")]);
    for (name, _) in table() {
        let review = read(&folder, name);
        assert!(world.validate(&review).await.allowed(), "{name}");
        let answer = world.mutate(&review).await;
        assert!(answer.allowed() && answer.patches().is_empty(), "{name}");
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

/// The recorded shape is the one that the other tests build.
#[test]
fn our_own_reviews_look_like_recorded_ones() {
    let Some(folder) = recordings() else { return };
    let recorded = read(&folder, "pod-image-update--validate-update-pod");
    let request = &recorded["request"];
    let ours = review("UPDATE", &request["object"], Some(&request["oldObject"]));
    for (key, value) in ours["request"].as_object().unwrap() {
        if key != "uid" {
            assert_eq!(&request[key], value, "{key}");
        }
    }
    assert_eq!(
        (&ours["apiVersion"], &ours["kind"]),
        (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
    );
}
