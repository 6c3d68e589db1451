//! TLS for servers: one certificate, TLS 1.2 and 1.3, forward secrecy and authenticated encryption
//! only (`rustls` has nothing weaker).

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Security;
use crate::exit::Failure;
use crate::machine;

/// Longest certificate or key file read, in bytes: a chain of a few certificates takes 10,000.
const FILE_SIZE_MAX: usize = 256 * 1024;

/// Certificate and key, ready to answer handshakes.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Security for Tls {
    type Stream = TlsStream<TcpStream>;

    fn secure(
        &self,
        stream: TcpStream,
    ) -> Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>> {
        Box::pin(self.0.accept(stream))
    }
}

/// Reads certificate chain and key, and makes them ready to answer handshakes.
pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Tls, Failure> {
    let chain = machine::read(certificate, "TLS certificate", FILE_SIZE_MAX)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().map_err(|error| {
            Failure::usage(format!("cannot use the TLS certificate {}", certificate.display()))
                .caused_by(error)
        })?;
    if chain.is_empty() {
        let message = format!("no certificate (PEM) in {}", certificate.display());
        return Err(Failure::usage(message));
    }
    let unusable =
        |what: &str| Failure::usage(format!("cannot use the TLS key {}{what}", key.display()));
    let pem = machine::read(key, "TLS key", FILE_SIZE_MAX)?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unusable("").caused_by(error).hint("a PEM file without a passphrase"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| unusable(" with this certificate").caused_by(error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls(TlsAcceptor::from(Arc::new(config))))
}
