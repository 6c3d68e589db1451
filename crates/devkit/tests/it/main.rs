//! The issuer, the registry and the images, asked over real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod blobs;
mod faults;
mod http;
mod image;
mod issuer;
mod jwt;
mod listing;
mod manifests;
mod server;
mod tokens;
mod uploads;

use std::sync::Arc;

use devkit::Clock;
use devkit::issuer::{Algorithm, Issuer, IssuerOptions};
use devkit::registry::{Behaviour, Registry, RegistryOptions};
use evidence::UnixTime;

/// When everything here happens: 2027-01-15T08:00:00Z.
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

fn clock() -> Clock {
    Arc::new(|| NOW)
}

async fn start_issuer(algorithm: Algorithm) -> Issuer {
    Issuer::start(IssuerOptions { algorithm, ..IssuerOptions::new(clock()) }).await.unwrap()
}

async fn start_registry(behaviour: Behaviour) -> Registry {
    Registry::start(RegistryOptions { behaviour, ..RegistryOptions::default() }).await.unwrap()
}
