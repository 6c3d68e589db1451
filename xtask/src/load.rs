//! Load on a running instance: how many entries, certificates and timestamps a second it takes,
//! and how long each waits until it is acknowledged.
//!
//! Closed loop: each connection sends its next request when the last was answered, so that waiting
//! is not hidden. Everything runs on this machine, load included, and on its disk: every entry is
//! durable before it is acknowledged.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, HashAlgorithm, KeyKind, KeyPair, Message, Scheme, Signer};
use devkit::issuer::{Algorithm, Claimant, GithubWorkflow, Issuer, IssuerOptions};
use serde_json::{Value, json};

use crate::instance::{self, Instance, InstanceError};

/// Time for any answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Longest load of one kind, in seconds: tokens live for five minutes.
pub const SECONDS_MAX: u64 = 60;

/// Most connections: as many requests as an instance works on at once.
pub const CONNECTIONS_MAX: usize = 1024;

/// Longest answer read, in bytes.
const ANSWER_SIZE_MAX: usize = 1 << 20;

/// Audience of tokens.
const AUDIENCE: &str = "sigstore";

/// How long, and from how many connections at once.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Seconds for each kind of request.
    pub seconds: u64,
    /// Connections.
    pub connections: usize,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file, program or connection failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no instance.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The development identity provider failed.
    #[error("the identity provider: {0}")]
    Issuer(#[from] devkit::DevkitError),
    /// A request was not answered as it should be.
    #[error("{path} answered {status}: {body}")]
    Refused {
        /// Where it was sent.
        path: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        body: String,
    },
    /// A key could not be made or used.
    #[error("a key: {0}")]
    Key(String),
}

/// What one kind of request came to.
#[derive(Clone, Debug)]
pub struct Figures {
    kind: &'static str,
    /// Microseconds from request to answer, sorted.
    waits: Vec<u32>,
    elapsed: Duration,
    /// The instance's memory afterwards, in KiB.
    resident: u64,
}

impl Figures {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The wait that `share` of the requests did not exceed, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.waits.get(at).map_or(f64::NAN, |wait| f64::from(*wait) / 1000.0)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<14} {:>8} {:>9.0}/s {:>9.1} ms {:>9.1} ms {:>9.1} ms {:>7} MiB",
            self.kind,
            self.waits.len(),
            self.rate(),
            self.wait_ms(0.5),
            self.wait_ms(0.99),
            self.wait_ms(1.0),
            self.resident / 1024,
        )
    }
}

/// Head of the table that [`Figures`] are the rows of.
pub const TABLE_HEAD: &str =
    "what              count        rate          p50          p99          max  memory";

/// Builds and starts an instance, and loads it with one kind of request after the other.
///
/// # Errors
/// When it cannot be started, or refuses a request.
pub fn run(root: &Path, load: Load, mut tell: impl FnMut(&Figures)) -> Result<(), LoadError> {
    let binary = instance::build(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(io_error("starting a runtime"))?;
    let options =
        IssuerOptions { algorithm: Algorithm::Es256, ..IssuerOptions::new(Arc::new(now)) };
    let issuer = runtime.block_on(Issuer::start(options))?;
    let directory = instance::folder(root, "load")?;
    let outcome = Instance::start(&binary, &directory, &issuer)
        .map_err(LoadError::from)
        .and_then(|target| loads(&target, &issuer, load, &mut tell));
    // Kept where something went wrong: what the instance said is in there.
    if outcome.is_ok() {
        fs::remove_dir_all(&directory).map_err(io_error("removing a folder"))?;
    }
    outcome
}

/// Makes the request of a number.
type Compose<'a> = &'a (dyn Fn(u64) -> Value + Sync);

fn loads(
    target: &Instance,
    issuer: &Issuer,
    load: Load,
    tell: &mut impl FnMut(&Figures),
) -> Result<(), LoadError> {
    let signer = Requester::new(target, issuer)?;
    let kinds: [(&'static str, &'static str, Compose<'_>); 4] = [
        ("v2 entries", "/api/v2/log/entries", &|number| signer.entry_v2(number)),
        ("v1 entries", "/api/v1/log/entries", &|number| signer.entry_v1(number)),
        ("certificates", CERTIFICATES, &|_| signer.certificate.clone()),
        ("timestamps", "/api/v1/timestamp", &timestamp),
    ];
    for (kind, path, request) in kinds {
        let began = Instant::now();
        let end = began + Duration::from_secs(load.seconds);
        let next = AtomicU64::new(0);
        let waits: Result<Vec<_>, LoadError> = std::thread::scope(|scope| {
            let loading: Vec<_> = (0..load.connections)
                .map(|_| scope.spawn(|| ask_until(target.address, path, end, &next, request)))
                .collect();
            loading.into_iter().map(|loading| loading.join().expect("no thread panics")).collect()
        });
        let mut waits = waits?.concat();
        waits.sort_unstable();
        let elapsed = began.elapsed();
        tell(&Figures { kind, waits, elapsed, resident: target.resident() });
    }
    Ok(())
}

/// Sends one request after the other over one connection, and measures how long each waits.
fn ask_until(
    address: SocketAddr,
    path: &'static str,
    end: Instant,
    next: &AtomicU64,
    request: Compose<'_>,
) -> Result<Vec<u32>, LoadError> {
    let mut connection = Connection::open(address)?;
    let mut waits = Vec::new();
    while Instant::now() < end {
        let body = request(next.fetch_add(1, Ordering::Relaxed)).to_string();
        let sent = Instant::now();
        let (status, body) = connection.post(path, body.as_bytes())?;
        let wait = sent.elapsed();
        if !matches!(status, 200 | 201) {
            let body = String::from_utf8_lossy(&body).chars().take(200).collect();
            return Err(LoadError::Refused { path, status, body });
        }
        waits.push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }
    Ok(waits)
}

const CERTIFICATES: &str = "/api/v2/signingCert";

/// A signer with a certificate of the instance, as clients are.
struct Requester {
    key: KeyPair,
    /// The request for a certificate.
    certificate: Value,
    leaf_pem: String,
    leaf_der: Vec<u8>,
    /// Entries of one run differ from those of any other.
    run: u64,
}

impl Requester {
    fn new(target: &Instance, issuer: &Issuer) -> Result<Self, LoadError> {
        let failed = |error: &dyn fmt::Display| LoadError::Key(error.to_string());
        let workflow =
            GithubWorkflow::new("octo-org", "app", ".github/workflows/load.yml", "refs/heads/main");
        let token = issuer.mint(&workflow, AUDIENCE)?;
        let claims = workflow.claims(issuer.url(), AUDIENCE, now());
        let challenge = claims["sub"].as_str().unwrap_or_default();
        let key = KeyPair::generate(KeyKind::EcdsaP256).map_err(|error| failed(&error))?;
        let proof = key.sign_bytes(challenge.as_bytes()).map_err(|error| failed(&error))?;
        let certificate = json!({
            "credentials": {"oidcIdentityToken": token},
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": key.public_key().to_pem()},
                "proofOfPossession": STANDARD.encode(proof),
            },
        });
        let mut connection = Connection::open(target.address)?;
        let (status, body) = connection.post(CERTIFICATES, certificate.to_string().as_bytes())?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let leaf = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0].as_str();
        let leaf = leaf.and_then(|pem| crypto::pem::decode(pem.as_bytes()).ok());
        let Some((label, leaf_der)) = leaf else {
            let body = String::from_utf8_lossy(&body).chars().take(200).collect();
            return Err(LoadError::Refused { path: CERTIFICATES, status, body });
        };
        let leaf_pem = crypto::pem::encode(label, &leaf_der);
        let run = u64::from_be_bytes(crypto::random::bytes());
        Ok(Self { key, certificate, leaf_pem, leaf_der, run })
    }

    /// A digest that nobody else has, and a signature over it.
    fn sign(&self, number: u64) -> (Hash, Vec<u8>) {
        let content = format!("{:016x}{number:016x}", self.run);
        let hash = Hash::of(HashAlgorithm::Sha256, content.as_bytes());
        let signature = self.key.sign(Scheme::EcdsaP256Sha256, Message::Hashed(&hash));
        (hash, signature.expect("a P-256 key signs a SHA-256 hash"))
    }

    fn entry_v1(&self, number: u64) -> Value {
        let (hash, signature) = self.sign(number);
        json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(hash.as_bytes())}},
            "signature": {
                "content": STANDARD.encode(signature),
                "publicKey": {"content": STANDARD.encode(&self.leaf_pem)},
            },
        }})
    }

    fn entry_v2(&self, number: u64) -> Value {
        let (hash, signature) = self.sign(number);
        json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(hash.as_bytes()),
            "signature": {"content": STANDARD.encode(signature), "verifier": {
                "x509Certificate": {"rawBytes": STANDARD.encode(&self.leaf_der)},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            }},
        }})
    }
}

fn timestamp(number: u64) -> Value {
    let hash = crypto::sha256(&number.to_be_bytes());
    json!({"artifactHash": STANDARD.encode(hash), "hashAlgorithm": "sha256"})
}

/// One HTTP/1.1 connection, kept alive.
struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let open = || {
            let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            stream.set_write_timeout(Some(DEADLINE))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = open().map_err(io_error("connecting"))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), LoadError> {
        self.exchange(path, body).map_err(io_error("asking the instance"))
    }

    fn exchange(&mut self, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(malformed)?;
        let mut size = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                size = value.trim().parse().map_err(|_| malformed())?;
            }
        }
        if size > ANSWER_SIZE_MAX {
            return Err(malformed());
        }
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}

fn now() -> evidence::UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    evidence::UnixTime::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> LoadError {
    move |source| LoadError::Io { doing, source }
}
