//! The connections below HTTP: who vouches for hosts, who vouches for us, what goes where.
//!
//! Every host is spoken to in the same way but those that the operator names. A client
//! certificate is shown to the host it is for and to no other, and a waiver is for one host and
//! port. What is named and cannot be read is an error: nobody's certificate is silently the
//! system's.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use evidence::RegistryHost;
use reqwest::{Client, ClientBuilder, Url};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use zeroize::Zeroizing;

use super::HttpOptions;
use crate::address::{BadUrl, ServiceUrl};
use crate::error::{Cause, host_of, printable};

/// Connections kept open to one host.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Longest file of certificates or keys read, in bytes. The system's own has about 230 kB.
const PEM_FILE_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// Who may vouch for a host's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsTrust {
    /// Whom the operating system trusts.
    System,
    /// Those, and these DER certificates.
    SystemAnd(Vec<Vec<u8>>),
    /// These DER certificates only.
    Only(Vec<Vec<u8>>),
}

/// How one host is spoken to, where that differs from the usual.
#[derive(Clone, Debug, Default)]
pub struct HostTransport {
    /// What the connection must be.
    pub security: HostSecurity,
    /// Whose name the host's certificate must have, if not the host's own.
    pub server_name: Option<String>,
    /// Who we are, to this host.
    pub client_certificate: Option<ClientCertificate>,
}

/// What a connection to one host must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSecurity {
    /// HTTPS, with a certificate that somebody vouches for.
    #[default]
    Verified,
    /// HTTPS with any certificate. A waiver: whoever is in between reads and writes along.
    CertificateUnchecked,
    /// HTTPS if the host speaks it, else plain HTTP. A waiver: whoever is in between decides.
    HttpAllowed,
    /// HTTPS with any certificate if the host speaks it, else plain HTTP. Both waivers.
    Anything,
}

/// A certificate with its key, by which a host knows us.
#[derive(Clone)]
pub struct ClientCertificate {
    chain: Vec<Vec<u8>>,
    /// The key, as PEM.
    key: Zeroizing<Vec<u8>>,
    /// The files as they are, certificates first.
    pem: Zeroizing<Vec<u8>>,
}

/// Why certificates or a key were not read from a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadTlsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is too long.
    #[error("{} is longer than {PEM_FILE_SIZE_MAX} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// No certificates in it, or broken ones.
    #[error("wanted PEM certificates in {}, found {found}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// No key in it, or not the certificate's.
    #[error("wanted the certificate's private key as PEM in {}, found {found}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
}

/// Why no HTTP client could be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client could be made of these options")]
pub struct BuildHttpError(#[source] Cause);

impl TlsTrust {
    /// The certificates in a PEM file, beside the system's or instead of them.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate, or something that is broken.
    pub fn read(path: &Path, beside_system: bool) -> Result<Self, ReadTlsError> {
        let ders = certificates(path, &read(path)?)?;
        Ok(if beside_system { Self::SystemAnd(ders) } else { Self::Only(ders) })
    }

    /// These PEM certificates and no others; `name` says in errors where they stand.
    pub(crate) fn only(name: &Path, pem: &[u8]) -> Result<Self, ReadTlsError> {
        certificates(name, pem).map(Self::Only)
    }
}

impl ClientCertificate {
    /// Reads a certificate, with those that lead to its authority behind it, and its key.
    ///
    /// # Errors
    /// When one of the files is none, or the key is not the certificate's.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ReadTlsError> {
        Self::parse((certificate, &read(certificate)?), (key, &read(key)?))
    }

    /// The same for PEM that has been read, each with a name that says in errors where it stands.
    pub(crate) fn parse(
        (certificate, certificate_pem): (&Path, &[u8]),
        (key, key_pem): (&Path, &[u8]),
    ) -> Result<Self, ReadTlsError> {
        let chain = certificates(certificate, certificate_pem)?;
        let broken = |found| ReadTlsError::Key { path: key.to_owned(), found };
        let private = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| broken("none"))?;
        let signing = provider()
            .key_provider
            .load_private_key(private)
            .map_err(|_| broken("one of a kind that is not supported"))?;
        let ders = chain.iter().cloned().map(CertificateDer::from).collect();
        rustls::sign::CertifiedKey::new(ders, signing)
            .keys_match()
            .map_err(|_| broken("another one"))?;
        let pem = Zeroizing::new([certificate_pem, b"\n", key_pem].concat());
        Ok(Self { chain, key: Zeroizing::new(key_pem.to_vec()), pem })
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientCertificate({} certificates, key withheld)", self.chain.len())
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadTlsError> {
    let failed = |source| ReadTlsError::Io { path: path.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(failed)?;
    file.take(PEM_FILE_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > PEM_FILE_SIZE_MAX {
        return Err(ReadTlsError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<Vec<u8>>, ReadTlsError> {
    let broken = |found| ReadTlsError::Certificates { path: path.to_owned(), found };
    let ders = CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| broken("broken PEM"))?;
    // That they are certificates at all; a root store takes what it can parse.
    let mut roots = RootCertStore::empty();
    let parsed = ders.iter().all(|der| roots.add(CertificateDer::from(der.as_slice())).is_ok());
    match (ders.is_empty(), parsed) {
        (true, _) => Err(broken("none")),
        (false, false) => Err(broken("something else")),
        (false, true) => Ok(ders),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// One client for all hosts, and one for each that is spoken to in its own way.
#[derive(Debug)]
pub(super) struct Clients {
    usual: Client,
    /// By the host of URLs, with its port where that is not the usual one.
    special: HashMap<String, Special>,
}

#[derive(Debug)]
struct Special {
    client: Client,
    security: HostSecurity,
    /// Whether plain HTTP is spoken, once that is known.
    plain: OnceLock<bool>,
}

impl Clients {
    pub(super) fn new(options: &HttpOptions) -> Result<Self, BuildHttpError> {
        let special = options.hosts.iter().map(|(host, transport)| {
            let client = special(options, transport)?;
            let security = transport.security;
            let special = Special { client, security, plain: OnceLock::new() };
            Ok((host.endpoint().to_owned(), special))
        });
        let special = special.collect::<Result<_, BuildHttpError>>()?;
        let usual = trusting(base(options), &options.tls_trust)?;
        Ok(Self { usual: usual.build().map_err(failed)?, special })
    }

    pub(super) fn of(&self, url: &Url) -> &Client {
        self.special(url).map_or(&self.usual, |special| &special.client)
    }

    /// Whether it is still to be found out how the host is spoken to.
    pub(super) fn is_open(&self, url: &Url) -> bool {
        self.special(url).is_some_and(|special| {
            let waived =
                matches!(special.security, HostSecurity::HttpAllowed | HostSecurity::Anything);
            waived && special.plain.get().is_none() && url.scheme() == "https"
        })
    }

    pub(super) fn settle(&self, url: &Url, plain: bool) {
        if let Some(special) = self.special(url) {
            // Whoever was first is right; the others found out the same.
            let _ = special.plain.set(plain);
        }
    }

    pub(super) fn is_plain(&self, url: &Url) -> bool {
        self.special(url).is_some_and(|special| special.plain.get() == Some(&true))
    }

    fn special(&self, url: &Url) -> Option<&Special> {
        if self.special.is_empty() { None } else { self.special.get(&host_of(url)) }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> BuildHttpError {
    BuildHttpError(Cause::new(error))
}

/// A client without an opinion about certificates yet.
fn base(options: &HttpOptions) -> ClientBuilder {
    // Plain HTTP is spoken to `localhost`: nobody's name server may say where that is.
    let localhost = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .map(|address| SocketAddr::new(address, 0));
    let mut builder = Client::builder()
        .user_agent(&options.user_agent)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .resolve_to_addrs("localhost", &localhost);
    for (name, address) in &options.dial {
        builder = builder.resolve(name, *address);
    }
    if options.proxies.is_none() {
        return builder;
    }
    let proxies = options.proxies.clone();
    builder.proxy(reqwest::Proxy::custom(move |url| proxies.of(url).map(str::to_owned)))
}

fn trusting(builder: ClientBuilder, trust: &TlsTrust) -> Result<ClientBuilder, BuildHttpError> {
    let certificates = |ders: &[Vec<u8>]| {
        ders.iter()
            .map(|der| reqwest::Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)
    };
    let builder = builder.tls_version_min(reqwest::tls::Version::TLS_1_2);
    Ok(match trust {
        TlsTrust::System => builder,
        TlsTrust::SystemAnd(ders) => builder.tls_certs_merge(certificates(ders)?),
        TlsTrust::Only(ders) => builder.tls_certs_only(certificates(ders)?),
    })
}

fn special(options: &HttpOptions, transport: &HostTransport) -> Result<Client, BuildHttpError> {
    let unchecked =
        matches!(transport.security, HostSecurity::CertificateUnchecked | HostSecurity::Anything);
    let named = transport.server_name.as_ref().filter(|_| !unchecked);
    let builder = if let Some(name) = named {
        base(options).tls_backend_preconfigured(renamed(options, transport, name)?)
    } else {
        let builder = trusting(base(options), &options.tls_trust)?;
        let builder = builder.tls_danger_accept_invalid_certs(unchecked);
        match &transport.client_certificate {
            None => builder,
            Some(ours) => builder.identity(reqwest::Identity::from_pem(&ours.pem).map_err(failed)?),
        }
    };
    builder.build().map_err(failed)
}

/// A configuration in which the host's certificate has to be for another name.
fn renamed(
    options: &HttpOptions,
    transport: &HostTransport,
    name: &str,
) -> Result<ClientConfig, BuildHttpError> {
    let roots =
        |ders: &[Vec<u8>]| ders.iter().cloned().map(CertificateDer::from).collect::<Vec<_>>();
    let system = |extra: &[Vec<u8>]| {
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots(extra), provider())
            .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
            .map_err(failed)
    };
    let verifier: Arc<dyn ServerCertVerifier> = match &options.tls_trust {
        TlsTrust::System => system(&[])?,
        TlsTrust::SystemAnd(ders) => system(ders)?,
        TlsTrust::Only(ders) => {
            let mut store = RootCertStore::empty();
            for root in roots(ders) {
                store.add(root).map_err(failed)?;
            }
            let store = Arc::new(store);
            WebPkiServerVerifier::builder_with_provider(store, provider())
                .build()
                .map_err(failed)?
        }
    };
    let name = ServerName::try_from(name.to_owned()).map_err(failed)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Renamed { verifier, name }));
    match &transport.client_certificate {
        None => Ok(config.with_no_client_auth()),
        Some(ours) => {
            let key = PrivateKeyDer::from_pem_slice(&ours.key).map_err(failed)?;
            config.with_client_auth_cert(roots(&ours.chain), key).map_err(failed)
        }
    }
}

/// Verifies as another verifier does, but for a name that was configured.
#[derive(Debug)]
struct Renamed {
    verifier: Arc<dyn ServerCertVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Renamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = &self.verifier;
        verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl HttpOptions {
    /// Sets one host's transport.
    #[must_use]
    pub fn with_host(mut self, host: RegistryHost, transport: HostTransport) -> Self {
        self.hosts.insert(host, transport);
        self
    }

    /// Sets the transport of a service's host.
    ///
    /// # Errors
    /// When the host has a name by which connections cannot be told apart.
    pub fn with_service(self, url: &ServiceUrl, transport: HostTransport) -> Result<Self, BadUrl> {
        let name = host_of(url.as_url());
        match name.parse::<RegistryHost>() {
            Ok(host) if host.endpoint() == name => Ok(self.with_host(host, transport)),
            _ => Err(BadUrl::Syntax(format!("the host `{}`", printable(&name, 160)))),
        }
    }
}
