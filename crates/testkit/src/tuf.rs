//! TUF repositories made and signed here, right or wrong in any way a test wants.
//!
//! The Update Framework 1.0.34, §4 (document formats). The canonical form of JSON is made here
//! without the code that reads it, as every other format is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crypto::{KeyKind, Signer};
use serde_json::{Value, json};

use crate::Key;

/// When metadata ends, unless a test says otherwise.
const EXPIRES: &str = "2026-07-01T00:00:00Z";

/// Changes metadata before it is signed.
pub type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// Files by their path on the mirror.
pub type Paths = BTreeMap<String, Vec<u8>>;

/// A repository to be signed.
#[derive(Clone)]
pub struct Draft {
    /// Keys of root and targets for each version of the root, the first being version 1.
    pub roots: Vec<Vec<&'static str>>,
    /// How many of them must sign.
    pub threshold: usize,
    /// Version of the timestamp.
    pub timestamp: u64,
    /// Version of the snapshot.
    pub snapshot: u64,
    /// Version of the targets.
    pub targets: u64,
    /// The targets.
    pub content: BTreeMap<&'static str, Vec<u8>>,
    /// When the metadata of roles ends, other than usual.
    pub expires: BTreeMap<&'static str, &'static str>,
    /// Who signs for a role, other than usual.
    pub signers: BTreeMap<&'static str, Vec<&'static str>>,
    /// What is changed in which role.
    pub edits: Vec<(&'static str, Edit)>,
    /// Targets as they are sent, other than they were signed for.
    pub sent: BTreeMap<&'static str, Vec<u8>>,
}

/// The roles.
pub const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A key as metadata has it.
#[must_use]
pub fn key(name: &str) -> Value {
    let key = Key::named(name, KeyKind::EcdsaP256);
    json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": key.public().to_pem()}})
}

/// The name of a key.
#[must_use]
pub fn id(name: &str) -> String {
    hex::encode(crypto::sha256(format!("the name of {name}'s key").as_bytes()))
}

/// Signs with the keys of these people; `name=other` signs with the key of `name` under the name
/// of the key of `other`.
///
/// # Panics
/// When a key does not sign, which none here does.
#[must_use]
pub fn sign(signed: &Value, signers: &[&str]) -> Vec<u8> {
    let bytes = canonical(signed);
    let signature = |signer: &&str| {
        let (name, as_whom) = signer.split_once('=').unwrap_or((signer, signer));
        let key = Key::named(name, KeyKind::EcdsaP256);
        let signature = key.pair().sign_bytes(bytes.as_bytes()).expect("a key in memory signs");
        json!({"keyid": id(as_whom), "sig": hex::encode(signature)})
    };
    let signatures: Vec<Value> = signers.iter().map(signature).collect();
    json!({"signed": signed, "signatures": signatures}).to_string().into_bytes()
}

/// OLPC's canonical JSON, which TUF signs: members sorted, no spaces, whole numbers, and in texts
/// nothing escaped but quotes and backslashes.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            let members = members.into_iter();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{}:{}", text(name), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::String(content) => text(content),
        other => other.to_string(),
    }
}

fn text(content: &str) -> String {
    format!("\"{}\"", content.replace('\\', r"\\").replace('"', r#"\""#))
}

impl Draft {
    /// A good repository with these targets.
    #[must_use]
    pub fn of(content: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        Self {
            roots: vec![vec!["ann", "bob", "cat"]],
            threshold: 2,
            timestamp: 1,
            snapshot: 1,
            targets: 1,
            content: content.into_iter().collect(),
            expires: BTreeMap::new(),
            signers: BTreeMap::new(),
            edits: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Changes a role's metadata before it is signed. `root` is the newest one.
    #[must_use]
    pub fn edit(
        mut self,
        role: &'static str,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.edits.push((role, Arc::new(edit)));
        self
    }

    /// Has others sign for a role.
    #[must_use]
    pub fn signed_by(mut self, role: &'static str, signers: &[&'static str]) -> Self {
        self.signers.insert(role, signers.to_vec());
        self
    }

    /// Has a role's metadata end then.
    #[must_use]
    pub fn until(mut self, role: &'static str, expires: &'static str) -> Self {
        self.expires.insert(role, expires);
        self
    }

    /// Gives the metadata these versions.
    #[must_use]
    pub fn versions(mut self, timestamp: u64, snapshot: u64, targets: u64) -> Self {
        (self.timestamp, self.snapshot, self.targets) = (timestamp, snapshot, targets);
        self
    }

    fn role(&self, role: &'static str, version: u64, rest: &[(&str, Value)]) -> Value {
        let mut signed = json!({"_type": role, "spec_version": "1.0.31", "version": version,
            "expires": self.expires.get(role).unwrap_or(&EXPIRES)});
        for (name, value) in rest {
            signed[*name] = value.clone();
        }
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
    ///
    /// # Panics
    /// When there is none of that version.
    #[must_use]
    pub fn root(&self, version: usize) -> Vec<u8> {
        let people = &self.roots[version - 1];
        let names = people.iter().chain(&["machine"]);
        let keys: BTreeMap<String, Value> = names.map(|name| (id(name), key(name))).collect();
        let ids: Vec<String> = people.iter().map(|name| id(name)).collect();
        let many = json!({"keyids": ids, "threshold": self.threshold});
        let one = json!({"keyids": [id("machine")], "threshold": 1});
        let roles = json!({"root": many, "targets": many, "snapshot": one, "timestamp": one});
        let rest = [("consistent_snapshot", true.into()), ("keys", json!(keys)), ("roles", roles)];
        let signed = self.role("root", version as u64, &rest);
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
    #[must_use]
    pub fn files(&self) -> Paths {
        let mut files = BTreeMap::new();
        for version in 1..=self.roots.len() {
            files.insert(format!("/{version}.root.json"), self.root(version));
        }
        let mut listed = serde_json::Map::new();
        for (name, bytes) in &self.content {
            listed.insert((*name).to_owned(), describe(bytes));
            let hash = hex::encode(crypto::sha256(bytes));
            let sent = self.sent.get(name).unwrap_or(bytes);
            files.insert(format!("/targets/{hash}.{name}"), sent.clone());
        }
        let people = self.roots.last().map(Vec::as_slice).unwrap_or_default();
        let targets = self.role("targets", self.targets, &[("targets", listed.into())]);
        let targets = self.seal("targets", targets, people);
        let pinned = |version: u64, bytes: &[u8]| {
            let mut pin = describe(bytes);
            pin["version"] = version.into();
            pin
        };
        let meta = json!({"targets.json": pinned(self.targets, &targets)});
        let snapshot = self.role("snapshot", self.snapshot, &[("meta", meta)]);
        let snapshot = self.seal("snapshot", snapshot, &["machine"]);
        let meta = json!({"snapshot.json": pinned(self.snapshot, &snapshot)});
        let timestamp = self.role("timestamp", self.timestamp, &[("meta", meta)]);
        let timestamp = self.seal("timestamp", timestamp, &["machine"]);
        files.insert(format!("/{}.targets.json", self.targets), targets);
        files.insert(format!("/{}.snapshot.json", self.snapshot), snapshot);
        files.insert("/timestamp.json".to_owned(), timestamp);
        files
    }
}

/// Length and hash of a file, as the metadata has them that pins it.
fn describe(bytes: &[u8]) -> Value {
    let hash = hex::encode(crypto::sha256(bytes));
    json!({"length": bytes.len(), "hashes": {"sha256": hash}})
}
