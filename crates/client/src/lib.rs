//! All that is asked of the outside: registries, identity providers, authorities, logs.
//!
//! Nothing that comes back is believed: it is bounded, parsed, and handed to `verify`. A failure to
//! look is a [`FetchError`], which is neither "there is none" nor "it is bad".
//!
//! Never reads the environment or the clock; deadlines of the async runtime are all it knows of
//! time. Never sends a credential to any other host than the one it is configured for.

pub mod address;
pub mod authority;
pub mod credentials;
mod deadline;
pub mod documents;
mod environment;
pub mod error;
mod http;
mod json;
mod kept;
pub mod kubernetes;
pub mod layout;
pub mod log;
pub mod mirror;
mod obstacle;
pub mod oidc;
mod outage;
pub mod plausible;
mod program;
pub mod registry;
mod retry;
mod secret;
pub mod sign;
pub mod timestamp;
pub mod trust_config;

pub use address::{BadUrl, ServiceUrl};
pub use authority::Authority;
pub use credentials::{Credential, DockerConfig, Keychain};
pub use deadline::Deadline;
pub use environment::Environment;
pub use error::{FetchError, FetchErrorKind};
pub use http::{
    BadProxy, BuildHttpError, ClientCertificate, HostSecurity, HostTransport, Http, HttpOptions,
    Proxies, ReadTlsError, TlsTrust,
};
pub use layout::{Layout, LayoutError};
pub use log::{Log, LogVersion};
pub use mirror::Mirror;
pub use oidc::IdentityToken;
pub use outage::{Outage, Patience};
pub use registry::{Registry, RegistryOptions};
pub use secret::Secret;
pub use sign::{CertificateNeed, SigningError, SigningServices, ToSign};
pub use timestamp::TimestampAuthority;
pub use trust_config::{ClientTrustConfig, SigningConfig};
