//! What the client asks of the outside, whom it trusts with what, and what it makes of the answers.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attach;
mod authority;
mod blobs;
mod cosign;
mod credentials;
mod discover;
mod documents;
mod egress;
mod famous;
mod hostile;
mod http;
mod index_content;
mod internet;
mod kubernetes;
mod layout;
mod log;
mod log_search;
mod login;
mod logins;
mod mirror;
mod obstacle;
mod oidc;
mod own_certificate;
mod plausible;
mod probe;
mod push_right;
mod real;
mod referrers;
mod registry;
mod script;
mod server;
mod sign;
mod spiffe;
mod timestamp;
mod tls;
mod tokens;
mod transport;
mod trust_config;
mod tuf;

use std::sync::Arc;
use std::time::Duration;

use client::{Deadline, DockerConfig, Http, HttpOptions, Registry, Secret};
use evidence::{Digest, ImageRef};
use server::Server;

/// Long enough for any answer that comes, and never waited for.
const AMPLE: Duration = Duration::from_secs(20);

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn ample() -> Deadline {
    Deadline::after(AMPLE)
}

/// As in production, but without pauses.
fn options() -> HttpOptions {
    HttpOptions { first_pause: Duration::ZERO, ..HttpOptions::new("countersign-test") }
}

fn http() -> Arc<Http> {
    Arc::new(Http::new(options()).unwrap())
}

/// A client without logins.
fn anonymous() -> Registry {
    Registry::new(http(), DockerConfig::default())
}

/// A client with a login for that server and no other.
fn logged_in(server: &Server) -> Registry {
    let password = Secret::new("open sesame".to_owned());
    let basic = client::credentials::Basic { user: "ali".to_owned(), password };
    Registry::new(http(), DockerConfig::with_login(server.host().parse().unwrap(), basic))
}

/// What a login of [`logged_in`] looks like on the wire: base64 of `ali:open sesame`.
const AUTHORIZATION: &str = "Basic YWxpOm9wZW4gc2VzYW1l";

fn image(server: &Server, rest: &str) -> ImageRef {
    format!("{}/{rest}", server.host()).parse().unwrap()
}

/// An image manifest with the given name in it, and its digest.
fn manifest(name: &str) -> (Vec<u8>, Digest) {
    let layer = Digest::sha256(name.as_bytes());
    let json = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::sha256(b"{}").to_string(), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.to_string(), "size": name.len()}],
    });
    let bytes = serde_json::to_vec(&json).unwrap();
    let digest = Digest::sha256(&bytes);
    (bytes, digest)
}

/// Asserts the kind of a [`client::FetchError`].
macro_rules! assert_kind {
    ($error:expr, $kind:pat $(if $guard:expr)?) => {{
        let error: &client::FetchError = &$error;
        match error.kind() {
            $kind $(if $guard)? => {}
            _ => panic!("wanted {}, found {error:?}", stringify!($kind)),
        }
    }};
}
pub(crate) use assert_kind;
