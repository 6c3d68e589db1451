//! `admit` from end to end: an instance, a registry, images signed with `sign`, and a webhook that
//! is asked over TLS what a real API server has asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use devkit::issuer::{GithubWorkflow, Issuer, IssuerOptions};
use devkit::registry::{Registry, RegistryOptions};
use devkit::{Fault, FaultRule};
use evidence::image::ImageRef;
use evidence::{Digest, UnixTime};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::https::{Client, Identity};
use crate::process::{Server, run, run_well};

/// Time for an answer that comes at once, where what else might come would be another one. Far more
/// than it takes: machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// An instance, an issuer, a registry, and a directory.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) registry: Registry,
    issuer: Issuer,
    _instance: Server,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(|| {
            let since = std::time::UNIX_EPOCH.elapsed().unwrap();
            UnixTime::from_seconds(i64::try_from(since.as_secs()).unwrap())
        });
        let issuer = Issuer::start(IssuerOptions::new(clock)).await.unwrap();
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        let data = directory.path().join("data");
        let provider = format!("github-actions={}", issuer.url());
        let data = data.to_str().unwrap();
        let arguments = ["serve", "--data", data, "--listen", "127.0.0.1:0", "--issuer", &provider];
        let instance = Server::start(&arguments);
        Self { directory, registry, issuer, _instance: instance }
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn trust_config(&self) -> String {
        self.file("data/public/trust_config.json")
    }

    /// Puts an image there; its digest.
    pub(crate) fn push(&self, repository: &str, tag: &str) -> Digest {
        let image = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
                "digest": Digest::sha256(b"{}").to_string()},
            "layers": [],
            "annotations": {"repository": repository, "tag": tag},
        });
        let bytes = image.to_string().into_bytes();
        self.registry.plant_manifest(repository, tag, MANIFEST_TYPE, bytes).unwrap()
    }

    pub(crate) fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.registry.address())
    }

    fn workflow() -> GithubWorkflow {
        GithubWorkflow::new("acme", "app", ".github/workflows/release.yml", "refs/heads/main")
    }

    /// Signs images as the release workflow.
    fn sign(&self, images: &BTreeSet<String>) {
        let token = self.issuer.mint(&Self::workflow(), "sigstore").unwrap();
        let (token_file, config) = (self.file("token"), self.trust_config());
        std::fs::write(&token_file, token).unwrap();
        let mut arguments =
            vec!["sign", "--trust-config", &config, "--identity-token", &token_file];
        arguments.extend(images.iter().map(String::as_str));
        run_well(&arguments);
    }

    /// Lays the referrers of one image beside another one too, saying that they are about that.
    async fn move_referrers(&self, repository: &str, from: &Digest, to: &Digest) {
        let listing = self.get(&format!("/v2/{repository}/referrers/{from}")).await;
        let referrers = listing["manifests"].as_array().unwrap();
        assert!(!referrers.is_empty(), "{listing}");
        for referrer in referrers {
            let digest = referrer["digest"].as_str().unwrap();
            let manifest = self.registry.manifest(repository, digest).unwrap();
            let text = String::from_utf8(manifest.to_vec()).unwrap();
            let moved = text.replace(&from.to_string(), &to.to_string()).into_bytes();
            let digest = Digest::sha256(&moved).to_string();
            self.registry.plant_manifest(repository, &digest, MANIFEST_TYPE, moved).unwrap();
        }
    }

    /// A JSON document of the registry.
    async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.registry.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: registry\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// A policy that wants everything in the registry signed by that workflow.
    pub(crate) fn policy(&self, mode: &str) -> String {
        let subject = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": "signed"},
            "spec": {
                "mode": mode,
                "images": [{"glob": format!("{}/**", self.registry.address())}],
                "authorities": [{"keyless": {"identities": [
                    {"issuer": self.issuer.url(), "subject": subject}]}}],
            },
        });
        let path = self.file(&format!("policy-{mode}.yaml"));
        std::fs::write(&path, policy.to_string()).unwrap();
        path
    }

    /// Starts the webhook.
    pub(crate) fn admit(&self, policy: &str, more: &[&str]) -> (Server, Client) {
        let identity = Identity::write(self.directory.path());
        let (certificate, key) = (identity.certificate.to_str(), identity.key.to_str());
        let config = self.trust_config();
        let mut arguments = vec!["admit", "--policy", policy, "--listen", "127.0.0.1:0"];
        arguments.extend(["--tls-cert", certificate.unwrap(), "--tls-key", key.unwrap()]);
        arguments.extend(["--trust-config", &config]);
        arguments.extend(more);
        let server = Server::start(&arguments);
        let client = Client::new(&server.url, &identity);
        (server, client)
    }
}

pub(crate) fn review(image: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "51e84d91-3dce-4b4b-9aff-36b94ec98b8a",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "name": "web", "namespace": "shop", "operation": "CREATE",
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

fn message(answer: &Value) -> &str {
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    answer["response"]["status"]["message"].as_str().unwrap()
}

fn patches(answer: &Value) -> Vec<Value> {
    let Some(patch) = answer["response"]["patch"].as_str() else { return Vec::new() };
    serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
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

/// Every image of a review moved into a part of the test registry, where it is pushed.
fn rewrite(world: &World, part: &str, digests: bool, review: &mut Value) -> BTreeSet<String> {
    fn within(value: &mut Value, name: &str, moved: &mut dyn FnMut(&str) -> String) {
        match value {
            Value::Object(fields) => {
                let fields = fields.iter_mut();
                fields
                    .filter(|(key, _)| !["metadata", "status"].contains(&key.as_str()))
                    .for_each(|(key, value)| within(value, key, moved));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| within(item, name, moved)),
            Value::String(text) if name == "image" || name == "reference" => *text = moved(text),
            _ => {}
        }
    }
    let mut pinned = BTreeSet::new();
    let mut moved = |image: &str| {
        let image: ImageRef = image.parse().unwrap();
        let repository = format!("{part}/{}", image.repository());
        let tag = image.tag().unwrap_or("recorded");
        let digest = world.push(&repository, tag);
        let name = format!("{}:{tag}", world.name(&repository));
        pinned.insert(format!("{name}@{digest}"));
        if digests || image.digest().is_some() { format!("{name}@{digest}") } else { name }
    };
    for object in ["/request/object", "/request/oldObject"] {
        if let Some(object) = review.pointer_mut(object) {
            within(object, "", &mut moved);
        }
    }
    pinned
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_get_the_expected_answers_over_the_wire() {
    let Some(folder) = recordings() else { return };
    let world = World::start().await;
    let rows = include_str!("../../../admission/tests/recordings.txt").lines();
    let rows = rows.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut cases = Vec::new();
    let mut to_sign = BTreeSet::new();
    for row in rows {
        let words: Vec<_> = row.split_whitespace().collect();
        let [name, with_tags, signed, unsigned] = words[..] else { panic!("{row}") };
        let json = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        for (part, digests, wanted) in
            [("signed", false, with_tags), ("signed", true, signed), ("unsigned", true, unsigned)]
        {
            let mut review: Value = serde_json::from_slice(&json).unwrap();
            let images = rewrite(&world, part, digests, &mut review);
            if part == "signed" {
                to_sign.extend(images);
            }
            cases.push((name, review, wanted));
        }
    }
    world.sign(&to_sign);
    let (_server, client) = world.admit(&world.policy("enforce"), &[]);
    let mut answers = BTreeSet::new();
    for (name, review, wanted) in cases {
        world.registry.clear_requests();
        let webhook = if name.contains("--mutate-") { "mutate" } else { "validate" };
        let answer = client.ask(webhook, &review).await;
        let asked = world.registry.requests().len();
        let told = format!("{name}, wanted {wanted}: {answer} after {asked} requests");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"], "{told}");
        let patched = patches(&answer);
        match wanted {
            "unasked" | "admit" => {
                assert_eq!(answer["response"]["allowed"], true, "{told}");
                assert_eq!((patched.len(), asked == 0), (0, wanted == "unasked"), "{told}");
            }
            "tag" => assert!(message(&answer).contains("write `127.0.0.1:"), "{told}"),
            "unsigned" => assert!(message(&answer).contains("no signature was found"), "{told}"),
            pins => {
                let count: usize = pins.strip_prefix("pin=").unwrap().parse().unwrap();
                assert_eq!((&answer["response"]["allowed"], patched.len()), (&json!(true), count));
            }
        }
        answers.insert(wanted);
    }
    assert!(answers.is_superset(&BTreeSet::from(["unasked", "admit", "tag", "unsigned"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_pinned_judged_and_told_why() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let app = format!("{}:v1", world.name("acme/app"));
    world.sign(&BTreeSet::from([app.clone()]));
    let (_server, client) = world.admit(&world.policy("enforce"), &[]);

    let answer = client.ask("mutate", &review(&app)).await;
    let pinned = format!("{app}@{digest}");
    assert_eq!(
        patches(&answer),
        [json!({"op": "replace", "path": "/spec/containers/0/image", "value": pinned})]
    );
    let answer = client.ask("validate", &review(&pinned)).await;
    assert_eq!(answer["response"], json!({"uid": answer["response"]["uid"], "allowed": true}));
    // The tag moves to another image; what was pinned still stands, and the other does not.
    let other = world.push("acme/app", "v2");
    assert_eq!(client.ask("validate", &review(&pinned)).await["response"]["allowed"], true);
    let unsigned = format!("{app}@{other}");
    let answer = client.ask("validate", &review(&unsigned)).await;
    assert!(message(&answer).contains("no signature was found"), "{answer}");

    // The good signature, laid beside another image.
    world.move_referrers("acme/app", &digest, &other).await;
    let answer = client.ask("validate", &review(&unsigned)).await;
    assert!(message(&answer).contains("about another artifact"), "{answer}");

    // Somebody else wanted.
    let text = std::fs::read_to_string(world.policy("enforce")).unwrap();
    let strict = world.file("strict.yaml");
    std::fs::write(&strict, text.replace("release.yml", "other.yml")).unwrap();
    let (_server, strict) = world.admit(&strict, &[]);
    let answer = strict.ask("validate", &review(&pinned)).await;
    let message = message(&answer);
    assert!(message.contains("signed by somebody else"), "{message}");
    assert!(message.contains("release.yml@refs/heads/main"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_in_trouble_is_neither_a_pass_nor_a_violation() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let app = format!("{}:v1", world.name("acme/app"));
    world.sign(&BTreeSet::from([app.clone()]));
    let pinned = format!("{app}@{digest}");
    let (_server, enforcing) = world.admit(&world.policy("enforce"), &["--deadline", "2"]);
    let (_server, warning) = world.admit(&world.policy("warn"), &["--deadline", "2"]);
    for (fault, said) in [
        (Fault::Status(StatusCode::TOO_MANY_REQUESTS), "asked too often"),
        (Fault::Status(StatusCode::FORBIDDEN), "forbidden"),
        (Fault::Status(StatusCode::INTERNAL_SERVER_ERROR), "the server failed"),
        (Fault::Hang, "no answer in time"),
    ] {
        world.registry.inject(FaultRule::new("/v2/acme/app/*", fault));
        let answer = enforcing.ask("validate", &review(&pinned)).await;
        assert_eq!(answer["response"]["status"]["code"], 503, "{answer}");
        let text = message(&answer);
        assert!(text.contains("could not tell") && text.contains(said), "wanted {said}: {text}");
        let answer = warning.ask("validate", &review(&pinned)).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        let text = answer["response"]["warnings"][0].as_str().unwrap();
        assert!(text.contains("could not tell"), "{text}");
        world.registry.clear_faults();
    }
    assert_eq!(enforcing.ask("validate", &review(&pinned)).await["response"]["allowed"], true);
}

/// The API server says how long it waits; the answer is there before, however patient we are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_servers_own_deadline_counts() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let pinned = format!("{}:v1@{digest}", world.name("acme/app"));
    let (_server, client) = world.admit(&world.policy("enforce"), &["--deadline", "30"]);
    world.registry.inject(FaultRule::new("/v2/acme/app/*", Fault::Hang));
    let review = serde_json::to_vec(&review(&pinned)).unwrap();
    let headers = "content-type: application/json\r\n";
    let asked = client.send("POST", "/validate?timeout=1s", headers, &review);
    let (status, body) = timeout(Duration::from_secs(10), asked).await.unwrap();
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(message(&answer).contains("no answer in time"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_no_reviews_get_errors() {
    let world = World::start().await;
    let (_server, client) = world.admit(&world.policy("enforce"), &[]);
    let json = "content-type: application/json\r\n";
    for (method, path, headers, body, wanted) in [
        ("GET", "/healthz", "", &b""[..], 200),
        ("GET", "/readyz", "", b"", 200),
        ("GET", "/validate", "", b"", 405),
        ("POST", "/", json, b"{}", 404),
        ("POST", "/validate", "", b"{}", 415),
        ("POST", "/validate", "content-type: text/plain\r\n", b"{}", 415),
        ("POST", "/validate", json, b"", 400),
        ("POST", "/validate", json, b"{}", 400),
        ("POST", "/mutate", json, b"[[[[", 400),
        // What cannot be told is said as everything else is.
        ("POST", "/validate?timeout=1s&timeout=2s", json, b"{}", 422),
    ] {
        let (status, body) = client.send(method, path, headers, body).await;
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, wanted, "{method} {path}: {text}");
        if status != 200 {
            let error: Value = serde_json::from_str(&text).unwrap();
            assert!(error["message"].is_string(), "{method} {path}: {text}");
        }
    }
    let oversize = vec![b' '; (7 << 20) + 1];
    assert_eq!(client.send("POST", "/validate", json, &oversize).await.0, 413);
    // Plain HTTP is not spoken, and what is no TLS does not stop the server.
    let mut plain = TcpStream::connect(client.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET /healthz HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply).await;
    assert!(!reply.starts_with(b"HTTP"), "{reply:?}");
    // A review of which only the UID can be read is refused under it.
    let answer = client.ask("validate", &json!({"request": {"uid": "u"}})).await;
    assert_eq!(answer["response"]["uid"], "u");
    message(&answer);
}

/// A hundred who connect and send nothing stop nobody's review, nor do eight who send a long one and
/// never its end; and what is in the way of a ninth is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_no_review_is_in_nobodys_way() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let pinned = format!("{}:v1@{digest}", world.name("acme/app"));
    let (_server, client) = world.admit(&world.policy("enforce"), &[]);
    let announce = async |length: &str| {
        let mut stream = client.open().await.unwrap();
        let head = format!(
            "POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(announce("transfer-encoding: chunked").await);
        idle.push(announce(&format!("content-length: {}", 7 << 20)).await);
    }
    let asked = review(&pinned);
    let ask = client.ask("validate", &asked);
    let answer = timeout(PATIENCE, ask).await.unwrap();
    assert!(message(&answer).contains("no signature was found"), "{answer}");
    drop(idle);

    let long = vec![b' '; (7 << 20) - 1];
    let begin_long = || async {
        let mut stream = announce(&format!("content-length: {}", 7 << 20)).await;
        // Who is cut off meanwhile holds nothing, which is seen below.
        let _ = stream.write_all(&long).await;
        let _ = stream.flush().await;
        stream
    };
    let headers = "content-type: application/json\r\n";
    let refused = async {
        loop {
            let slow = futures::future::join_all((0..8).map(|_| begin_long())).await;
            let (status, body) = client.send("POST", "/validate", headers, &long).await;
            // On a busy machine the first of them are cut off before the last has arrived: then this
            // one is read, and is no review.
            if status != 400 {
                break (status, String::from_utf8(body).unwrap(), slow);
            }
        }
    };
    let (status, said, _slow) = timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("other long reviews take up the memory"), "{said}");
    let answer = client.ask("validate", &review(&pinned)).await;
    assert!(message(&answer).contains("no signature was found"), "{answer}");
    // From the head alone: whose body is waited for is told in the end that it came too late.
    let mut endless = announce("content-length: 99999999999").await;
    let mut reply = [0; 12];
    let read = timeout(PATIENCE, endless.read_exact(&mut reply));
    read.await.unwrap().unwrap();
    assert_eq!(&reply, b"HTTP/1.1 413");
}

/// Where the API server must show a certificate, nobody else is answered, whatever he asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_certificate_does_not_get_past_the_handshake() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let pinned = format!("{}:v1@{digest}", world.name("acme/app"));
    let api_server = Identity::named(world.directory.path(), "api-server", "client");
    let stranger = Identity::named(world.directory.path(), "stranger", "stranger");
    let authorities = api_server.certificate.to_str().unwrap();
    let (server, nobody) = world.admit(&world.policy("enforce"), &["--client-ca", authorities]);
    let identity = Identity::write(world.directory.path());
    let showing = |own| Client::showing(Some(own), &server.url, &identity);
    let answer = showing(&api_server).ask("validate", &review(&pinned)).await;
    assert!(message(&answer).contains("no signature was found"), "{answer}");
    for client in [&nobody, &showing(&stranger)] {
        for (method, path) in [("GET", "/healthz"), ("POST", "/validate"), ("POST", "/mutate")] {
            let reply = client.try_send(method, path, "content-type: application/json\r\n", b"{}");
            assert_eq!(reply.await, None, "{method} {path}");
        }
    }
}

#[test]
fn what_cannot_be_applied_whole_is_not_started() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::write(directory.path());
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policy = |authority: &str| {
        format!(
            "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p}}\n\
             spec: {{images: [{{glob: '**'}}], authorities: [{authority}]}}\n"
        )
    };
    let pass = file("pass.yaml", &policy("{static: {action: pass}}"));
    let certificate = identity.certificate.to_str().unwrap().to_owned();
    let key = identity.key.to_str().unwrap().to_owned();
    let other_key = testkit::Key::named("other", crypto::KeyKind::EcdsaP256);
    let other_key = file("other.key", &other_key.pair().to_pem().unwrap());
    let refused = |policies: &[&str], certificate: &str, key: &str, said: &[&str]| {
        let mut arguments = vec!["admit", "--listen", "127.0.0.1:0"];
        policies.iter().for_each(|policy| arguments.extend(["--policy", *policy]));
        arguments.extend(["--tls-cert", certificate, "--tls-key", key]);
        let output = run(&arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(said.iter().all(|part| stderr.contains(part)), "wanted {said:?}: {stderr}");
    };
    let unknown = file("unknown.yaml", &policy("{static: {action: pass}, threshold: 2}"));
    refused(&[&unknown], &certificate, &key, &["unknown.yaml", "line 4", "threshold"]);
    let keyed = file("keyed.yaml", &policy("{key: {kms: 'hashivault://key'}}"));
    refused(&[&keyed], &certificate, &key, &["spec.authorities[0].key", "not supported yet"]);
    let empty = file("empty.yaml", "");
    refused(&[&pass, &empty], &certificate, &key, &["empty.yaml", "holds no policy"]);
    refused(&[&pass, &pass], &certificate, &key, &["second policy of this name"]);
    refused(&["/absent.yaml"], &certificate, &key, &["/absent.yaml"]);
    refused(&[&pass], &key, &key, &["no certificate"]);
    refused(&[&pass], &certificate, &certificate, &["cannot use the TLS key"]);
    refused(&[&pass], &certificate, &other_key, &["with this certificate"]);
    refused(&[], &certificate, &key, &["--policy"]);
    // No authority at all would be one that everybody's certificate is by.
    let arguments = ["admit", "--policy", &pass, "--tls-cert", &certificate, "--tls-key", &key];
    for (authorities, said) in [(&key, "no certificate"), (&pass, "no certificate")] {
        let output = run(&[&arguments[..], &["--client-ca", authorities.as_str()]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
