//! What the tests stand on: an identity provider in memory, its tokens, and an authority.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use authority::certificate::SerialNumber;
use authority::ct::{CtError, Precertificate};
use authority::issue::proof::{Applicant, Proof, SigningAlgorithm};
use authority::issuer::{Issuer, IssuerKind, Issuers};
use authority::token::keys::{FetchError, IssuerDocuments};
use authority::token::{TokenError, TokenVerifier, VerifiedToken};
use authority::{CertificateAuthority, CtLog, Identity, IssuingAuthority};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{HashAlgorithm, KeyKind, KeyPair, Message, PublicKey, Scheme, Signer};
use evidence::UnixTime;
use evidence::certificate::SignedCertificateTimestamp;
use evidence::certificate::sct::precertificate_signed_data;
use futures::executor::block_on;
use serde_json::{Value, json};
use url::Url;

pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const CLIENT: &str = "sigstore";

/// Documents by URL, and a list of every URL that was asked for.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) by_url: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Documents {
    pub(crate) fn put(&self, url: &str, document: &Value) {
        self.by_url.lock().unwrap().insert(url.to_owned(), document.to_string().into_bytes());
    }

    pub(crate) fn put_issuer(&self, issuer: &str, keys: &[Value]) {
        let key_set_url = format!("{issuer}/keys");
        let discovery = json!({"issuer": issuer, "jwks_uri": key_set_url});
        self.put(&format!("{issuer}/.well-known/openid-configuration"), &discovery);
        self.put(&key_set_url, &json!({"keys": keys}));
    }

    pub(crate) fn clear(&self) {
        self.by_url.lock().unwrap().clear();
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl IssuerDocuments for Documents {
    async fn get(&self, url: &Url, size_max: usize) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().unwrap().push(url.to_string());
        yield_once().await;
        let found = self.by_url.lock().unwrap().get(url.as_str()).cloned();
        found
            .filter(|document| document.len() <= size_max)
            .ok_or_else(|| FetchError { url: url.to_string(), source: "no such document".into() })
    }
}

/// Lets others run, as a network would.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// An issuer's key with its name, and the tokens it signs.
pub(crate) struct TokenKey {
    pub(crate) pair: KeyPair,
    pub(crate) id: &'static str,
    pub(crate) algorithm: &'static str,
}

impl TokenKey {
    pub(crate) fn new(kind: KeyKind, id: &'static str, algorithm: &'static str) -> Self {
        Self { pair: KeyPair::generate(kind).unwrap(), id, algorithm }
    }

    pub(crate) fn es256() -> Self {
        Self::new(KeyKind::EcdsaP256, "first", "ES256")
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm, "kid": self.id, "typ": "JWT"})
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = jwk(self.pair.public_key());
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header().to_string(), &claims.to_string())
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let scheme = match self.algorithm {
            "ES256" => Scheme::EcdsaP256Sha256Fixed,
            "ES384" => Scheme::EcdsaP384Sha384Fixed,
            "RS256" => Scheme::RsaPkcs1Sha256,
            "PS384" => Scheme::RsaPssSha384,
            _ => Scheme::Ed25519,
        };
        let signature = self.pair.sign(scheme, Message::Bytes(signed.as_bytes())).unwrap();
        format!("{signed}.{}", encode(&signature))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwk(key: &PublicKey) -> Value {
    let raw = key.raw_bytes();
    let ec = |curve: &str| {
        let (x, y) = raw[1..].split_at((raw.len() - 1) / 2);
        json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
    };
    match key.kind() {
        KeyKind::EcdsaP256 => ec("P-256"),
        KeyKind::EcdsaP384 => ec("P-384"),
        KeyKind::Ed25519 => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&raw)}),
        _ => {
            let (modulus, exponent) = key.rsa_components().unwrap();
            json!({"kty": "RSA", "n": encode(&modulus), "e": encode(&exponent)})
        }
    }
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "alice",
        "iat": NOW.seconds() - 10,
        "exp": NOW.seconds() + 300,
        "email": "alice@example.com",
        "email_verified": true,
    })
}

/// The right claims with one of them replaced; `null` takes it away.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

/// One issuer with one key, and a verifier that trusts it.
pub(crate) struct Provider {
    pub(crate) key: TokenKey,
    pub(crate) documents: Arc<Documents>,
    pub(crate) verifier: TokenVerifier<Arc<Documents>>,
}

impl Provider {
    pub(crate) fn new(kind: IssuerKind) -> Self {
        Self::with_key(kind, TokenKey::es256())
    }

    pub(crate) fn with_key(kind: IssuerKind, key: TokenKey) -> Self {
        let issuer = Issuer::new(ISSUER, CLIENT, kind).unwrap();
        let documents = Arc::new(Documents::default());
        documents.put_issuer(ISSUER, &[key.jwk()]);
        let issuers = Issuers::new(vec![issuer]).unwrap();
        let verifier = TokenVerifier::new(issuers, Arc::clone(&documents));
        Self { key, documents, verifier }
    }

    pub(crate) fn email() -> Self {
        Self::new(IssuerKind::Email)
    }

    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        self.verify_at(token, NOW)
    }

    pub(crate) fn verify_at(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<VerifiedToken, TokenError> {
        block_on(self.verifier.verify(token, now))
    }

    pub(crate) fn verify_claims(&self, claims: &Value) -> Result<VerifiedToken, TokenError> {
        self.verify(&self.key.token(claims))
    }
}

pub(crate) fn github_claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "repo:acme/app:ref:refs/heads/main",
        "exp": NOW.seconds() + 300,
        "event_name": "push",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "ref": "refs/heads/main",
        "workflow": "Release",
        "repository": "acme/app",
        "repository_id": "1234",
        "repository_owner": "acme",
        "repository_owner_id": "56",
        "repository_visibility": "private",
        "job_workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
        "job_workflow_sha": "89abcdef0123456789abcdef0123456789abcdef",
        "workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
        "workflow_sha": "fedcba9876543210fedcba9876543210fedcba98",
        "runner_environment": "github-hosted",
        "run_id": "777",
        "run_attempt": "2",
    })
}

pub(crate) fn github() -> IssuerKind {
    IssuerKind::GitHub { instance_url: "https://github.com".to_owned() }
}

pub(crate) fn serial(byte: u8) -> SerialNumber {
    SerialNumber::from_random([byte; 20])
}

/// An identity of the given claims with a fresh key, proven.
pub(crate) fn applicant(kind: IssuerKind, claims: &Value, key: &KeyPair) -> Applicant {
    let token = Provider::new(kind).verify_claims(claims).unwrap();
    let identity = Identity::of(&token).unwrap();
    let signature = key.sign_bytes(token.subject().as_bytes()).unwrap();
    let spki = key.public_key().spki_der();
    let proof = Proof::Signature { public_key: spki, signature: &signature };
    Applicant::prove(identity, proof, &SigningAlgorithm::ALL).unwrap()
}

/// A log that remembers what it was told and may change the promise on its way out.
pub(crate) struct Log {
    pub(crate) key: KeyPair,
    pub(crate) seen: Mutex<Vec<(Precertificate, SignedCertificateTimestamp)>>,
    pub(crate) change: fn(&mut SignedCertificateTimestamp),
    pub(crate) full: bool,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self::changing(|_| {})
    }

    pub(crate) fn changing(change: fn(&mut SignedCertificateTimestamp)) -> Self {
        let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
        Self { key, seen: Mutex::default(), change, full: false }
    }

    pub(crate) fn last(&self) -> (Precertificate, SignedCertificateTimestamp) {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

impl CtLog for Log {
    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    async fn submit(
        &self,
        precertificate: &Precertificate,
        now: UnixTime,
    ) -> Result<SignedCertificateTimestamp, CtError> {
        if self.full {
            return Err(CtError::Append("disk full".into()));
        }
        let Precertificate { issuer_key_hash, tbs, .. } = precertificate;
        let signed = precertificate_signed_data(now, issuer_key_hash, tbs, &[]).unwrap();
        let mut sct = SignedCertificateTimestamp {
            log_id: self.public_key().id(),
            time: now,
            extensions: vec![],
            hash: HashAlgorithm::Sha256,
            signature: self.key.sign_bytes(&signed)?,
        };
        (self.change)(&mut sct);
        self.seen.lock().unwrap().push((precertificate.clone(), sct.clone()));
        Ok(sct)
    }
}

/// A new authority, valid from `NOW`, and a copy of its issuing key.
pub(crate) fn certificate_authority(kind: KeyKind) -> (CertificateAuthority, KeyPair) {
    let root = KeyPair::generate(kind).unwrap();
    let key = KeyPair::generate(kind).unwrap();
    let serials = [serial(1), serial(2)];
    let chain = CertificateAuthority::create(&root, &key, "Example", serials, NOW).unwrap();
    (CertificateAuthority::new(chain, Box::new(copy(&key))).unwrap(), key)
}

pub(crate) fn issuing_authority() -> IssuingAuthority<Log> {
    IssuingAuthority::new(certificate_authority(KeyKind::EcdsaP384).0, Log::new())
}

pub(crate) fn copy(key: &KeyPair) -> KeyPair {
    KeyPair::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap()
}
