//! All that is asked of the outside: registries, identity providers, authorities, logs.
//!
//! Nothing that comes back is believed: it is bounded, parsed, and handed to `verify`. A failure to
//! look is a [`FetchError`], which is neither "there is none" nor "it is bad".
//!
//! Never reads the environment or the clock; deadlines of the async runtime are all it knows of
//! time. Never sends a credential to any other host than the one it is configured for.

pub mod address;
pub mod credentials;
mod deadline;
pub mod error;
mod http;
mod json;
pub mod registry;
mod retry;
mod secret;

pub use address::{BadUrl, ServiceUrl};
pub use credentials::DockerConfig;
pub use deadline::Deadline;
pub use error::{FetchError, FetchErrorKind};
pub use http::{Authorities, BuildHttpError, Http, HttpOptions};
pub use registry::Registry;
pub use secret::Secret;
