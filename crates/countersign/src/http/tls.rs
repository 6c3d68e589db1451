//! TLS for servers: one certificate, TLS 1.2 and 1.3, forward secrecy and authenticated encryption
//! only (`rustls` has nothing weaker). Where clients must have certificates, who has none does not
//! get past the handshake.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
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

/// Reads certificate chain and key, and makes them ready to answer handshakes: with everybody, or
/// with who has a certificate by one of the authorities in `client_authorities`.
pub(crate) fn load(
    certificate: &Path,
    key: &Path,
    client_authorities: Option<&Path>,
) -> Result<Tls, Failure> {
    let chain = certificates(certificate, "TLS certificate")?;
    let unusable =
        |what: &str| Failure::usage(format!("cannot use the TLS key {}{what}", key.display()));
    let pem = machine::read(key, "TLS key", FILE_SIZE_MAX)?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unusable("").caused_by(error).hint("a PEM file without a passphrase"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(" with this certificate").caused_by(error))?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable =
                || Failure::usage(format!("cannot use the client authorities {}", path.display()));
            let mut roots = RootCertStore::empty();
            for authority in certificates(path, "certificate of clients' authorities")? {
                roots.add(authority).map_err(|error| unusable().caused_by(error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable().caused_by(error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| unusable(" with this certificate").caused_by(error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls(TlsAcceptor::from(Arc::new(config))))
}

/// The certificates in a PEM file; at least one.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = machine::read(path, what, FILE_SIZE_MAX)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| {
            Failure::usage(format!("cannot use the {what} {}", path.display())).caused_by(error)
        })?;
    if chain.is_empty() {
        return Err(Failure::usage(format!("no certificate (PEM) in {}", path.display())));
    }
    Ok(chain)
}
