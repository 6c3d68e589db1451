//! An OIDC issuer and an OCI registry on loopback, for `countersign demo` and for tests.
//!
//! Both speak the real protocols, so that any client works against them, and both can be made to
//! misbehave in named ways. They are for development only: keys, tokens and images live in memory
//! and die with the process, and an address beyond loopback is refused. Nothing here can forge
//! evidence: there is no certificate authority, no log and no timestamp key in this crate.
//!
//! Never prints, and never reads the environment, the clock or a file: time comes as a [`Clock`].

mod fault;
mod gate;
pub mod image;
pub mod issuer;
mod record;
pub mod registry;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use evidence::UnixTime;

pub use fault::{Fault, FaultRule};
pub use record::RecordedRequest;

/// Tells the time. A function, so that a test can pass a fixed moment.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// Why a server here did not start or did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DevkitError {
    /// The address is reachable from elsewhere.
    #[error("wanted a loopback address such as 127.0.0.1, found {found}: this is for development")]
    NotLoopback {
        /// The address asked for.
        found: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No key could be made.
    #[error("cannot make a signing key")]
    Key(#[from] crypto::KeyFileError),
    /// A token could not be signed.
    #[error("cannot sign the token")]
    Sign(#[from] crypto::SignError),
    /// More jobs are open than a demo or a test needs.
    #[error("{max} jobs are open already")]
    TooManyJobs {
        /// How many there may be.
        max: usize,
    },
    /// Not a repository name.
    #[error("wanted a repository name such as `team/app`, found `{found}`")]
    RepositoryName {
        /// The name, cut to 64 characters.
        found: String,
    },
    /// Neither a tag nor a digest.
    #[error("wanted a tag or a digest, found `{found}`")]
    Reference {
        /// The text, cut to 64 characters.
        found: String,
    },
    /// The registry's memory is full.
    #[error("the registry holds its {size_max} bytes already")]
    Full {
        /// How many bytes it may hold.
        size_max: usize,
    },
    /// A file that cannot stand in a layer.
    #[error(
        "wanted a relative path of at most {} bytes without `..`, found `{found}`",
        image::PATH_SIZE_MAX
    )]
    LayerPath {
        /// The path, cut to 64 characters.
        found: String,
    },
    /// More than an image made here may hold.
    #[error("a layer of {found} bytes is larger than the {} made here", image::LAYER_SIZE_MAX)]
    LayerSize {
        /// Size asked for, in bytes.
        found: usize,
    },
}

/// The beginning of a text that came from outside, for an error message.
fn beginning(text: &str) -> String {
    text.chars().take(64).collect()
}
