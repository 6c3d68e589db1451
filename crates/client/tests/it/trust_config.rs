//! Which services a configuration means.

use client::trust_config::{ParseTrustConfigError, SERVICES_MAX, SelectError};
use client::{ClientTrustConfig, LogVersion, SigningConfig};
use evidence::UnixTime;
use serde_json::{Value, json};
use testkit::Instance;

const SIGNING_CONFIG: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
const TRUST_CONFIG: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";
const BOTH: [LogVersion; 2] = [LogVersion::V1, LogVersion::V2];

fn now() -> UnixTime {
    UnixTime::from_rfc3339("2026-06-01T00:00:00Z").unwrap()
}

/// A service of one operator, valid from the start of a year to the end of another.
fn service(name: &str, version: u32, operator: &str, from: u32, to: Option<u32>) -> Value {
    let mut service = json!({
        "url": format!("https://{name}.example"), "majorApiVersion": version,
        "validFor": {"start": format!("{from}-01-01T00:00:00Z")}, "operator": operator,
    });
    if let Some(to) = to {
        service["validFor"]["end"] = format!("{to}-12-31T23:59:59Z").into();
    }
    service
}

fn config(changes: Value) -> Value {
    let mut config = json!({
        "mediaType": SIGNING_CONFIG,
        "caUrls": [service("ca", 1, "a", 2022, None)],
        "oidcUrls": [service("oidc", 1, "a", 2022, None)],
        "rekorTlogUrls": [service("log", 1, "a", 2022, None)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service("tsa", 1, "a", 2022, None)],
        "tsaConfig": {"selector": "ANY"},
    });
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn parse(config: &Value) -> SigningConfig {
    SigningConfig::parse(config.to_string().as_bytes()).unwrap()
}

fn refusal(config: &Value) -> ParseTrustConfigError {
    SigningConfig::parse(config.to_string().as_bytes()).unwrap_err()
}

/// The logs chosen, by version and first label.
fn logs(changes: Value) -> Result<Vec<String>, SelectError> {
    let logs = parse(&config(changes)).logs(&BOTH, now())?;
    Ok(logs
        .iter()
        .map(|(version, url)| {
            let host = url.as_url().host_str().unwrap();
            format!("{version:?} {}", host.split('.').next().unwrap())
        })
        .collect())
}

#[test]
fn one_of_each() {
    let config = parse(&config(json!({})));
    assert_eq!(config.authority(now()).unwrap().to_string(), "https://ca.example");
    assert_eq!(config.identity_provider(now()).unwrap().to_string(), "https://oidc.example");
    let tsas = config.timestamp_authorities(now()).unwrap();
    assert_eq!(tsas.iter().map(ToString::to_string).collect::<Vec<_>>(), ["https://tsa.example"]);
    assert_eq!(logs(json!({})).unwrap(), ["V1 log"]);
}

#[test]
fn the_highest_version_and_the_newest_of_each_operator() {
    let listed = json!([
        service("ended", 2, "a", 2024, Some(2025)),
        service("old", 2, "a", 2024, None),
        service("new", 2, "a", 2025, None),
        service("future", 2, "a", 2027, None),
        service("other", 2, "b", 2023, None),
        service("v1", 1, "c", 2026, None),
        service("v3", 3, "d", 2026, None),
    ]);
    let with =
        |selector: Value| logs(json!({"rekorTlogUrls": listed, "rekorTlogConfig": selector}));
    assert_eq!(with(json!({"selector": "ALL"})).unwrap(), ["V2 new", "V2 other"]);
    assert_eq!(with(json!({"selector": "ANY"})).unwrap(), ["V2 new"]);
    assert_eq!(with(json!({"selector": "EXACT", "count": 1})).unwrap(), ["V2 new"]);
    assert_eq!(with(json!({"selector": "EXACT", "count": 2})).unwrap(), ["V2 new", "V2 other"]);
    let what = "transparency log";
    let few = |wanted| Err(SelectError::TooFew { what, wanted, found: 2 });
    assert_eq!(with(json!({"selector": "EXACT", "count": 3})), few(3));
    assert_eq!(with(json!({"selector": "EXACT"})), few(0));
    assert_eq!(with(json!({})), Err(SelectError::NoSelector { what }));
    assert_eq!(with(Value::Null), Err(SelectError::NoSelector { what }));
    let only_v1 = parse(&config(json!({"rekorTlogUrls": listed})));
    let chosen = only_v1.logs(&[LogVersion::V1], now()).unwrap();
    assert_eq!(chosen[0].1.to_string(), "https://v1.example");
}

/// Whoever is not asked first is there for when others are down.
#[test]
fn the_others_are_kept_for_an_outage() {
    let listed = json!([
        service("old", 2, "a", 2024, None),
        service("new", 2, "a", 2025, None),
        service("other", 2, "b", 2023, None),
        service("third", 2, "c", 2022, None),
        service("v1", 1, "d", 2026, None),
    ]);
    for (selector, wanted) in [
        (json!({"selector": "ANY"}), 1),
        (json!({"selector": "EXACT", "count": 2}), 2),
        (json!({"selector": "ALL"}), 3),
    ] {
        let config = parse(&config(json!({
            "caUrls": [service("ca1", 1, "a", 2024, None), service("ca2", 1, "b", 2025, None)],
            "rekorTlogUrls": listed, "rekorTlogConfig": selector,
        })));
        let choice = config.log_choice(&BOTH, now()).unwrap();
        let hosts: Vec<_> = choice.candidates.iter().map(|(_, url)| url.to_string()).collect();
        assert_eq!(
            hosts,
            ["https://new.example", "https://other.example", "https://third.example"]
        );
        assert_eq!(choice.wanted, wanted);
        let authorities = config.authority_choice(now()).unwrap();
        assert_eq!((authorities.wanted, authorities.candidates.len()), (1, 2));
        assert_eq!(authorities.candidates[0].to_string(), "https://ca2.example");
    }
    let none = parse(&config(json!({"rekorTlogUrls": [], "tsaUrls": []})));
    assert_eq!(none.log_choice(&BOTH, now()).unwrap().wanted, 0);
    assert_eq!(none.timestamp_authority_choice(now()).unwrap().wanted, 0);
}

#[test]
fn windows_include_their_ends() {
    let at = |time: &str| {
        let listed = json!([service("log", 1, "a", 2025, Some(2025))]);
        let config = parse(&config(json!({"rekorTlogUrls": listed})));
        config.logs(&BOTH, UnixTime::from_rfc3339(time).unwrap())
    };
    for time in ["2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z"] {
        assert_eq!(at(time).unwrap().len(), 1, "{time}");
    }
    for time in ["2024-12-31T23:59:59Z", "2026-01-01T00:00:00Z"] {
        assert!(matches!(at(time), Err(SelectError::NoneValid { listed: 1, .. })), "{time}");
    }
}

/// No services of a kind means that there is none to ask; none that is valid is a failure.
#[test]
fn absent_is_not_expired() {
    let empty = parse(&config(json!({"rekorTlogUrls": [], "tsaUrls": null, "caUrls": []})));
    assert!(empty.logs(&BOTH, now()).unwrap().is_empty());
    assert!(empty.timestamp_authorities(now()).unwrap().is_empty());
    assert!(matches!(empty.authority(now()), Err(SelectError::NoneValid { listed: 0, .. })));
    let over = json!([service("x", 1, "a", 2024, Some(2025))]);
    let expired = parse(&config(json!({"tsaUrls": over, "caUrls": over, "oidcUrls": over})));
    assert!(matches!(expired.timestamp_authorities(now()), Err(SelectError::NoneValid { .. })));
    assert!(matches!(expired.authority(now()), Err(SelectError::NoneValid { .. })));
    assert!(matches!(expired.identity_provider(now()), Err(SelectError::NoneValid { .. })));
}

#[test]
fn protobufs_other_spellings() {
    let listed = json!([{"url": "https://log.example", "major_api_version": "2",
        "valid_for": {"start": "2022-01-01T00:00:00.000Z", "end": null}}]);
    assert_eq!(
        logs(json!({"rekorTlogUrls": listed, "rekorTlogConfig": {"selector": 3, "count": "1"}})),
        Ok(vec!["V2 log".to_owned()])
    );
    let snake = config(json!({"tsaUrls": null, "tsa_urls": [service("tsa", 1, "a", 2022, None)]}));
    // Both spellings of one field are one field too many.
    assert!(matches!(refusal(&snake), ParseTrustConfigError::Json(_)));
}

#[test]
fn services_are_asked_securely() {
    for (url, good) in [
        ("https://x.example/api", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost:8080", true),
        ("http://[::1]:8080", true),
        ("http://x.example", false),
        ("http://127.0.0.1.x.example", false),
        ("http://localhost.x.example", false),
        ("http://localhost.", false),
        ("http://10.0.0.1", false),
        ("ftp://x.example", false),
        ("https://user@x.example", false),
        ("https://x.example?q", false),
        ("https://x.example#f", false),
        ("", false),
        ("x.example", false),
    ] {
        for list in ["caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls"] {
            let mut one = service("x", 1, "a", 2022, None);
            one["url"] = url.into();
            let parsed = SigningConfig::parse(config(json!({list: [one]})).to_string().as_bytes());
            match parsed {
                Ok(_) => assert!(good, "{url}"),
                Err(ParseTrustConfigError::Url { list: found, .. }) => {
                    assert!(!good, "{url}");
                    assert_eq!(found, list);
                }
                Err(error) => panic!("{url}: {error:?}"),
            }
        }
    }
}

#[test]
fn what_is_no_configuration() {
    use ParseTrustConfigError as E;
    let v1 = "application/vnd.dev.sigstore.signingconfig.v0.1+json";
    assert!(matches!(refusal(&config(json!({"mediaType": v1}))), E::MediaType { .. }));
    assert!(matches!(refusal(&config(json!({"mediaType": ""}))), E::MediaType { .. }));
    assert!(matches!(refusal(&json!([])), E::Json(_)));
    assert!(matches!(refusal(&config(json!({"caUrls": {}}))), E::Json(_)));
    assert!(matches!(refusal(&config(json!({"tsaConfig": {"selector": "SOME"}}))), E::Json(_)));
    let mut when = service("x", 1, "a", 2022, None);
    when["validFor"]["start"] = "yesterday".into();
    assert!(matches!(refusal(&config(json!({"caUrls": [when]}))), E::Time { list: "caUrls" }));
    let many = vec![service("x", 1, "a", 2022, None); SERVICES_MAX + 1];
    assert!(matches!(refusal(&config(json!({"caUrls": many}))), E::TooMany { .. }));
    let long = " ".repeat(2 * 1024 * 1024 + 1);
    assert!(matches!(SigningConfig::parse(long.as_bytes()), Err(E::TooLong { .. })));
}

#[test]
fn a_trust_configuration_is_a_trust_root_and_a_signing_configuration() {
    let instance = Instance::default();
    let root = instance.trust_root(&instance.issue());
    let whole = json!({
        "mediaType": TRUST_CONFIG, "trustedRoot": root, "signingConfig": config(json!({})),
    });
    let parsed = ClientTrustConfig::parse(whole.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.signing_config.authority(now()).unwrap().to_string(), "https://ca.example");
    let with = |name: &str, value: Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        ClientTrustConfig::parse(changed.to_string().as_bytes()).unwrap_err()
    };
    use ParseTrustConfigError as E;
    assert!(matches!(with("mediaType", "x".into()), E::MediaType { .. }));
    assert!(matches!(with("trustedRoot", json!({})), E::TrustRoot(_)));
    assert!(matches!(with("trustedRoot", Value::Null), E::TrustRoot(_)));
    assert!(matches!(with("signingConfig", json!({})), E::MediaType { .. }));
    assert!(matches!(with("signingConfig", Value::Null), E::Json(_)));
    for missing in ["trustedRoot", "signingConfig"] {
        let mut changed = whole.clone();
        changed.as_object_mut().unwrap().remove(missing);
        let parsed = ClientTrustConfig::parse(changed.to_string().as_bytes());
        assert!(matches!(parsed, Err(E::Json(_))), "{missing}");
    }
}
