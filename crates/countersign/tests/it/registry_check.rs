//! `registry check`: what is printed, and the exit code for CI.

use axum::http::{Method, StatusCode};
use devkit::registry::{Behaviour, Referrers, Registry, RegistryOptions};
use devkit::{Fault, FaultRule};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::process;

const REPOSITORY: &str = "acme/check";

/// A registry to be checked.
struct World {
    registry: Registry,
    // The last to go: the registry runs in it.
    _runtime: Runtime,
}

/// How the command ended, and its result.
struct Said {
    code: Option<i32>,
    stdout: String,
    all: String,
}

impl World {
    fn with(behaviour: Behaviour) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let options = RegistryOptions { behaviour, ..RegistryOptions::default() };
        let registry = runtime.block_on(Registry::start(options)).unwrap();
        Self { registry, _runtime: runtime }
    }

    fn check(&self, further: &[&str]) -> Said {
        let repository = format!("{}/{REPOSITORY}", self.registry.address());
        Said::of(&[&["registry", "check", &repository], further].concat())
    }
}

impl Said {
    fn of(arguments: &[&str]) -> Self {
        let output = process::run(arguments);
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        Self { code: output.status.code(), all: format!("{stdout}{stderr}"), stdout }
    }

    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all);
        self
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.all.contains(part), "`{part}` is not in:\n{}", self.all);
        }
        self
    }
}

#[test]
fn a_good_registry_is_told_in_a_line_for_each_question() {
    let world = World::with(Behaviour::default());
    let said = world.check(&[]).ends(0).says(&[
        "✓ login                  anonymous: the registry does not ask who we are",
        "✓ push ",
        "✓ referrers              the referrers API lists it at once",
        "✓ conditional writes     a wrong If-Match is refused",
        "✓ delete by digest",
        "✓ clock                  the registry's and ours agree",
        "sign with --formats bundle: the registry itself keeps track of bundles",
    ]);
    assert!(!said.stdout.contains('✗') && !said.stdout.contains('?'), "{}", said.stdout);
    assert!(!said.stdout.contains("whoever runs"), "{}", said.stdout);
    assert!(world.registry.tags(REPOSITORY).is_empty());
}

#[test]
fn the_document_has_a_schema_and_every_question() {
    let off = Behaviour {
        referrers: Referrers::Off,
        conditions_obeyed: false,
        deletion: false,
        ..Behaviour::default()
    };
    let world = World::with(off);
    let found = world.check(&["-o", "json"]).ends(0);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["schema"], "countersign.dev/registry-check/v1");
    assert_eq!(found["repository"], format!("{}/acme/check", world.registry.address()));
    assert_eq!(found["conclusion"]["outcome"], "yes");
    assert_eq!(found["conclusion"]["formats"], "both");
    let outcomes: Vec<_> = found["checks"].as_array().unwrap().iter().collect();
    let outcomes: Vec<_> =
        outcomes.iter().map(|line| json!([line["check"], line["outcome"]])).collect();
    let wanted = [
        ("login", "yes"),
        ("push", "yes"),
        ("read", "yes"),
        ("media types", "yes"),
        ("bundle as referrer", "yes"),
        ("referrers", "yes"),
        ("signature tag", "yes"),
        ("second signature", "yes"),
        ("beside Docker images", "yes"),
        ("tags set anew", "yes"),
        ("conditional writes", "no"),
        ("delete by tag", "no"),
        ("delete by digest", "no"),
        ("rate limit headers", "yes"),
        ("clock", "yes"),
    ];
    assert_eq!(outcomes, wanted.map(|(check, outcome)| json!([check, outcome])));
    let remains = found["remains"].as_array().unwrap();
    let named = |tag: &str| remains.iter().any(|it| it["item"] == format!("tag {tag}"));
    let tags = world.registry.tags(REPOSITORY);
    assert_eq!(tags.len(), 3, "{tags:?}");
    assert!(tags.iter().all(|tag| named(tag)), "{remains:?}");
    assert!(found["operator"].as_array().unwrap().len() >= 4, "{found:#}");
}

#[test]
fn what_could_not_be_told_has_its_own_exit_code() {
    for (status, code) in [(StatusCode::FORBIDDEN, 1), (StatusCode::UNAUTHORIZED, 3)] {
        let world = World::with(Behaviour::default());
        let fault = FaultRule::new("/v2/acme/check/manifests/*", Fault::Status(status));
        world.registry.inject(fault.method(Method::PUT));
        let said = world.check(&[]).ends(code);
        let (mark, end) = match code {
            1 => ("✗ push", "signatures cannot be kept here"),
            _ => ("? push", "it could not be told how to sign here"),
        };
        said.says(&[mark, end, "could not tell: not asked: the image could not be pushed"]);
    }
}

#[test]
fn only_a_repository_can_be_checked() {
    let world = World::with(Behaviour::default());
    let address = world.registry.address();
    for bad in [format!("{address}/acme/app:v1"), "UPPER/case".to_owned()] {
        let said = Said::of(&["registry", "check", &bad]).ends(2);
        assert_eq!(said.stdout, "", "{}", said.all);
    }
    assert!(world.registry.requests().is_empty());
}
