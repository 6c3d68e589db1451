//! What both servers have in common: where they listen, what they bound, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

use devkit::issuer::{Algorithm, Issuer, IssuerOptions};
use devkit::registry::{Behaviour, Registry, RegistryOptions};
use devkit::{DevkitError, Fault, FaultRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{get, head};
use crate::{clock, start_registry};

/// Where nobody else here listens or connects from: a port that is given back there stays free.
fn aside(host: u8) -> SocketAddr {
    SocketAddr::from(([127, 8, 9, host], 0))
}

async fn start_both_at(address: &str) -> [Result<(), DevkitError>; 2] {
    let address: SocketAddr = address.parse().unwrap();
    let algorithm = Algorithm::Es256;
    let issuer = IssuerOptions { address, algorithm, clock: clock() };
    let registry = RegistryOptions { address, ..RegistryOptions::default() };
    [Issuer::start(issuer).await.map(drop), Registry::start(registry).await.map(drop)]
}

#[tokio::test]
async fn loopback_addresses_are_listened_on() {
    for address in ["127.0.0.1:0", "127.8.9.10:0"] {
        for outcome in start_both_at(address).await {
            assert!(outcome.is_ok(), "{address}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn addresses_beyond_loopback_are_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0", "[2001:db8::1]:0"]
    {
        for outcome in start_both_at(address).await {
            let wanted: SocketAddr = address.parse().unwrap();
            assert!(
                matches!(outcome, Err(DevkitError::NotLoopback { found }) if found == wanted),
                "{address}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_taken_address_is_reported() {
    let registry = start_registry(Behaviour::default()).await;
    for outcome in start_both_at(&registry.address().to_string()).await {
        assert!(matches!(outcome, Err(DevkitError::Bind { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn stopping_frees_the_address_and_ends_idle_connections() {
    let options = RegistryOptions { address: aside(11), ..RegistryOptions::default() };
    let registry = Registry::start(options).await.unwrap();
    let address = registry.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    // Answered once, so that the server has surely accepted it; kept alive afterwards.
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    registry.stop().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let options = RegistryOptions { address, ..RegistryOptions::default() };
    assert_eq!(Registry::start(options).await.unwrap().address(), address);
}

#[tokio::test]
async fn stopping_ends_requests_that_hang() {
    let registry = start_registry(Behaviour::default()).await;
    registry.inject(FaultRule::new("/v2/", Fault::Hang));
    let asked = tokio::spawn(get("/v2/").send(registry.address()));
    registry.arrived("/v2/").await;
    registry.stop().await;
    assert_eq!(asked.await.unwrap().status, 503);
}

#[tokio::test]
async fn stopping_cuts_off_bodies_that_never_end() {
    let registry = start_registry(Behaviour::default()).await;
    registry.inject(FaultRule::new("/v2/", Fault::EndlessBody));
    let mut stream = get("/v2/").open(registry.address()).await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    // Nobody reads: without the cut this would wait for ever.
    tokio::time::timeout(Duration::from_secs(20), registry.stop()).await.unwrap();
}

#[tokio::test]
async fn dropping_the_handle_cuts_everything_off() {
    let options = IssuerOptions { address: aside(12), ..IssuerOptions::new(clock()) };
    let issuer = Issuer::start(options).await.unwrap();
    let address = issuer.address();
    issuer.inject(FaultRule::new("*", Fault::Hang));
    let mut stream = get("/token").open(address).await;
    issuer.arrived("/token").await;
    drop(issuer);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let registry = start_registry(Behaviour::default()).await;
    let long = "a".repeat(128 * 1024);
    let answer = get("/v2/").header("x-long", &long).send(registry.address()).await;
    assert_eq!(answer.status, 431);
    let mut many = get("/v2/");
    for number in 0..200 {
        many = many.header(&format!("x-{number}"), "a");
    }
    assert_eq!(many.send(registry.address()).await.status, 431);
}

#[tokio::test]
async fn requests_are_recorded_without_their_secrets() {
    let registry = start_registry(Behaviour::default()).await;
    let asked = get("/v2/a/tags/list?n=1").basic("user", "secret").header("X-Odd", "kept-out");
    asked.send(registry.address()).await;
    head("/v2/").send(registry.address()).await;
    let [first, second] = registry.requests().try_into().unwrap();
    assert_eq!(first.method, "GET");
    assert_eq!(first.path, "/v2/a/tags/list");
    assert_eq!(first.query.as_deref(), Some("n=1"));
    assert_eq!(first.authorization_scheme.as_deref(), Some("Basic"));
    assert!(first.header_names.iter().any(|name| name == "x-odd"));
    assert_eq!(first.status.unwrap(), 404);
    assert_eq!(second.method, "HEAD");
    assert_eq!(second.authorization_scheme, None);
    assert_eq!(second.status.unwrap(), 200);
    let told = format!("{first:?}");
    assert!(!told.contains("kept-out") && !told.contains("dXNlcjpzZWNyZXQ"), "{told}");
    registry.clear_requests();
    assert!(registry.requests().is_empty());
}
