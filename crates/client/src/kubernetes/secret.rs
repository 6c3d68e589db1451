//! A Secret with keys in it, read and written.
//!
//! Kubernetes API reference, `Secret` of `core/v1`: `data` is base64 under names, of which Cosign uses
//! `cosign.key`, `cosign.pub` and `cosign.password`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
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
    object: Object,
}

/// The object, to be written back with all that others have put there.
struct Object {
    /// In base64, by name. Nothing else holds it.
    data: BTreeMap<String, Secret>,
    /// All but `data`.
    rest: Map<String, Value>,
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
    /// When there is a key in it, when somebody else changes it, or the cluster refuses; and when it
    /// cannot be told whether they are kept ([`KubernetesError::NotKnown`]).
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
                let rest = new.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                let new = Object { data: BTreeMap::new(), rest };
                (self.request(Method::POST, &path).body(written(new, keys)), 201)
            }
            Err(error) => return Err(failed(at, error)),
        };
        let request = request
            .wanting("a Secret", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Half of the time is for looking whether a write took place whose answer was lost.
        let half = deadline.or_after(deadline.left() / 2);
        let sent = self.send(&request, half).await.and_then(|answer| answer.wanted(&[wanted]));
        match sent {
            Ok(_) => Ok(()),
            // Somebody made it, or changed it, between the two requests.
            Err(error) if is_conflict(error.kind()) => {
                Err(KubernetesError::Changed { secret: at.clone() })
            }
            Err(error) if is_refusal(error.kind()) => Err(failed(at, error)),
            Err(error) => self.find_again(at, keys, error, deadline).await,
        }
    }

    /// Looks whether keys are there, after a write whose answer was lost. That they are not there does
    /// not say that they will not be: the write may still be under way.
    async fn find_again(
        &self,
        at: &SecretRef,
        keys: &KeyEntries<'_>,
        lost: FetchError,
        deadline: Deadline,
    ) -> Result<(), KubernetesError> {
        let there = self.read(at, deadline).await.map(|there| there.public_key());
        match there {
            Ok(Ok(there)) if *there == keys.public_key => Ok(()),
            Ok(Ok(_)) => Err(KubernetesError::Changed { secret: at.clone() }),
            _ => Err(KubernetesError::NotKnown { secret: at.clone(), source: lost }),
        }
    }

    async fn read(&self, at: &SecretRef, deadline: Deadline) -> Result<KeySecret, FetchError> {
        let path = format!("{}/{}", path(at.namespace()), at.name());
        let request =
            self.request(Method::GET, &path).repeatable().wanting("a Secret", ANSWER_SIZE_MAX);
        let answer = self.send(&request, deadline).await?.wanted(&[200])?;
        KeySecret::parse(at, answer)
    }

    async fn send(&self, request: &Request, deadline: Deadline) -> Result<Answer, FetchError> {
        self.http.send(request, deadline).await
    }
}

/// Where the Secrets of a namespace are.
fn path(namespace: &str) -> String {
    format!("api/v1/namespaces/{namespace}/secrets")
}

fn is_conflict(error: &FetchErrorKind) -> bool {
    matches!(error, FetchErrorKind::Rejected { status, .. } if *status == StatusCode::CONFLICT)
}

/// Whether the server said that it did not do it. One that failed, or whose answer did not arrive, has
/// not said that.
fn is_refusal(error: &FetchErrorKind) -> bool {
    match error {
        FetchErrorKind::Rejected { status, .. } => status.is_client_error(),
        FetchErrorKind::Unauthorized(_)
        | FetchErrorKind::Forbidden { .. }
        | FetchErrorKind::NotFound { .. }
        | FetchErrorKind::RateLimited { .. }
        | FetchErrorKind::RedirectedAway { .. } => true,
        _ => false,
    }
}

fn failed(at: &SecretRef, source: FetchError) -> KubernetesError {
    KubernetesError::Fetch { secret: at.clone(), source }
}

impl KeySecret {
    /// What is there is never quoted.
    fn parse(at: &SecretRef, mut answer: Answer) -> Result<Self, FetchError> {
        let body = Zeroizing::new(std::mem::take(&mut answer.body));
        let malformed = || answer.malformed("a Secret of v1", "something else");
        let object: Object = json::parse(&body).map_err(|_| malformed())?;
        let text = |of: &Map<String, Value>, name| match of.get(name) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let rest = &object.rest;
        let Some(Value::Object(metadata)) = rest.get("metadata") else { return Err(malformed()) };
        if text(rest, "apiVersion") != "v1" || text(rest, "kind") != "Secret" {
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
        Ok(Self { at: at.clone(), object })
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
        let Some(text) = self.object.data.get(name) else { return Ok(None) };
        match STANDARD.decode(text.expose()) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(_) => Err(KubernetesError::NotBase64 { secret: self.at.clone(), entry: name }),
        }
    }

    fn no_entry(&self, entry: &'static str) -> KubernetesError {
        let data = &self.object.data;
        let shown = data.keys().take(NAMES_SHOWN_MAX);
        let shown: Vec<_> = shown.map(|name| format!("`{}`", printable(name, 64))).collect();
        let found = match (shown.is_empty(), data.len() > NAMES_SHOWN_MAX) {
            (true, _) => "nothing".to_owned(),
            (false, true) => format!("{} and more", shown.join(", ")),
            (false, false) => shown.join(", "),
        };
        KubernetesError::NoEntry { secret: self.at.clone(), entry, found }
    }

    /// The object with keys in it, to be written back. Its version goes along, so that it replaces
    /// nothing but what was read.
    fn with(self, keys: &KeyEntries<'_>) -> Result<Bytes, KubernetesError> {
        let Self { at: secret, object } = self;
        let taken = |entry: &&str| object.data.contains_key(*entry);
        if [PRIVATE_KEY, PUBLIC_KEY, PASSWORD].iter().any(taken) {
            return Err(KubernetesError::Taken { secret });
        }
        if object.rest.get("immutable") == Some(&Value::Bool(true)) {
            return Err(KubernetesError::Immutable { secret });
        }
        Ok(written(object, keys))
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySecret({}, {:?})", self.at, self.object.data.keys())
    }
}

/// Takes `data` out at once: what is in it never is a plain value.
impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a Secret")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let (mut data, mut rest) = (None, Map::new());
                while let Some(name) = map.next_key::<String>()? {
                    let twice = if name == "data" {
                        data.replace(map.next_value::<Option<_>>()?).is_some()
                    } else {
                        rest.insert(name, map.next_value()?).is_some()
                    };
                    if twice {
                        return Err(A::Error::custom("a field comes a second time"));
                    }
                }
                // Null where it is left out, as Go writes it.
                Ok(Object { data: data.flatten().unwrap_or_default(), rest })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An object with keys in it, immutable from now on: who may write Secrets cannot put his own key
/// under a name that is trusted without removing it first, which shows. Wiped once it is sent.
fn written(Object { mut data, mut rest }: Object, keys: &KeyEntries<'_>) -> Bytes {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(flatten)]
        rest: &'a Map<String, Value>,
        data: BTreeMap<&'a str, &'a str>,
    }
    let KeyEntries { private_key, public_key, password } = keys;
    for (name, content) in
        [(PRIVATE_KEY, private_key), (PUBLIC_KEY, public_key), (PASSWORD, password)]
    {
        data.insert(name.to_owned(), Secret::new(STANDARD.encode(content)));
    }
    rest.insert("immutable".to_owned(), true.into());
    let data = data.iter().map(|(name, text)| (name.as_str(), text.expose())).collect();
    let object = Written { rest: &rest, data };
    // What grows leaves copies behind: it is measured before it is written.
    let mut size = Count(0);
    let expect = "an object can be written as JSON";
    serde_json::to_writer(&mut size, &object).expect(expect);
    let mut json = Zeroizing::new(Vec::with_capacity(size.0));
    serde_json::to_writer(&mut *json, &object).expect(expect);
    Bytes::from_owner(json)
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
