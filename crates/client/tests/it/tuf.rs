//! TUF repositories made and signed here, right or wrong in any way a test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crypto::{KeyKind, Signer};
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;
use testkit::Key;

use crate::server::{Reply, Server};

/// When everything is valid, unless a test says otherwise.
pub(crate) const NOW: &str = "2026-06-01T00:00:00Z";
const EXPIRES: &str = "2026-07-01T00:00:00Z";

pub(crate) type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// A repository to be signed.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Keys of root and targets for each version of the root, the first being version 1.
    pub(crate) roots: Vec<Vec<&'static str>>,
    pub(crate) threshold: usize,
    pub(crate) timestamp: u64,
    pub(crate) snapshot: u64,
    pub(crate) targets: u64,
    pub(crate) content: BTreeMap<&'static str, Vec<u8>>,
    /// When the metadata of roles ends, other than usual.
    pub(crate) expires: BTreeMap<&'static str, &'static str>,
    /// Who signs for a role, other than usual.
    pub(crate) signers: BTreeMap<&'static str, Vec<&'static str>>,
    pub(crate) edits: Vec<(&'static str, Edit)>,
    /// Targets as they are sent, other than they were signed for.
    pub(crate) sent: BTreeMap<&'static str, Vec<u8>>,
}

impl Default for Draft {
    fn default() -> Self {
        let trusted_root = verify::TrustRoot::public_good_json().to_vec();
        let signing_config = include_bytes!("../../data/public-good-signing-config.json").to_vec();
        Self {
            roots: vec![vec!["ann", "bob", "cat"]],
            threshold: 2,
            timestamp: 1,
            snapshot: 1,
            targets: 1,
            content: [
                ("trusted_root.json", trusted_root),
                ("signing_config.v0.2.json", signing_config),
            ]
            .into(),
            expires: BTreeMap::new(),
            signers: BTreeMap::new(),
            edits: Vec::new(),
            sent: BTreeMap::new(),
        }
    }
}

pub(crate) fn key(name: &str) -> Value {
    let key = Key::named(name, KeyKind::EcdsaP256);
    json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": key.public().to_pem()}})
}

pub(crate) fn id(name: &str) -> String {
    hex::encode(crypto::sha256(format!("the name of {name}'s key").as_bytes()))
}

/// Signs with the keys of these people; `name=other` signs with the key of `name` under the name
/// of the key of `other`.
pub(crate) fn sign(signed: &Value, signers: &[&str]) -> Vec<u8> {
    let bytes = to_canonical_bytes(signed).unwrap();
    let signature = |signer: &&str| {
        let (name, as_whom) = signer.split_once('=').unwrap_or((signer, signer));
        let key = Key::named(name, KeyKind::EcdsaP256);
        json!({"keyid": id(as_whom), "sig": hex::encode(key.pair().sign_bytes(&bytes).unwrap())})
    };
    let signatures: Vec<Value> = signers.iter().map(signature).collect();
    serde_json::to_vec(&json!({"signed": signed, "signatures": signatures})).unwrap()
}

impl Draft {
    /// Changes a role's metadata before it is signed. `root` is the newest one.
    pub(crate) fn edit(
        mut self,
        role: &'static str,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.edits.push((role, Arc::new(edit)));
        self
    }

    pub(crate) fn signed_by(mut self, role: &'static str, signers: &[&'static str]) -> Self {
        self.signers.insert(role, signers.to_vec());
        self
    }

    pub(crate) fn until(mut self, role: &'static str, expires: &'static str) -> Self {
        self.expires.insert(role, expires);
        self
    }

    pub(crate) fn versions(mut self, timestamp: u64, snapshot: u64, targets: u64) -> Self {
        (self.timestamp, self.snapshot, self.targets) = (timestamp, snapshot, targets);
        self
    }

    fn role(&self, role: &'static str, version: u64, rest: Value) -> Value {
        let mut signed = json!({"_type": role, "spec_version": "1.0.31", "version": version,
            "expires": self.expires.get(role).unwrap_or(&EXPIRES)});
        signed.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        signed
    }

    fn seal(&self, role: &'static str, mut signed: Value, usual: &[&str]) -> Vec<u8> {
        for (_, edit) in self.edits.iter().filter(|(edited, _)| *edited == role) {
            edit(&mut signed);
        }
        match self.signers.get(role) {
            Some(signers) => sign(&signed, signers),
            None => sign(&signed, usual),
        }
    }

    /// The root of that version, counted from 1.
    pub(crate) fn root(&self, version: usize) -> Vec<u8> {
        let people = &self.roots[version - 1];
        let names = people.iter().chain(&["machine"]);
        let keys: BTreeMap<String, Value> = names.map(|name| (id(name), key(name))).collect();
        let ids: Vec<String> = people.iter().map(|name| id(name)).collect();
        let many = json!({"keyids": ids, "threshold": self.threshold});
        let one = json!({"keyids": [id("machine")], "threshold": 1});
        let signed = self.role(
            "root",
            version as u64,
            json!({
                "consistent_snapshot": true, "keys": keys,
                "roles": {"root": many, "targets": many, "snapshot": one, "timestamp": one},
            }),
        );
        let mut signers = people.clone();
        if version > 1 {
            let before = &self.roots[version - 2];
            signers.extend(before.iter().filter(|name| !people.contains(name)));
        }
        if version == self.roots.len() {
            self.seal("root", signed, &signers)
        } else {
            sign(&signed, &signers)
        }
    }

    /// Every file by its path on the mirror.
    pub(crate) fn files(&self) -> Paths {
        let mut files = BTreeMap::new();
        for version in 1..=self.roots.len() {
            files.insert(format!("/{version}.root.json"), self.root(version));
        }
        let describe = |bytes: &[u8]| json!({"length": bytes.len(), "hashes": {"sha256": hex::encode(crypto::sha256(bytes))}});
        let mut listed = serde_json::Map::new();
        for (name, bytes) in &self.content {
            listed.insert((*name).to_owned(), describe(bytes));
            let hash = hex::encode(crypto::sha256(bytes));
            let sent = self.sent.get(name).unwrap_or(bytes);
            files.insert(format!("/targets/{hash}.{name}"), sent.clone());
        }
        let people = self.roots.last().unwrap().clone();
        let targets = self.role("targets", self.targets, json!({"targets": listed}));
        let targets = self.seal("targets", targets, &people);
        let pinned = |version: u64, bytes: &[u8]| {
            let mut pin = describe(bytes);
            pin["version"] = version.into();
            pin
        };
        let meta = json!({"targets.json": pinned(self.targets, &targets)});
        let snapshot = self.role("snapshot", self.snapshot, json!({"meta": meta}));
        let snapshot = self.seal("snapshot", snapshot, &["machine"]);
        let meta = json!({"snapshot.json": pinned(self.snapshot, &snapshot)});
        let timestamp = self.role("timestamp", self.timestamp, json!({"meta": meta}));
        let timestamp = self.seal("timestamp", timestamp, &["machine"]);
        files.insert(format!("/{}.targets.json", self.targets), targets);
        files.insert(format!("/{}.snapshot.json", self.snapshot), snapshot);
        files.insert("/timestamp.json".to_owned(), timestamp);
        files
    }
}

/// Files by their path on the mirror.
type Paths = BTreeMap<String, Vec<u8>>;

/// A mirror whose content can be replaced while it runs.
pub(crate) struct Repository {
    pub(crate) server: Server,
    files: Arc<Mutex<Option<Paths>>>,
    /// A path whose answer has no end.
    endless: Arc<Mutex<Option<String>>>,
}

impl Repository {
    pub(crate) async fn start(draft: &Draft) -> Self {
        let files = Arc::new(Mutex::new(Some(draft.files())));
        let endless = Arc::new(Mutex::new(None::<String>));
        let (held, without_end) = (Arc::clone(&files), Arc::clone(&endless));
        let server = Server::start(move |request| {
            if without_end.lock().unwrap().as_ref().is_some_and(|end| request.path().ends_with(end))
            {
                let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
                return Reply::Endless(head, vec![b' '; 4096]);
            }
            match held.lock().unwrap().as_ref() {
                None => Reply::status(503),
                Some(files) => match files.get(request.path()) {
                    Some(bytes) => Reply::ok("application/json", bytes.clone()),
                    None => Reply::status(404),
                },
            }
        })
        .await;
        Self { server, files, endless }
    }

    pub(crate) fn publish(&self, draft: &Draft) {
        *self.files.lock().unwrap() = Some(draft.files());
    }

    /// Answers that the service is unavailable from now on.
    pub(crate) fn fail(&self) {
        *self.files.lock().unwrap() = None;
    }

    pub(crate) fn without_end(&self, path: &str) {
        *self.endless.lock().unwrap() = Some(path.to_owned());
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().as_mut().unwrap().insert(path.to_owned(), bytes);
    }
}
