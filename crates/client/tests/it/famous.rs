//! The registries of the field, each under its true name and answering as its documentation says: who
//! gets what, and that nobody else does.

mod amazon;
mod azure;
mod confined;
mod google;
mod hubs;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::credentials::Basic;
use client::credentials::cloud::{CloudKind, Clouds};
use client::{Credential, Environment, FetchError, Http, Keychain, Registry, Secret};
use evidence::{ImageRef, UnixTime};

use crate::internet::Internet;
use crate::server::{Received, Reply};
use crate::{OCI_MANIFEST, ample, manifest};

const NOW: i64 = 1_700_000_000;

fn basic(user: &str, password: &str) -> Credential {
    let password = Secret::new(password.to_owned());
    Credential::Basic(Basic { user: user.to_owned(), password })
}

/// What `user:password` is in a header.
fn shown(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn authorized(request: &Received, wanted: &str) -> bool {
    request.header("authorization") == Some(wanted)
}

fn json(body: impl Into<Vec<u8>>) -> Reply {
    Reply::ok("application/json", body)
}

fn form(request: &Received) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

/// Fetches a manifest by its digest, as whoever the keychain says.
async fn fetch(internet: &Internet, image: &str, keychain: Keychain) -> Result<(), FetchError> {
    fetch_by(internet.http(), image, keychain).await
}

async fn fetch_by(http: Arc<Http>, image: &str, keychain: Keychain) -> Result<(), FetchError> {
    let image: ImageRef = image.parse().unwrap();
    let digest = manifest("app").1;
    Registry::new(http, keychain).fetch_manifest(&image, &digest, ample()).await.map(|_| ())
}

fn given(host: &str, credential: Credential) -> Keychain {
    Keychain::default().with_credential(host.parse().unwrap(), credential)
}

/// A cloud's keychain, in an environment of these variables.
fn cloud(kind: CloudKind, variables: &[(&str, &str)]) -> Keychain {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let clock: client::credentials::cloud::Clock = Arc::new(|| UnixTime::from_seconds(NOW));
    Keychain::default().with_clouds(Clouds::new([kind], Environment::new(variables), clock))
}

/// A registry that wants a token from `realm` for `service`, and knows the token `T`.
fn registry(request: &Received, realm: &str, service: &str) -> Reply {
    if authorized(request, "Bearer T") {
        return Reply::ok(OCI_MANIFEST, manifest("app").0);
    }
    let repository = request.path().split("/manifests/").next().unwrap().trim_start_matches("/v2/");
    let challenge = format!(
        r#"Bearer realm="{realm}",service="{service}",scope="repository:{repository}:pull""#
    );
    Reply::status(401).with("WWW-Authenticate", challenge)
}
