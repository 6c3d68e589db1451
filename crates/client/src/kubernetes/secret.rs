//! A Secret with keys in it, read and written.
//!
//! Kubernetes API reference, `Secret` of `core/v1`: `data` is base64 under names, of which Cosign uses
//! `cosign.key`, `cosign.pub` and `cosign.password`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::access::Cluster;
use super::{KubernetesError, SecretRef};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind, printable};
use crate::http::{Answer, Request};
use crate::json;
use crate::secret::Secret;

/// Longest Secret read, in bytes: its data is 1 MiB at most (`MaxSecretSize`), in base64.
const ANSWER_SIZE_MAX: u64 = 2 << 20;

/// Names shown of what is in a Secret.
const NAMES_SHOWN_MAX: usize = 8;

const PRIVATE_KEY: &str = "cosign.key";
const PUBLIC_KEY: &str = "cosign.pub";
const PASSWORD: &str = "cosign.password";

/// A Secret as the cluster has it.
pub struct KeySecret {
    at: SecretRef,
    /// In base64, by name.
    data: BTreeMap<String, Secret>,
    /// The object, to be written back with all that others have put there.
    whole: Map<String, Value>,
}

/// Keys to be kept in a Secret.
pub struct KeyEntries<'a> {
    /// The private key, encrypted.
    pub private_key: &'a [u8],
    /// The public key.
    pub public_key: &'a [u8],
    /// What the private key is encrypted with: whoever reads the Secret may sign, as with Cosign.
    pub password: &'a [u8],
}

impl Cluster {
    /// Reads a Secret.
    ///
    /// # Errors
    /// When the cluster cannot be asked, refuses, or has none of that name.
    pub async fn secret(
        &self,
        at: &SecretRef,
        deadline: Deadline,
    ) -> Result<KeySecret, KubernetesError> {
        self.read(at, deadline).await.map_err(|source| failed(at, source))
    }

    /// Puts keys into a Secret that has none; one that is not there is made. From then on it cannot
    /// be changed, only removed.
    ///
    /// # Errors
    /// When there is a key in it, when somebody else changes it, or the cluster refuses.
    pub async fn store(
        &self,
        at: &SecretRef,
        keys: &KeyEntries<'_>,
        deadline: Deadline,
    ) -> Result<(), KubernetesError> {
        let path = path(at.namespace());
        let (request, wanted) = match self.read(at, deadline).await {
            Ok(there) => {
                let path = format!("{path}/{}", at.name());
                (self.request(Method::PUT, &path).body(there.with(keys)?), 200)
            }
            Err(error) if matches!(error.kind(), FetchErrorKind::NotFound { .. }) => {
                let metadata = json!({"namespace": at.namespace(), "name": at.name()});
                let new = [
                    ("apiVersion", "v1".into()),
                    ("kind", "Secret".into()),
                    ("metadata", metadata),
                    ("type", "Opaque".into()),
                ];
                let new = new.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                (self.request(Method::POST, &path).body(written(new, keys)), 201)
            }
            Err(error) => return Err(failed(at, error)),
        };
        let request = request
            .wanting("a Secret", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.send(&request, deadline).await.map_err(|source| failed(at, source))?;
        // Somebody made it, or changed it, between the two requests.
        if answer.status.as_u16() == 409 {
            return Err(KubernetesError::Changed { secret: at.clone() });
        }
        answer.wanted(&[wanted]).map_err(|source| failed(at, source))?;
        Ok(())
    }

    async fn read(&self, at: &SecretRef, deadline: Deadline) -> Result<KeySecret, FetchError> {
        let path = format!("{}/{}", path(at.namespace()), at.name());
        let request =
            self.request(Method::GET, &path).repeatable().wanting("a Secret", ANSWER_SIZE_MAX);
        let answer = self.send(&request, deadline).await?.wanted(&[200])?;
        KeySecret::parse(at, &answer)
    }

    async fn send(&self, request: &Request, deadline: Deadline) -> Result<Answer, FetchError> {
        self.http.send(request, deadline).await
    }
}

/// Where the Secrets of a namespace are.
fn path(namespace: &str) -> String {
    format!("api/v1/namespaces/{namespace}/secrets")
}

fn failed(at: &SecretRef, source: FetchError) -> KubernetesError {
    KubernetesError::Fetch { secret: at.clone(), source }
}

impl KeySecret {
    /// What is there is never quoted.
    fn parse(at: &SecretRef, answer: &Answer) -> Result<Self, FetchError> {
        let malformed = || answer.malformed("a Secret of v1", "something else");
        let whole: Map<String, Value> = json::parse(&answer.body).map_err(|_| malformed())?;
        let text = |of: &Map<String, Value>, name| match of.get(name) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let Some(Value::Object(metadata)) = whole.get("metadata") else { return Err(malformed()) };
        if text(&whole, "apiVersion") != "v1" || text(&whole, "kind") != "Secret" {
            return Err(malformed());
        }
        if text(metadata, "namespace") != at.namespace() || text(metadata, "name") != at.name() {
            return Err(answer.malformed("the Secret that was asked for", "another"));
        }
        // A write without it is unconditional (Kubernetes API conventions, "Concurrency Control and
        // Consistency").
        if text(metadata, "resourceVersion").is_empty() {
            return Err(answer.malformed("a `resourceVersion` in the Secret's metadata", "none"));
        }
        let data = match whole.get("data") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(data)) => data
                .iter()
                .map(|(name, value)| {
                    let text = value.as_str().ok_or_else(malformed)?;
                    Ok((name.clone(), Secret::new(text.to_owned())))
                })
                .collect::<Result<_, FetchError>>()?,
            Some(_) => return Err(malformed()),
        };
        Ok(Self { at: at.clone(), data, whole })
    }

    /// The public key, as PEM.
    ///
    /// # Errors
    /// When there is none in it.
    pub fn public_key(&self) -> Result<Zeroizing<Vec<u8>>, KubernetesError> {
        self.entry(PUBLIC_KEY)?.ok_or_else(|| self.no_entry(PUBLIC_KEY))
    }

    /// The private key, as PEM, which is encrypted where Cosign or we put it there.
    ///
    /// # Errors
    /// When there is none in it.
    pub fn private_key(&self) -> Result<Zeroizing<Vec<u8>>, KubernetesError> {
        self.entry(PRIVATE_KEY)?.ok_or_else(|| self.no_entry(PRIVATE_KEY))
    }

    /// What the private key is encrypted with, if that is kept beside it.
    ///
    /// # Errors
    /// When what is there is not base64.
    pub fn password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KubernetesError> {
        self.entry(PASSWORD)
    }

    fn entry(&self, name: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, KubernetesError> {
        let Some(text) = self.data.get(name) else { return Ok(None) };
        match STANDARD.decode(text.expose()) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(_) => Err(self.no_entry(name)),
        }
    }

    fn no_entry(&self, entry: &'static str) -> KubernetesError {
        let shown = self.data.keys().take(NAMES_SHOWN_MAX);
        let shown: Vec<_> = shown.map(|name| format!("`{}`", printable(name, 64))).collect();
        let found = match (shown.is_empty(), self.data.len() > NAMES_SHOWN_MAX) {
            (true, _) => "nothing".to_owned(),
            (false, true) => format!("{} and more", shown.join(", ")),
            (false, false) => shown.join(", "),
        };
        KubernetesError::NoEntry { secret: self.at.clone(), entry, found }
    }

    /// The object with keys in it, to be written back. Its version goes along, so that it replaces
    /// nothing but what was read.
    fn with(self, keys: &KeyEntries<'_>) -> Result<Vec<u8>, KubernetesError> {
        let Self { at: secret, data, whole } = self;
        if [PRIVATE_KEY, PUBLIC_KEY, PASSWORD].iter().any(|entry| data.contains_key(*entry)) {
            return Err(KubernetesError::Taken { secret });
        }
        if whole.get("immutable") == Some(&Value::Bool(true)) {
            return Err(KubernetesError::Immutable { secret });
        }
        Ok(written(whole, keys))
    }
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySecret({}, {:?})", self.at, self.data.keys())
    }
}

/// An object with keys in it, immutable from now on: who may write Secrets cannot put his own key
/// under a name that is trusted without removing it first, which shows.
fn written(mut object: Map<String, Value>, keys: &KeyEntries<'_>) -> Vec<u8> {
    let KeyEntries { private_key, public_key, password } = keys;
    let mut data = match object.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    for (name, content) in
        [(PRIVATE_KEY, private_key), (PUBLIC_KEY, public_key), (PASSWORD, password)]
    {
        data.insert(name.to_owned(), STANDARD.encode(content).into());
    }
    object.insert("data".to_owned(), data.into());
    object.insert("immutable".to_owned(), true.into());
    serde_json::to_vec(&object).expect("an object can be written as JSON")
}
