//! How HTTP is spoken, by every command that asks others.

use std::sync::Arc;

use client::{Http, HttpOptions, Proxies};

use crate::exit::{Exit, Failure};
use crate::machine;

/// A client that calls itself by our name.
pub(crate) fn http_client() -> Result<Arc<Http>, Failure> {
    Http::new(http_options()?)
        .map(Arc::new)
        .map_err(|error| Failure::new(Exit::Failure, "cannot speak HTTP").caused_by(error))
}

/// How HTTP is spoken, as far as the environment says.
pub(crate) fn http_options() -> Result<HttpOptions, Failure> {
    let mut options = HttpOptions::new(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    options.proxies = Proxies::from_environment(&machine::environment()).map_err(|error| {
        Failure::usage("cannot use the proxy that the environment names").caused_by(error)
    })?;
    Ok(options)
}
