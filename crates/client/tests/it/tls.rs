//! HTTPS means a certificate by an authority that we know for the host that we mean, all the way.

use std::sync::Arc;

use client::documents::{FetchDocumentError, fetch_document};
use client::error::Away;
use client::{FetchError, FetchErrorKind, Http, HttpOptions, TlsTrust};
use crypto::KeyKind;
use testkit::Key;
use testkit::certificate::{CertificateDraft, ExtensionDraft, dns};
use testkit::instance::authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::server::Server;
use crate::{ample, assert_kind, options};

const SERVER_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.1";

/// Validity that outlasts every run of this test: TLS is judged by the real clock.
const FOR_EVER: (i64, i64) = (0, 4_102_444_800);

pub(crate) struct Authority {
    key: Key,
    name: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let key = Key::named(name, KeyKind::EcdsaP256);
        let subject = testkit::der::name(name, "authority");
        let draft = authority(&subject, &key, &subject, &key, None, Some(0));
        let draft = CertificateDraft { not_before: FOR_EVER.0, not_after: FOR_EVER.1, ..draft };
        Self { certificate: draft.seal(), name: subject, key }
    }

    pub(crate) fn certify(&self, hosts: &[&str], usage: &str, key: &Key) -> Vec<u8> {
        let draft = authority(&testkit::der::empty_name(), key, &self.name, &self.key, None, None);
        let draft = CertificateDraft {
            not_before: FOR_EVER.0,
            not_after: FOR_EVER.1,
            extensions: vec![
                ExtensionDraft::key_usage(&[0]),
                ExtensionDraft::extended_key_usage(&[usage], false),
                ExtensionDraft::names(&hosts.iter().map(|host| dns(host)).collect::<Vec<_>>()),
            ],
            ..draft
        };
        draft.seal()
    }

    /// A server's certificate for these hosts, with its key.
    pub(crate) fn server(
        &self,
        hosts: &[&str],
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = Key::named("server", KeyKind::EcdsaP256);
        let certificate = self.certify(hosts, SERVER_AUTHENTICATION, &key);
        let pkcs8 = key.pair().to_pkcs8_der().unwrap();
        (CertificateDer::from(certificate), PrivateKeyDer::try_from(pkcs8.to_vec()).unwrap())
    }

    /// What a server with that certificate accepts connections with.
    pub(crate) fn acceptor(&self, hosts: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.server(hosts);
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

struct TlsServer {
    port: u16,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// Answers every request with these bytes, with a certificate for that host.
    async fn start(authority: &Authority, host: &str, reply: String) -> Self {
        let acceptor = authority.acceptor(&[host]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, task }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn fetch(tls_trust: TlsTrust, url: &str) -> Result<Vec<u8>, FetchError> {
    let http = Http::new(HttpOptions { tls_trust, ..options() }).unwrap();
    match fetch_document(&http, &url.parse().unwrap(), 100, ample()).await {
        Ok(document) => Ok(document),
        Err(FetchDocumentError::Fetch(error)) => Err(error),
        Err(error) => panic!("{error:?}"),
    }
}

const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

#[tokio::test]
async fn a_known_authority_vouches_for_the_host() {
    let ours = Authority::named("ours");
    let server = TlsServer::start(&ours, "localhost", REPLY.to_owned()).await;
    let url = format!("https://localhost:{}/x", server.port);
    for tls_trust in [
        TlsTrust::Only(vec![ours.certificate.clone()]),
        TlsTrust::SystemAnd(vec![ours.certificate.clone()]),
    ] {
        assert_eq!(fetch(tls_trust, &url).await.unwrap(), b"{}");
    }
}

#[tokio::test]
async fn anything_else_is_not_secure() {
    let (ours, theirs) = (Authority::named("ours"), Authority::named("theirs"));
    let server = TlsServer::start(&ours, "localhost", REPLY.to_owned()).await;
    let elsewhere = TlsServer::start(&ours, "registry.example", REPLY.to_owned()).await;
    let only = |authority: &Authority| TlsTrust::Only(vec![authority.certificate.clone()]);
    let url = |port: u16| format!("https://localhost:{port}/x");
    let unknown = fetch(only(&theirs), &url(server.port)).await;
    let system = fetch(TlsTrust::System, &url(server.port)).await;
    let wrong_host = fetch(only(&ours), &url(elsewhere.port)).await;
    let wrong_name = fetch(only(&ours), &format!("https://127.0.0.1:{}/x", server.port)).await;
    for outcome in [unknown, system, wrong_host, wrong_name] {
        let error = outcome.unwrap_err();
        assert_kind!(error, FetchErrorKind::Tls(_));
        assert_eq!(error.attempt().tries, 1, "a certificate does not change by asking again");
        assert!(error.hint().unwrap().contains("certificate"));
    }
}

#[tokio::test]
async fn plain_http_is_not_https() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    // As a server of plain HTTP does when it is greeted in TLS.
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (fetched, _stream) = tokio::join!(fetch(TlsTrust::System, &url), answer);
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::Tls(_));
}

/// Loopback may speak plain HTTP, but nobody gets there from HTTPS.
#[tokio::test]
async fn https_is_not_left_for_http() {
    let plain = Server::stranger().await;
    let ours = Authority::named("ours");
    let reply = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        plain.url("/")
    );
    let server = TlsServer::start(&ours, "localhost", reply).await;
    let url = format!("https://localhost:{}/x", server.port);
    let error = fetch(TlsTrust::Only(vec![ours.certificate]), &url).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::PlainHttp, .. });
    assert_eq!(plain.lines(), [""; 0]);
}

#[test]
fn an_authority_that_is_no_certificate_is_refused() {
    let tls_trust = TlsTrust::Only(vec![b"no certificate".to_vec()]);
    Http::new(HttpOptions { tls_trust, ..options() }).unwrap_err();
}
