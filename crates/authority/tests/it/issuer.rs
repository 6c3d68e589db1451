//! The configuration of trusted issuers: what is taken, and what is refused before it is believed.

use authority::issuer::{Issuer, IssuerError, IssuerKind, Issuers};
use authority::jose::JwsAlgorithm;
use serde_json::{Value, json};

fn parse(value: Value) -> Result<Issuers, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn entry() -> Value {
    json!({
        "issuer-url": "https://token.actions.githubusercontent.com",
        "client-id": "sigstore",
        "type": "ci-provider",
        "ci-provider": "github-workflow",
    })
}

fn with(name: &str, value: Value) -> Result<Issuers, String> {
    let mut entry = entry();
    entry[name] = value;
    parse(json!({"oidc-issuers": [entry]}))
}

#[test]
fn the_configuration_is_read() {
    let issuers = parse(json!({"oidc-issuers": [
        entry(),
        {
            "issuer-url": "https://accounts.google.com",
            "client-id": "sigstore",
            "type": "email",
            "jwks-url": "https://www.googleapis.com/oauth2/v3/certs",
            "algorithms": ["RS256"],
        },
        {
            "issuer-url": "https://gitlab.example.com/",
            "client-id": "us",
            "type": "ci-provider",
            "ci-provider": "gitlab-pipeline",
            "instance-url": "https://gitlab.example.com/",
        },
        {"issuer-url": "http://127.0.0.1:4000", "client-id": "sigstore", "type": "email"},
    ]}))
    .unwrap();
    let issuers: Vec<_> = issuers.iter().collect();
    let github = IssuerKind::GitHub { instance_url: "https://github.com".to_owned() };
    assert_eq!(issuers[0].kind(), &github);
    assert_eq!(issuers[0].kind().name(), "ci-provider");
    assert_eq!(issuers[0].kind().challenge_claim(), "sub");
    assert_eq!(issuers[0].algorithms(), JwsAlgorithm::ALL);
    assert_eq!(issuers[1].kind(), &IssuerKind::Email);
    assert_eq!(issuers[1].kind().challenge_claim(), "email");
    assert_eq!(issuers[1].algorithms(), [JwsAlgorithm::Rs256]);
    assert_eq!(issuers[1].key_set_url().unwrap().host_str(), Some("www.googleapis.com"));
    // The URL stays as it is written, for that is how tokens write it; names are made without the
    // slash.
    assert_eq!(issuers[2].url(), "https://gitlab.example.com/");
    let gitlab = IssuerKind::GitLab { instance_url: "https://gitlab.example.com".to_owned() };
    assert_eq!(issuers[2].kind(), &gitlab);
    assert_eq!(
        issuers[2].discovery_url().as_str(),
        "https://gitlab.example.com/.well-known/openid-configuration"
    );
}

#[test]
fn what_is_not_known_is_refused() {
    assert!(with("spiffe-trust-domain", json!("example.com")).unwrap_err().contains("unknown"));
    for (name, value) in [
        ("type", json!("kubernetes")),
        ("ci-provider", json!("buildkite-job")),
        ("ci-provider", Value::Null),
        ("type", json!("email")),
    ] {
        assert!(with(name, value).unwrap_err().contains("ci-provider"), "{name}");
    }
    assert!(with("algorithms", json!(["none"])).is_err());
    assert!(with("algorithms", json!(["HS256"])).is_err());
    assert!(with("algorithms", json!([])).unwrap_err().contains("no algorithm"));
    assert!(with("client-id", json!("")).unwrap_err().contains("client-id"));
    assert!(parse(json!({"oidc-issuers": [], "meta-issuers": []})).is_err());
}

#[test]
fn urls_are_plain_and_encrypted() {
    for url in [
        "http://issuer.example",
        "http://10.0.0.1",
        "ftp://issuer.example",
        "https://user@issuer.example",
        "https://user:password@issuer.example",
        "https://issuer.example?x=1",
        "https://issuer.example#x",
        "https://Issuer.example",
        "https://issuer.example:443",
        "https://issuer.example/a/../b",
        "https:\\\\issuer.example",
        " https://issuer.example",
        "issuer.example",
        "",
    ] {
        let error = Issuer::new(url, "sigstore", IssuerKind::Email).unwrap_err();
        assert!(matches!(error, IssuerError::BadUrl { name: "issuer-url", .. }), "{url}");
        let issuer = Issuer::new("https://issuer.example", "sigstore", IssuerKind::Email).unwrap();
        let error = issuer.with_key_set_url(url);
        // A query is the one thing that a key set's URL might have, and it is not taken either.
        assert!(error.is_err(), "{url}");
        let kind = IssuerKind::GitLab { instance_url: url.to_owned() };
        let error = Issuer::new("https://issuer.example", "sigstore", kind).unwrap_err();
        assert!(matches!(error, IssuerError::BadUrl { name: "instance-url", .. }), "{url}");
    }
    for url in
        ["http://127.0.0.1:4000", "http://localhost:4000/auth", "http://[::1]:1", "https://a.b/c"]
    {
        assert!(Issuer::new(url, "sigstore", IssuerKind::Email).is_ok(), "{url}");
    }
}

#[test]
fn one_at_least_and_none_twice() {
    let issuer = || Issuer::new("https://issuer.example", "sigstore", IssuerKind::Email).unwrap();
    assert_eq!(Issuers::new(vec![]).unwrap_err(), IssuerError::Count);
    assert_eq!(Issuers::new(vec![issuer(), issuer()]).unwrap_err(), IssuerError::Count);
    assert!(Issuers::new(vec![issuer()]).is_ok());
    let many = (0..257)
        .map(|number| {
            let url = format!("https://issuer{number}.example");
            Issuer::new(&url, "sigstore", IssuerKind::Email).unwrap()
        })
        .collect();
    assert_eq!(Issuers::new(many).unwrap_err(), IssuerError::Count);
}
