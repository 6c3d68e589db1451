//! Connections that are made in another way: other authorities, other names, proof of who we are,
//! proxies, and hosts without TLS. Each is for the host it was said of.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use client::{
    ClientCertificate, Environment, FetchError, FetchErrorKind, HostSecurity, HostTransport, Http,
    HttpOptions, Keychain, Proxies, ReadTlsError, Registry, TlsTrust,
};
use crypto::KeyKind;
use testkit::Key;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::internet::Internet;
use crate::server::{Reply, Server};
use crate::tls::Authority;
use crate::{OCI_MANIFEST, ample, assert_kind, manifest, options};

fn pem(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap()
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Fetches a manifest of that image.
async fn fetch(options: HttpOptions, image: &str) -> Result<(), FetchError> {
    let registry = Registry::new(Arc::new(Http::new(options).unwrap()), Keychain::default());
    let digest = manifest("app").1;
    registry.fetch_manifest(&image.parse().unwrap(), &digest, ample()).await.map(|_| ())
}

fn served() -> Reply {
    Reply::ok(OCI_MANIFEST, manifest("app").0)
}

#[test]
fn authorities_are_read_from_a_file_or_it_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let one = Authority::named("one").certificate;
    let two = Authority::named("two").certificate;
    let text = format!("# ours\n{}\n{}", pem("CERTIFICATE", &one), pem("CERTIFICATE", &two));
    let path = write(&directory, "good.pem", &text);
    let both = vec![one.clone(), two];
    assert_eq!(TlsTrust::read(&path, false).unwrap(), TlsTrust::Only(both.clone()));
    assert_eq!(TlsTrust::read(&path, true).unwrap(), TlsTrust::SystemAnd(both));
    let key = pem("PRIVATE KEY", b"x");
    let broken = pem("CERTIFICATE", b"no certificate");
    let unfinished = pem("CERTIFICATE", &one).replace("-----END", "");
    for bad in ["", "hello", &key, &broken, &unfinished] {
        let error = TlsTrust::read(&write(&directory, "bad.pem", bad), true).unwrap_err();
        assert!(matches!(error, ReadTlsError::Certificates { .. }), "{bad}: {error:?}");
    }
    let missing = TlsTrust::read(&directory.path().join("missing.pem"), true);
    assert!(matches!(missing, Err(ReadTlsError::Io { .. })));
    let long = write(&directory, "long.pem", &"#".repeat(5 * 1024 * 1024));
    assert!(matches!(TlsTrust::read(&long, true), Err(ReadTlsError::TooLong { .. })));
}

/// A certificate for clients, by that authority, in two files.
fn client_files(directory: &tempfile::TempDir, authority: &Authority) -> (PathBuf, PathBuf) {
    let key = Key::named("client", KeyKind::EcdsaP256);
    let certificate = authority.certify(&["client.example"], "1.3.6.1.5.5.7.3.2", &key);
    let key = key.pair().to_pkcs8_der().unwrap();
    let certificate = write(directory, "client.pem", &pem("CERTIFICATE", &certificate));
    (certificate, write(directory, "client.key", &pem("PRIVATE KEY", &key)))
}

/// A server that asks for a client's certificate, and lets nobody in without one; it answers
/// whether it was shown one.
async fn asking(
    authority: &Authority,
    hosts: &[&str],
    required: bool,
) -> (u16, Arc<Mutex<Vec<bool>>>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.certificate.clone())).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
    let (certificate, key) = authority.server(hosts);
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            shown.lock().unwrap().push(stream.get_ref().1.peer_certificates().is_some());
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let (bytes, _) = manifest("app");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {OCI_MANIFEST}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(&[head.into_bytes(), bytes].concat()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, seen)
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_host_only() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::named("ours");
    let (certificate, key) = client_files(&directory, &ours);
    let client_certificate = Some(ClientCertificate::read(&certificate, &key).unwrap());
    for server_name in [None, Some("a.example".to_owned())] {
        let (port, shown) = asking(&ours, &["a.example", "b.example"], false).await;
        let transport = HostTransport {
            client_certificate: client_certificate.clone(),
            server_name,
            ..HostTransport::default()
        };
        let address = ([127, 0, 0, 1], port).into();
        let options = HttpOptions {
            tls_trust: TlsTrust::Only(vec![ours.certificate.clone()]),
            dial: ["a.example", "b.example"].map(|host| (host.to_owned(), address)).into(),
            ..options()
        };
        let options = options.with_host("a.example".parse().unwrap(), transport);
        fetch(options.clone(), "a.example/app").await.unwrap();
        fetch(options, "b.example/app").await.unwrap();
        assert_eq!(*shown.lock().unwrap(), [true, false]);
    }
}

#[tokio::test]
async fn without_the_certificate_there_is_no_connection() {
    let ours = Authority::named("ours");
    let (port, shown) = asking(&ours, &["localhost"], true).await;
    let tls_trust = TlsTrust::Only(vec![ours.certificate.clone()]);
    let options = HttpOptions {
        tls_trust,
        dial: [("a.example".to_owned(), ([127, 0, 0, 1], port).into())].into(),
        ..options()
    };
    fetch(options, "a.example/app").await.unwrap_err();
    assert_eq!(*shown.lock().unwrap(), [false; 0]);
}

#[test]
fn a_client_certificate_is_read_with_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = client_files(&directory, &Authority::named("ours"));
    let read = ClientCertificate::read(&certificate, &key).unwrap();
    assert_eq!(format!("{read:?}"), "ClientCertificate(1 certificates, key withheld)");
    let other = Key::named("other", KeyKind::EcdsaP256).pair().to_pkcs8_der().unwrap();
    let other = write(&directory, "other.key", &pem("PRIVATE KEY", &other));
    let none = write(&directory, "none.key", "hello");
    for (bad, wanted) in [(&other, "another one"), (&none, "none"), (&certificate, "none")] {
        let error = ClientCertificate::read(&certificate, bad).unwrap_err();
        assert!(matches!(&error, ReadTlsError::Key { found, .. } if *found == wanted), "{error:?}");
    }
    assert!(ClientCertificate::read(&none, &key).is_err());
    assert!(ClientCertificate::read(&directory.path().join("missing"), &key).is_err());
}

#[tokio::test]
async fn a_certificate_may_have_another_name_if_that_is_said() {
    let internet = Internet::of(&["inner.example"], |_, _| served()).await;
    let named = |name: &str| {
        let transport =
            HostTransport { server_name: Some(name.to_owned()), ..HostTransport::default() };
        let mut options = internet.options().with_host("a.example".parse().unwrap(), transport);
        let address = options.dial["inner.example"];
        options.dial.extend(["a.example", "b.example"].map(|host| (host.to_owned(), address)));
        options
    };
    fetch(named("inner.example"), "a.example/app").await.unwrap();
    for (name, image) in [("a.example", "a.example/app"), ("inner.example", "b.example/app")] {
        let error = fetch(named(name), image).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Tls(_));
    }
    let bad = HostTransport { server_name: Some("no name".to_owned()), ..HostTransport::default() };
    Http::new(options().with_host("a.example".parse().unwrap(), bad)).unwrap_err();
}

#[tokio::test]
async fn plain_http_has_to_be_allowed() {
    let server = Server::start(|_| served()).await;
    let host = format!("plain.example:{}", server.address.port());
    let image = format!("{host}/app");
    let with = |security| {
        let transport = HostTransport { security, ..HostTransport::default() };
        let dial = [("plain.example".to_owned(), server.address)].into();
        HttpOptions { dial, ..options() }.with_host(host.parse().unwrap(), transport)
    };
    for security in [HostSecurity::HttpAllowed, HostSecurity::Anything] {
        fetch(with(security), &image).await.unwrap();
    }
    let before = server.requests().iter().filter(|request| request.method == "GET").count();
    assert_eq!(before, 2);
    for security in [HostSecurity::Verified, HostSecurity::CertificateUnchecked] {
        let error = fetch(with(security), &image).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Tls(_) | FetchErrorKind::Unreachable(_));
    }
}

/// Who speaks HTTPS is not spoken to in plain HTTP, although that is allowed.
#[tokio::test]
async fn plain_http_is_the_last_resort() {
    let internet = Internet::of(&["a.example"], |_, _| served()).await;
    let transport = HostTransport { security: HostSecurity::HttpAllowed, ..Default::default() };
    let options = internet.options().with_host("a.example".parse().unwrap(), transport);
    fetch(options, "a.example/app").await.unwrap();
    assert_eq!(internet.lines()[0], "a.example GET /v2/");
    assert_eq!(internet.requests().len(), 2);
}

/// A proxy that connects everybody to one address, and keeps what it was asked.
async fn proxy(to: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.lock().unwrap().push(head);
                let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
                let mut other = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
            });
        }
    });
    (port, heads)
}

#[tokio::test]
async fn a_proxy_carries_what_it_cannot_read() {
    let internet = Internet::of(&["a.example", "b.example"], |_, _| served()).await;
    let (port, heads) = proxy(internet.port()).await;
    let variables = [
        ("HTTPS_PROXY", format!("http://ali:sesame@127.0.0.1:{port}")),
        ("NO_PROXY", "b.example".to_owned()),
    ];
    let proxies = Proxies::from_environment(&Environment::new(variables)).unwrap();
    let options = HttpOptions { proxies, ..internet.options() };
    fetch(options.clone(), "a.example/app").await.unwrap();
    fetch(options.clone(), "b.example/app").await.unwrap();
    // Loopback is never anybody else's business.
    let near = Server::start(|_| served()).await;
    fetch(options, &format!("{}/app", near.host())).await.unwrap();
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1);
    let head = heads[0].to_ascii_lowercase();
    assert!(head.starts_with("connect a.example:443 "), "{head}");
    assert!(head.contains("proxy-authorization: basic ywxponnlc2ftzq=="), "{head}");
    assert!(!head.contains("\r\nauthorization:") && !head.contains("manifests"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_passed_by() {
    let internet = Internet::of(&["a.example"], |_, _| served()).await;
    let variables = [("HTTPS_PROXY", "http://127.0.0.1:1".to_owned())];
    let proxies = Proxies::from_environment(&Environment::new(variables)).unwrap();
    let error = fetch(HttpOptions { proxies, ..internet.options() }, "a.example/app").await;
    assert_kind!(error.unwrap_err(), FetchErrorKind::Unreachable(_));
    assert!(internet.requests().is_empty());
}
