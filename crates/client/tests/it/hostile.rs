//! A registry that means harm: what it sends, and what must come of it. Each scenario is one test
//! here, and one row of `docs/hostile-registry.md`.
//!
//! In all of them the user has a login for `registry.example`, and for Docker Hub. Every other host
//! is one server's other name, so that whatever reaches it is on record.

mod content;
mod credentials;
mod endless;

use std::sync::Arc;
use std::time::Duration;

use client::credentials::Basic;
use client::{Credential, Deadline, Http, HttpOptions, Keychain, Registry, Secret};
use evidence::ImageRef;

use crate::internet::Internet;
use crate::server::{Received, Reply};

const REGISTRY: &str = "registry.example";
const HOSTS: [&str; 6] = [
    REGISTRY,
    "evil.example",
    "auth.registry.example",
    "registry.example.evil.example",
    "auth.docker.io",
    "registry-1.docker.io",
];

/// What the login looks like on the wire: base64 of `ali:open sesame`.
const SHOWN: &str = crate::AUTHORIZATION;

/// Longer than any scenario takes that is stopped by its own bound.
const TIME: Duration = Duration::from_secs(10);

fn deadline() -> Deadline {
    Deadline::after(TIME)
}

/// The registry, and everybody else, who answer everything with 200.
async fn scene(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Internet {
    Internet::of(
        &HOSTS,
        move |host, request| {
            if host == REGISTRY { reply(request) } else { Reply::status(200) }
        },
    )
    .await
}

/// The same, with a registry that replies so only to those who show the login.
async fn locked(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Internet {
    scene(move |request| match request.header("authorization") {
        Some(SHOWN) => reply(request),
        _ => Reply::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    })
    .await
}

fn client(internet: &Internet) -> Registry {
    let options =
        HttpOptions { request_timeout: Duration::from_secs(2), tries_max: 2, ..internet.options() };
    let login = |user: &str, password: &str| {
        let password = Secret::new(password.to_owned());
        Credential::Basic(Basic { user: user.to_owned(), password })
    };
    let keychain = Keychain::default()
        .with_credential(REGISTRY.parse().unwrap(), login("ali", "open sesame"))
        .with_credential("docker.io".parse().unwrap(), login("hub", "hub"));
    Registry::new(Arc::new(Http::new(options).unwrap()), keychain)
}

fn app() -> ImageRef {
    format!("{REGISTRY}/acme/app:v1").parse().unwrap()
}

/// Nobody but the registry saw a credential.
fn assert_contained(internet: &Internet) {
    for host in internet.trusted() {
        assert_eq!(host, REGISTRY, "a credential went astray: {:?}", internet.lines());
    }
}

/// Nobody but the registry was sent anything at all.
fn assert_alone(internet: &Internet) {
    let others = internet.lines().into_iter().filter(|line| !line.starts_with("registry.example "));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
    assert_contained(internet);
}

/// The table in the documentation tells of all tests here, and of no others.
#[test]
fn the_table_is_complete() {
    let table = include_str!("../../../../docs/hostile-registry.md");
    let sources = [
        include_str!("hostile/content.rs"),
        include_str!("hostile/credentials.rs"),
        include_str!("hostile/endless.rs"),
    ];
    let tests: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split("#[tokio::test]").skip(1))
        .map(|rest| rest.split("fn ").nth(1).unwrap().split('(').next().unwrap())
        .collect();
    let numbered = |line: &&str| {
        line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let rows: Vec<&str> = table.lines().filter(numbered).collect();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| {number} |")), "rows are numbered: {row}");
    }
    let named: Vec<&str> = rows.iter().map(|row| row.split('`').nth_back(1).unwrap()).collect();
    for test in &tests {
        assert!(named.contains(test), "`{test}` is not in the table");
    }
    for name in &named {
        assert!(tests.contains(name), "the table names `{name}`, which is no test");
    }
    assert!(rows.len() >= 40, "{} scenarios", rows.len());
    assert_eq!(rows.len(), tests.len());
}
