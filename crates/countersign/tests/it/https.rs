//! A certificate for loopback, and just enough of an HTTPS client to be an API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::KeyKind;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use testkit::certificate::{CertificateDraft, ExtensionDraft};
use testkit::{Key, der};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
        Self::named(directory, "webhook", "tls")
    }

    /// The same for somebody, in files that begin so.
    pub(crate) fn named(directory: &Path, who: &str, files: &str) -> Self {
        let key = Key::named(who, KeyKind::EcdsaP256);
        let name = der::name("tests", who);
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
        let file = |end: &str| directory.join(format!("{files}.{end}"));
        let (certificate, key_file) = (file("crt"), file("key"));
        std::fs::write(&certificate, pem).unwrap();
        let private = key.pair().to_pem().unwrap();
        std::fs::write(&key_file, private.as_bytes()).unwrap();
        Self { certificate, key: key_file, der }
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key).unwrap()
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
        Self::showing(None, url, identity)
    }

    /// The same, who shows a certificate of his own.
    pub(crate) fn showing(own: Option<&Identity>, url: &str, identity: &Identity) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(identity.der.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from(own.der.clone())];
                config.with_client_auth_cert(chain, own.private()).unwrap()
            }
        };
        let connector = TlsConnector::from(Arc::new(config));
        Self { connector, address: url.strip_prefix("https://").unwrap().parse().unwrap() }
    }

    /// Where it speaks to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection, ready to be spoken over. With TLS 1.3 a client learns only when he reads that his
    /// certificate was not taken.
    pub(crate) async fn open(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::from(self.address.ip());
        self.connector.connect(name, stream).await
    }

    /// Sends a request with these headers beside the length.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let reply = self.try_send(method, path, headers, body).await;
        reply.expect("an answer with a head")
    }

    /// The same, which may be cut off.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Option<Reply> {
        let mut stream = self.open().await.ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: webhook\r\nconnection: close\r\n{headers}content-length: \
             {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        // A server that refuses early may not read on.
        let _ = stream.write_all(body).await;
        let _ = stream.flush().await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, reply[end + 4..].to_vec()))
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
