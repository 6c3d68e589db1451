//! The registry that most others are made of (`docker-registry`, CNCF distribution), run here with
//! a password and with tokens. Where it is not installed the tests say so and do nothing,
//! unless it was promised to be there.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use client::credentials::Basic;
use client::error::{FetchErrorKind, Unauthorized};
use client::registry::{BundleContent, Deleted, NewReferrer, Pushed, ReferrersSource};
use client::{Credential, Keychain, Registry, RegistryOptions, Secret};
use crypto::{KeyKind, Scheme};
use evidence::{Digest, ImageRef, UnixTime};
use serde_json::json;
use testkit::Key;
use testkit::tools::skip_without;

use crate::server::{Reply, Server};
use crate::tls::Authority;
use crate::{OCI_MANIFEST, ample, assert_kind, http};

/// The repository that nobody may push to.
const READ_ONLY: &str = "acme/read-only";

/// Ends with the test that started it.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
    directory: tempfile::TempDir,
}

impl Running {
    /// Where it keeps a repository.
    fn repository(&self, name: &str) -> PathBuf {
        self.directory.path().join("data/docker/registry/v2/repositories").join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a registry with these lines about authentication; `None` where there is none.
pub(crate) fn start(directory: tempfile::TempDir, auth: &str) -> Option<Running> {
    let root = directory.path().join("data");
    let config = format!(
        "version: 0.1\nlog: {{level: info, formatter: text}}\nhttp: {{addr: 127.0.0.1:0}}\n\
        storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n{auth}",
        root.display()
    );
    let path = directory.path().join("config.yml");
    std::fs::write(&path, config).unwrap();
    let spawned = Command::new("docker-registry")
        .arg("serve")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        skip_without("docker-registry");
        return None;
    };
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut running = Running { child, address: String::new(), directory };
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, address)) = line.split_once("listening on ") {
            let end = |c: char| !(c.is_ascii_digit() || c == '.' || c == ':');
            running.address = address.split(end).next().unwrap().to_owned();
            // Whatever else it has to say is read and dropped, so that it never waits for us.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return Some(running);
        }
        line.clear();
    }
    panic!("docker-registry ended before it listened");
}

fn keychain(running: &Running, password: &str) -> Keychain {
    let password = Secret::new(password.to_owned());
    let basic = Credential::Basic(Basic { user: "ali".to_owned(), password });
    Keychain::default().with_credential(running.address.parse().unwrap(), basic)
}

/// Everything that is asked of a registry, once.
async fn live(running: &Running, registry: &Registry) {
    let image = |rest: &str| -> ImageRef { format!("{}/{rest}", running.address).parse().unwrap() };
    let app = image("acme/app:v1");
    let content = Bytes::from_static(b"content");
    let config = registry.push_blob(&app, Bytes::from_static(b"{}"), ample()).await.unwrap();
    let layer = registry.push_blob(&app, content.clone(), ample()).await.unwrap();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.to_string(), "size": content.len()}]});
    let bytes = serde_json::to_vec(&manifest).unwrap();
    registry.push_tag(&app, "v1", OCI_MANIFEST, bytes.clone(), ample()).await.unwrap();
    let found = registry.resolve(&app, ample()).await.unwrap();
    assert_eq!(found.bytes, bytes);
    assert_eq!(registry.fetch_blob(&app, &layer, 100, ample()).await.unwrap(), content);

    let predicate_type = "https://sigstore.dev/cosign/sign/v1".to_owned();
    let kind = BundleContent::DsseEnvelope { predicate_type };
    let bundle = NewReferrer::bundle(Bytes::from_static(b"{}"), kind, UnixTime::from_seconds(0));
    let attached = registry.attach(&app, &found.descriptor(), &bundle, ample()).await.unwrap();
    assert_eq!(attached.source, ReferrersSource::FallbackTag, "it has no referrers API");
    let referrers = registry.referrers(&app, &found.digest, ample()).await.unwrap();
    let digests: Vec<_> = referrers.descriptors.iter().map(|one| one.digest).collect();
    assert_eq!(digests, [attached.manifest]);
    let fallback = format!("sha256-{}", found.digest.hex());
    let mut tags = registry.list_tags(&app, ample()).await.unwrap();
    tags.tags.sort();
    assert_eq!(tags.tags, [fallback, "v1".to_owned()]);
    assert!(tags.shortfall.is_none());

    let sister = image("acme/sister");
    let pushed =
        registry.push_blob_from(&sister, Some(&app), &layer, content.clone(), ample()).await;
    assert_eq!(pushed.unwrap(), Pushed::Mounted);
    let pushed = registry.push_blob_from(&sister, Some(&app), &layer, content, ample()).await;
    assert_eq!(pushed.unwrap(), Pushed::There);

    assert_eq!(registry.delete_tag(&app, "v1", ample()).await.unwrap(), Deleted::Gone);
    assert_eq!(
        registry.delete_manifest(&app, &found.digest, ample()).await.unwrap(),
        Deleted::Absent,
        "this registry deletes digests only, so the tag took the manifest along"
    );
    let gone = registry.resolve(&app, ample()).await.unwrap_err();
    assert_kind!(gone, FetchErrorKind::NotFound { .. });
    registry.check_login(&running.address.parse().unwrap(), ample()).await.unwrap();
}

/// Whether one may push is found out without leaving an upload there that could be gone on with. This
/// registry leaves a directory behind of each that is given up, whoever does.
async fn may_push(running: &Running, registry: &Registry) {
    let image: ImageRef = format!("{}/acme/app", running.address).parse().unwrap();
    registry.check_push(&image, ample()).await.unwrap();
    let uploads = running.repository("acme/app").join("_uploads");
    let begun: Vec<_> = std::fs::read_dir(uploads).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(begun.len(), 1);
    assert!(!begun[0].join("data").exists(), "{}", begun[0].display());
}

async fn refuses(running: &Running, with: impl Fn(Keychain) -> Registry) {
    let image: ImageRef = format!("{}/acme/app:v1", running.address).parse().unwrap();
    let error = with(Keychain::default()).resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    let wrong = with(keychain(running, "wrong"));
    let error = wrong.resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    let host = running.address.parse().unwrap();
    wrong.check_login(&host, ample()).await.unwrap_err();
}

/// `ali:open sesame`, as `htpasswd -Bbn` writes it.
fn htpasswd(directory: &Path) -> Option<()> {
    let made = Command::new("htpasswd").args(["-Bbn", "ali", "open sesame"]).output();
    let Ok(made) = made else {
        skip_without("htpasswd");
        return None;
    };
    std::fs::write(directory.join("htpasswd"), made.stdout).unwrap();
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_with_a_password() {
    let directory = tempfile::tempdir().unwrap();
    if htpasswd(directory.path()).is_none() {
        return;
    }
    let auth = format!(
        "auth:\n  htpasswd: {{realm: here, path: {}}}\n",
        directory.path().join("htpasswd").display()
    );
    let Some(running) = start(directory, &auth) else { return };
    let with = |keychain| Registry::new(http(), keychain);
    refuses(&running, with).await;
    let registry = with(keychain(&running, "open sesame"));
    may_push(&running, &registry).await;
    live(&running, &registry).await;
}

/// A token service that gives whatever is asked for to whoever shows the password, as JSON Web
/// Tokens that the registry verifies ("Token Authentication Implementation").
async fn token_service(authority: &Authority) -> Server {
    let key = Key::named("tokens", KeyKind::Rsa { bits: 2048 });
    let certificate = authority.certify(&["tokens.example"], "1.3.6.1.5.5.7.3.1", &key);
    let encode = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header =
        encode(json!({"typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(certificate)]}));
    Server::start(move |request| {
        if request.header("authorization") != Some(crate::AUTHORIZATION) {
            return Reply::status(401).with("WWW-Authenticate", "Basic realm=tokens");
        }
        let url: reqwest::Url = format!("http://x{}", request.target).parse().unwrap();
        let access: Vec<_> = url
            .query_pairs()
            .filter(|(name, _)| name == "scope")
            .map(|(_, scope)| {
                let parts: Vec<&str> = scope.split(':').collect();
                let [kind, name, actions] = parts[..] else { panic!("{scope}") };
                // There everybody may read and nobody write.
                let may = |action: &&str| name != READ_ONLY || *action == "pull";
                let actions: Vec<_> = actions.split(',').filter(may).collect();
                json!({"type": kind, "name": name, "actions": actions})
            })
            .collect();
        let claims = json!({"iss": "tokens.example", "sub": "ali", "aud": "registry.example",
            "nbf": 0, "iat": 0, "exp": 4_102_444_800_i64, "jti": "1", "access": access});
        let signed = format!("{header}.{}", encode(claims));
        let signature = key.sign_with(Scheme::RsaPkcs1Sha256, signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        Reply::ok("application/json", json!({"token": token, "expires_in": 300}).to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_with_tokens() {
    let authority = Authority::named("tokens");
    let service = token_service(&authority).await;
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("roots.pem");
    let pem = pem_rfc7468::encode_string(
        "CERTIFICATE",
        pem_rfc7468::LineEnding::LF,
        &authority.certificate,
    );
    std::fs::write(&bundle, pem.unwrap()).unwrap();
    let auth = format!(
        "auth:\n  token:\n    realm: {}\n    service: registry.example\n    issuer: tokens.example\n    \
        rootcertbundle: {}\n",
        service.url("/token"),
        bundle.display()
    );
    let Some(running) = start(directory, &auth) else { return };
    // The token service is on another port, so somebody has to say that it may be asked.
    let rule = format!("{}={}", running.address, service.url(""));
    let with = |keychain| {
        let token_realms = vec![rule.parse().unwrap()];
        let options = RegistryOptions { token_realms, ..RegistryOptions::default() };
        Registry::with_options(http(), keychain, options)
    };
    refuses(&running, with).await;
    let unsaid = Registry::new(http(), keychain(&running, "open sesame"));
    let image: ImageRef = format!("{}/acme/app", running.address).parse().unwrap();
    let error = unsaid.fetch_blob(&image, &Digest::sha256(b"x"), 9, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::RealmRefused { .. }));
    let registry = with(keychain(&running, "open sesame"));
    // To give an upload up one would need the right to delete, which is not asked for.
    let app: ImageRef = format!("{}/acme/app", running.address).parse().unwrap();
    registry.check_push(&app, ample()).await.unwrap();
    live(&running, &registry).await;
    // A token service gives a token all the same, and the registry says no.
    let image: ImageRef = format!("{}/{READ_ONLY}", running.address).parse().unwrap();
    let error = registry.check_push(&image, ample()).await.unwrap_err();
    let said = format!("the user `ali` may not push to {}/{READ_ONLY}", running.address);
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().contains("the right to push"), "{error:?}");
}
