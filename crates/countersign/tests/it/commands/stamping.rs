//! `--timestamp-client-…`: a timestamp authority that lets nobody in without a certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use crypto::KeyKind;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use testkit::Key;
use testkit::certificate::{CertificateDraft, ExtensionDraft, dns};
use testkit::instance::authority;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::world::{Said, World};

const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";

/// Validity that outlasts every run of this test: TLS is judged by the real clock.
const FOR_EVER: (i64, i64) = (0, 4_102_444_800);

struct TlsAuthority {
    key: Key,
    name: Vec<u8>,
    certificate: Vec<u8>,
}

impl TlsAuthority {
    fn named(name: &str) -> Self {
        let key = Key::named(name, KeyKind::EcdsaP256);
        let subject = testkit::der::name(name, "authority");
        let draft = authority(&subject, &key, &subject, &key, None, Some(0));
        let draft = CertificateDraft { not_before: FOR_EVER.0, not_after: FOR_EVER.1, ..draft };
        Self { certificate: draft.seal(), name: subject, key }
    }

    fn certify(&self, host: &str, usage: &str, key: &Key) -> Vec<u8> {
        let draft = authority(&testkit::der::empty_name(), key, &self.name, &self.key, None, None);
        let draft = CertificateDraft {
            not_before: FOR_EVER.0,
            not_after: FOR_EVER.1,
            extensions: vec![
                ExtensionDraft::key_usage(&[0]),
                ExtensionDraft::extended_key_usage(&[usage], false),
                ExtensionDraft::names(&[dns(host)]),
            ],
            ..draft
        };
        draft.seal()
    }
}

/// Stands before the instance's timestamp authority, and asks everybody who they are.
struct Door {
    port: u16,
    _runtime: Runtime,
}

impl Door {
    fn start(to: SocketAddr, host: &str, by: &TlsAuthority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(by.certificate.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = Key::named("door", KeyKind::EcdsaP256);
        let pkcs8 = key.pair().to_pkcs8_der().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from(by.certify(host, SERVER, &key))],
                PrivateKeyDer::try_from(pkcs8.to_vec()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut inside) = acceptor.accept(stream).await else { continue };
                let mut instance = TcpStream::connect(to).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut instance).await;
                });
            }
        });
        Self { port, _runtime: runtime }
    }
}

/// A world whose signing configuration leads to the door.
fn behind_a_door(host: &str) -> (World, Door) {
    let world = World::new();
    let by = TlsAuthority::named("stamps");
    let instance = world.url().strip_prefix("http://").unwrap().parse().unwrap();
    let door = Door::start(instance, host, &by);
    let config = world.read("data/public/trust_config.json");
    let mut config: Value = serde_json::from_str(&config).unwrap();
    let url = format!("https://localhost:{}/api/v1/timestamp", door.port);
    config["signingConfig"]["tsaUrls"][0]["url"] = url.into();
    world.write("config.json", config.to_string());
    let pem = |label: &str, der: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let key = Key::named("client", KeyKind::EcdsaP256);
    world.write("client.crt", pem("CERTIFICATE", &by.certify("client.example", CLIENT, &key)));
    world.write("client.key", pem("PRIVATE KEY", &key.pair().to_pkcs8_der().unwrap()));
    world.write("ca.crt", pem("CERTIFICATE", &by.certificate));
    let other = TlsAuthority::named("another").certificate;
    world.write("other.crt", pem("CERTIFICATE", &other));
    world.write("file", "what is signed");
    (world, door)
}

fn sign(world: &World, flags: &str) -> Said {
    let line = format!("sign-blob --trust-config config.json {flags} --bundle b.json file");
    let said = world.run_alone(&line);
    let verified = format!("verify-blob --bundle b.json {} file", world.by_release());
    if world.path("b.json").exists() {
        world.run(&verified).ends(0);
        std::fs::remove_file(world.path("b.json")).unwrap();
    }
    said
}

const PAIR: &str = "--timestamp-client-cert client.crt --timestamp-client-key client.key";

#[test]
fn a_timestamp_authority_may_ask_who_we_are() {
    let (world, _door) = behind_a_door("localhost");
    let whole = format!("{PAIR} --timestamp-client-cacert ca.crt");
    sign(&world, &whole).ends(0);
    sign(&world, "--timestamp-client-cacert ca.crt").ends(1).says(&["timestamp authority"]);
    sign(&world, PAIR).ends(1).says(&["timestamp authority"]);
    sign(&world, &format!("{PAIR} --timestamp-client-cacert other.crt")).ends(1);
    // What is for the timestamp authority is for nobody else: the other services are found as ever.
    for (flags, why) in [
        ("--timestamp-client-cert client.crt", "--timestamp-client-key"),
        ("--timestamp-client-key client.key", "--timestamp-client-cert"),
        ("--timestamp-client-cacert absent.crt", "absent.crt"),
        ("--timestamp-client-cacert client.key", "client.key"),
        ("--timestamp-client-cert client.crt --timestamp-client-key ca.crt", "ca.crt"),
    ] {
        sign(&world, flags).ends(2).says(&[why]);
    }
}

#[test]
fn a_timestamp_authority_may_have_another_name() {
    let (world, _door) = behind_a_door("stamps.example");
    let flags = format!("{PAIR} --timestamp-client-cacert ca.crt");
    sign(&world, &flags).ends(1);
    sign(&world, &format!("{flags} --timestamp-server-name stamps.example")).ends(0);
    sign(&world, &format!("{flags} --timestamp-server-name localhost")).ends(1);
}
