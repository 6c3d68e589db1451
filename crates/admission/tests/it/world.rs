//! A small world: a registry that is told beforehand what it answers, and remembers what it was
//! asked; evidence from a private Sigstore; policies.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admission::judge::Webhook;
use admission::{Admission, Answer, BadReview, Gathered, Images, NoMatch, Unanswered};
use evidence::image::ImageRef;
use evidence::{Digest, Evidence, UnixTime};
use policy::cluster_image_policy::{lower, parse};
use serde_json::{Value, json};
use testkit::instance::{ISSUER, SUBJECT};
use testkit::{Scene, clock};
use tokio::time::Instant;
use verify::{Obstacle, ObstacleKind, Piece, TrustRoot};

/// Evidence up to this size is asked for first.
const SMALL: u64 = 32 << 10;

/// What a registry holds and how it behaves. A manifest is a text; its digest is its image's.
#[derive(Default)]
pub(crate) struct Registry {
    /// Digest of each tag, by canonical reference.
    tags: Mutex<HashMap<String, Result<Digest, Obstacle>>>,
    /// Evidence by digest.
    evidence: Mutex<HashMap<Digest, Gathered>>,
    /// How large that is, where that matters.
    sizes: Mutex<HashMap<Digest, u64>>,
    calls: Mutex<Vec<String>>,
    /// Never answers.
    silent: Mutex<bool>,
    /// From which size on it takes all the time that it is given for evidence.
    slow: Mutex<Option<u64>>,
}

#[derive(Clone)]
pub(crate) struct Port(Arc<Registry>);

impl Images for Port {
    fn resolve(
        &self,
        image: &ImageRef,
        _deadline: Instant,
    ) -> impl Future<Output = Result<Digest, Obstacle>> + Send {
        let registry = Arc::clone(&self.0);
        let image = image.to_string();
        async move {
            registry.calls.lock().unwrap().push(format!("resolve {image}"));
            if *registry.silent.lock().unwrap() {
                pending::<()>().await;
            }
            let missing = Err(obstacle(ObstacleKind::NotFound, &image));
            registry.tags.lock().unwrap().get(&image).cloned().unwrap_or(missing)
        }
    }

    fn evidence(
        &self,
        image: &ImageRef,
        size_max: u64,
        deadline: Instant,
    ) -> impl Future<Output = Gathered> + Send {
        let registry = Arc::clone(&self.0);
        let image = image.clone();
        async move {
            let more = if size_max > SMALL { format!(" up to {size_max}") } else { String::new() };
            registry.calls.lock().unwrap().push(format!("evidence {image}{more}"));
            if *registry.silent.lock().unwrap() {
                pending::<()>().await;
            }
            let slow = *registry.slow.lock().unwrap();
            if slow.is_some_and(|slow| size_max >= slow) {
                tokio::time::sleep_until(deadline).await;
            }
            let digest = image.digest().expect("evidence is asked for by digest only");
            if registry.sizes.lock().unwrap().get(digest).is_some_and(|size| *size > size_max) {
                let obstacles = vec![obstacle(ObstacleKind::TooLarge, "further evidence")];
                return Gathered { obstacles, left_out: true, ..Gathered::default() };
            }
            registry.evidence.lock().unwrap().get(digest).cloned().unwrap_or_default()
        }
    }
}

pub(crate) struct World {
    admission: Admission<Port>,
    registry: Arc<Registry>,
}

impl World {
    /// Under these policies, with every image that no policy covers admitted.
    pub(crate) fn new(policies: &[String]) -> Self {
        Self::with_no_match(policies, NoMatch::Allow)
    }

    pub(crate) fn with_no_match(policies: &[String], no_match: NoMatch) -> Self {
        Self::of(&[policies], no_match)
    }

    /// Under policies that were read apart from each other, so that nobody has compared them.
    pub(crate) fn of(parts: &[&[String]], no_match: NoMatch) -> Self {
        let roots = serde_json::to_vec(&Scene::v1().seal().trust_root).unwrap();
        let roots = Arc::new(TrustRoot::pin(&roots).unwrap());
        let lowered = parts.iter().flat_map(|policies| {
            let parsed = policies.iter().flat_map(|text| parse(text, "").unwrap().policies);
            lower(&parsed.collect::<Vec<_>>(), &roots).unwrap()
        });
        let policies = lowered.collect();
        let registry = Arc::new(Registry::default());
        let admission = Admission::new(policies, Port(Arc::clone(&registry)), no_match);
        Self { admission, registry }
    }

    /// Puts an image under a tag; returns it pinned, tag and digest.
    pub(crate) fn push(&self, image: &str, manifest: &str) -> String {
        let image: ImageRef = image.parse().unwrap();
        let digest = Digest::sha256(manifest.as_bytes());
        self.registry.tags.lock().unwrap().insert(image.to_string(), Ok(digest));
        image.with_digest(digest).to_string()
    }

    /// What the registry says instead of a tag's digest.
    pub(crate) fn fail_tag(&self, image: &str, kind: ObstacleKind) {
        let image: ImageRef = image.parse().unwrap();
        let name = image.to_string();
        let failure = Err(obstacle(kind, &name));
        self.registry.tags.lock().unwrap().insert(name, failure);
    }

    /// A signature about one manifest, put beside another (or the same).
    pub(crate) fn sign(&self, manifest: &str, found_beside: &str) {
        let piece = Piece { source: "referrer".into(), evidence: Ok(signature(manifest)) };
        self.with_evidence(found_beside, |gathered| gathered.pieces.push(piece));
    }

    /// The evidence beside a manifest is that large, all of it together.
    pub(crate) fn swell(&self, manifest: &str, size: u64) {
        self.registry.sizes.lock().unwrap().insert(Digest::sha256(manifest.as_bytes()), size);
    }

    /// Something keeps evidence from being seen.
    pub(crate) fn obstruct(&self, manifest: &str, kind: ObstacleKind) {
        let obstacle = obstacle(kind, "referrers");
        self.with_evidence(manifest, |gathered| gathered.obstacles.push(obstacle));
    }

    fn with_evidence(&self, manifest: &str, change: impl FnOnce(&mut Gathered)) {
        let digest = Digest::sha256(manifest.as_bytes());
        change(self.registry.evidence.lock().unwrap().entry(digest).or_default());
    }

    /// From now on the registry never answers.
    pub(crate) fn fall_silent(&self) {
        *self.registry.silent.lock().unwrap() = true;
    }

    /// What the registry was asked since the last time, in alphabetical order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.registry.calls.lock().unwrap());
        calls.sort();
        calls
    }

    /// From now on the registry takes all the time it is given, where it may answer so much.
    pub(crate) fn slow_down(&self, size: u64) {
        *self.registry.slow.lock().unwrap() = Some(size);
    }

    pub(crate) async fn ask(&self, webhook: Webhook, review: &Value) -> Result<Answer, BadReview> {
        let body = serde_json::to_vec(review).unwrap();
        let deadline = Instant::now() + Duration::from_secs(3600);
        let now = UnixTime::from_seconds(clock::NOW);
        self.admission.answer(webhook, body, now, deadline).await.map_err(|error| match error {
            Unanswered::Bad(bad) => bad,
            other => panic!("{other}"),
        })
    }

    pub(crate) async fn validate(&self, review: &Value) -> Answer {
        self.ask(Webhook::Validate, review).await.unwrap()
    }

    pub(crate) async fn mutate(&self, review: &Value) -> Answer {
        self.ask(Webhook::Mutate, review).await.unwrap()
    }

    /// Whether a Pod with this image is admitted, and what is said.
    pub(crate) async fn pod(&self, image: &str) -> Answer {
        self.validate(&review("CREATE", &pod(image), None)).await
    }
}

fn obstacle(kind: ObstacleKind, what: &str) -> Obstacle {
    Obstacle { kind, what: what.to_owned(), detail: String::new() }
}

/// A good signature about a manifest, by the workflow that [`keyless`] wants.
pub(crate) fn signature(manifest: &str) -> Evidence {
    let sealed = Scene::v1().with(|scene| scene.artifact = manifest.as_bytes().to_vec()).seal();
    Evidence::from_bundle(&serde_json::to_vec(&sealed.bundle).unwrap()).unwrap()
}

/// A policy with one authority.
pub(crate) fn policy(name: &str, mode: &str, glob: &str, authority: &Value) -> String {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {"mode": mode, "images": [{"glob": glob}], "authorities": [authority]},
    })
    .to_string()
}

/// A policy that wants the private Sigstore's workflow.
pub(crate) fn keyless(mode: &str, glob: &str) -> String {
    policy("signed", mode, glob, &signer(SUBJECT))
}

pub(crate) fn signer(subject: &str) -> Value {
    json!({"keyless": {"identities": [{"issuer": ISSUER, "subject": subject}]}})
}

pub(crate) fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
}

pub(crate) fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
    })
}

/// A review of an object, as the API server sends it.
pub(crate) fn review(operation: &str, object: &Value, old: Option<&Value>) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "51e84d91-3dce-4b4b-9aff-36b94ec98b8a",
            "kind": {"group": group, "version": version, "kind": object["kind"]},
            "name": object["metadata"]["name"],
            "namespace": object["metadata"]["namespace"],
            "operation": operation,
            "object": object,
            "oldObject": old,
        },
    })
}

/// The object with an answer's patches applied, each of which must replace a text.
pub(crate) fn patched(object: &Value, answer: &Answer) -> Value {
    let mut object = object.clone();
    for patch in answer.patches() {
        let place = object.pointer_mut(&patch.pointer).unwrap();
        assert!(place.is_string());
        *place = json!(patch.image);
    }
    object
}

/// Patches as pairs.
pub(crate) fn pins(answer: &Answer) -> BTreeMap<String, String> {
    answer.patches().iter().map(|it| (it.pointer.clone(), it.image.clone())).collect()
}
