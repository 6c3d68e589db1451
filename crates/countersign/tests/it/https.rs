//! A certificate for loopback, and just enough of an HTTPS client to be an API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::KeyKind;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use testkit::certificate::{CertificateDraft, ExtensionDraft};
use testkit::{Key, der};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// 2000-01-01 and 2049-12-31: whatever this machine's clock says.
const VALID: (i64, i64) = (946_684_800, 2_524_521_600);

/// A self-signed certificate for 127.0.0.1, and its key, as files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    der: Vec<u8>,
}

impl Identity {
    pub(crate) fn write(directory: &Path) -> Self {
        let key = Key::named("webhook", KeyKind::EcdsaP256);
        let name = der::name("tests", "webhook");
        let address = der::context_primitive(7, &[127, 0, 0, 1]);
        let draft = CertificateDraft {
            serial: vec![1],
            issuer: name.clone(),
            subject: name,
            not_before: VALID.0,
            not_after: VALID.1,
            spki: key.spki(),
            extensions: vec![ExtensionDraft::names(&[address])],
            scts: Vec::new(),
            sct_list: None,
            signed_by: key.clone(),
            scheme: None,
            damaged: false,
        };
        let der = draft.seal();
        let base64 = testkit::json::base64(&der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        let (certificate, key_file) = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&certificate, pem).unwrap();
        std::fs::write(&key_file, key.pair().to_pem().unwrap().as_bytes()).unwrap();
        Self { certificate, key: key_file, der }
    }
}

/// Speaks to one server.
pub(crate) struct Client {
    connector: TlsConnector,
    address: SocketAddr,
}

/// Status and body.
pub(crate) type Reply = (u16, Vec<u8>);

impl Client {
    /// Trusts that identity only.
    pub(crate) fn new(url: &str, identity: &Identity) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(identity.der.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Self { connector, address: url.strip_prefix("https://").unwrap().parse().unwrap() }
    }

    /// Where it speaks to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request with these headers beside the length.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        let mut stream = self.connector.connect(name, stream).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: webhook\r\nconnection: close\r\n{headers}content-length: \
             {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses early may not read on.
        let _ = stream.write_all(body).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        let end = reply.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, reply[end + 4..].to_vec())
    }

    /// Asks a webhook as the API server does.
    pub(crate) async fn ask(&self, webhook: &str, review: &Value) -> Value {
        let body = serde_json::to_vec(review).unwrap();
        let path = format!("/{webhook}?timeout=10s");
        let headers = "content-type: application/json\r\n";
        let (status, body) = self.send("POST", &path, headers, &body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }
}
