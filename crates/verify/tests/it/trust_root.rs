//! Trust roots that parse and trust roots that must not.

use serde_json::Value;
use testkit::json::change_bytes;
use verify::TrustRoot;
use verify::trust_root::ParseTrustRootError;

#[test]
fn the_embedded_public_root_parses() {
    let root = TrustRoot::public_good();
    assert_eq!(root.digest(), &crypto::sha256(TrustRoot::public_good_json()));
}

/// What is built in is not verified when it is used, so it is here: as a file would be, and each
/// signature in it counts.
#[test]
fn the_chains_of_the_embedded_public_root_hold() {
    let root = TrustRoot::pin(TrustRoot::public_good_json()).unwrap();
    assert_eq!(format!("{root:?}"), format!("{:?}", TrustRoot::public_good()));

    let mut linked = 0;
    let document: Value = serde_json::from_slice(TrustRoot::public_good_json()).unwrap();
    for kind in ["certificateAuthorities", "timestampAuthorities"] {
        for authority in 0..document[kind].as_array().unwrap().len() {
            let chain = format!("/{kind}/{authority}/certChain/certificates");
            let length = document.pointer(&chain).unwrap().as_array().unwrap().len();
            // The top one is believed as it is.
            for certificate in 0..length - 1 {
                let mut altered = document.clone();
                let place = format!("{chain}/{certificate}/rawBytes");
                // A certificate ends with its signature.
                change_bytes(&mut altered, &place, |der| *der.last_mut().unwrap() ^= 1);
                let refused = TrustRoot::pin(altered.to_string().as_bytes());
                assert!(
                    matches!(refused, Err(ParseTrustRootError::Chain { .. })),
                    "{place}: {refused:?}"
                );
                linked += 1;
            }
        }
    }
    assert!(linked >= 2, "{linked}");
}

/// Replaces one text of the embedded root, which must be there.
fn with(from: &str, to: &str) -> Result<TrustRoot, ParseTrustRootError> {
    let json = std::str::from_utf8(TrustRoot::public_good_json()).unwrap();
    assert!(json.contains(from), "{from} is not in the embedded root");
    TrustRoot::pin(json.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_key_without_a_start_of_validity_is_refused() {
    let refused = with("\"start\": \"2021-01-12T11:53:27Z\"", "\"end\": \"2031-01-12T11:53:27Z\"");
    assert!(
        matches!(refused, Err(ParseTrustRootError::Missing { field: "start of validity", .. })),
        "{refused:?}"
    );
}

#[test]
fn a_window_that_ends_before_it_starts_is_refused() {
    let refused =
        with("\"end\": \"2022-12-31T23:59:59.999Z\"", "\"end\": \"2020-01-01T00:00:00Z\"");
    assert!(matches!(refused, Err(ParseTrustRootError::BadWindow { .. })), "{refused:?}");
}

#[test]
fn another_media_type_is_refused() {
    let refused = with("trustedroot+json;version=0.1", "trustedroot+json;version=9.9");
    assert!(matches!(refused, Err(ParseTrustRootError::UnknownMediaType { .. })), "{refused:?}");
}

#[test]
fn a_key_of_an_unknown_algorithm_is_left_out() {
    assert!(with("PKIX_ED25519", "PKIX_OF_THE_FUTURE").is_ok());
}

#[test]
fn details_of_another_kind_of_key_are_refused() {
    let refused = with("PKIX_ED25519", "PKIX_ECDSA_P256_SHA_256");
    assert!(matches!(refused, Err(ParseTrustRootError::Key { .. })), "{refused:?}");
}

#[test]
fn trust_roots_that_do_not_hold_together_are_refused() {
    for (name, root) in testkit::untrusted::all() {
        let outcome = TrustRoot::pin(root.to_string().as_bytes());
        assert!(outcome.is_err(), "{name} was taken");
    }
    let instance = testkit::Instance::default();
    let right = instance.trust_root(&instance.issue());
    TrustRoot::pin(right.to_string().as_bytes()).unwrap();
}

#[test]
fn a_trust_root_is_bounded() {
    let json = TrustRoot::public_good_json();
    let mut fits = json.to_vec();
    fits.resize(verify::trust_root::TRUST_ROOT_SIZE_MAX, b' ');
    TrustRoot::pin(&fits).unwrap();
    fits.push(b' ');
    let found = fits.len();
    assert_eq!(TrustRoot::pin(&fits).unwrap_err(), ParseTrustRootError::TooLong { found });
}

#[test]
fn as_many_members_as_are_read() {
    use verify::trust_root::MEMBERS_MAX;
    let instance = testkit::Instance::default();
    let right = instance.trust_root(&instance.issue());
    for (field, kind) in [
        ("tlogs", "transparency log"),
        ("ctlogs", "CT log"),
        ("certificateAuthorities", "certificate authority"),
        ("timestampAuthorities", "timestamp authority"),
    ] {
        let with = |count: usize| {
            let mut root = right.clone();
            root[field] = vec![root[field][0].clone(); count].into();
            TrustRoot::pin(root.to_string().as_bytes())
        };
        if field.ends_with("logs") {
            with(MEMBERS_MAX).unwrap();
        }
        assert_eq!(with(MEMBERS_MAX + 1).unwrap_err(), ParseTrustRootError::TooMany { kind });
    }
}

/// A v2 log's origin is the host of its URL, however that is written.
#[test]
fn the_host_of_a_url_is_a_v2_logs_origin() {
    use testkit::Scene;
    use verify::Refusal;
    let prove = |url: &'static str, origin: &'static str| {
        let scene = Scene::v2()
            .on_trust_root(move |root| root["tlogs"][1]["baseUrl"] = url.into())
            .on_checkpoint(move |checkpoint| checkpoint.origin = origin.to_owned());
        crate::judging::prove(&scene)
    };
    for (url, origin) in [
        ("https://log.example", "log.example"),
        ("http://log.example", "log.example"),
        ("https://log.example/", "log.example"),
        ("https://log.example:8443/api/v2?x#y", "log.example"),
        ("https://log.example?x", "log.example"),
        ("https://log.example#y", "log.example"),
        ("http://127.0.0.1:3000", "127.0.0.1"),
        ("http://[::1]:3000/", "::1"),
    ] {
        prove(url, origin).unwrap_or_else(|refusal| panic!("{url}: {refusal:?}"));
        let other = prove(url, "other.example");
        let wanted = origin.to_owned();
        let found = "other.example".to_owned();
        assert_eq!(other.unwrap_err(), Refusal::WrongOrigin { index: 0, wanted, found });
    }
    let instance = testkit::Instance::default();
    let right = instance.trust_root(&instance.issue());
    for url in [
        "log.example",
        "ftp://log.example",
        "https://",
        "https://:443",
        "https://[::1",
        "https://a@b",
    ] {
        let mut root = right.clone();
        root["tlogs"][1]["baseUrl"] = url.into();
        let error = TrustRoot::pin(root.to_string().as_bytes()).unwrap_err();
        let kind = "transparency log";
        assert_eq!(error, ParseTrustRootError::BadUrl { kind, index: 1 }, "{url}");
    }
}

/// Cosign writes none where it is given keys alone. A v2 log cannot do without.
#[test]
fn a_log_without_a_url_goes_by_its_key() {
    use testkit::Scene;
    use verify::Refusal;
    let without = |scene: Scene, url: Option<&'static str>| {
        let scene = scene.on_trust_root(move |root| {
            for list in ["tlogs", "ctlogs"] {
                for log in root[list].as_array_mut().unwrap() {
                    log["baseUrl"] = url.into();
                }
            }
        });
        crate::judging::prove(&scene)
    };
    for url in [None, Some("")] {
        let claim = without(Scene::v1(), url).unwrap();
        assert!(claim.entries()[0].log_name().starts_with("the log with key ID "), "{url:?}");
        let refusal = without(Scene::v2(), url).unwrap_err();
        let Refusal::WrongOrigin { wanted, .. } = refusal else { panic!("{refusal:?}") };
        assert!(wanted.starts_with("the log with key ID "), "{wanted}");
    }
}

#[test]
fn windows_hold_to_the_millisecond_and_say_themselves() {
    use evidence::UnixTime;
    use verify::trust_root::Window;
    let at = UnixTime::from_milliseconds;
    let closed = Window { start: at(1_000), end: Some(at(2_999)) };
    for (time, inside) in [(999, false), (1_000, true), (2_999, true), (3_000, false)] {
        assert_eq!(closed.contains(at(time)), inside, "{time}");
    }
    assert_eq!(closed.to_string(), "1970-01-01T00:00:01Z to 1970-01-01T00:00:02.999Z");
    let open = Window { start: at(1_000), end: None };
    assert!(!open.contains(at(999)) && open.contains(at(i64::MAX)));
    assert_eq!(open.to_string(), "from 1970-01-01T00:00:01Z");
}

/// Every fault of a member says which member it is.
#[test]
fn faults_name_the_member() {
    use testkit::json::{at, remove};
    let instance = testkit::Instance::default();
    let right = instance.trust_root(&instance.issue());
    let error = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut root = right.clone();
        change(&mut root);
        TrustRoot::pin(root.to_string().as_bytes()).unwrap_err()
    };
    let log = "transparency log";
    for (pointer, field) in [
        ("/tlogs/1/publicKey", "public key"),
        ("/tlogs/1/publicKey/validFor", "validity window"),
        ("/tlogs/1/publicKey/validFor/start", "start of validity"),
        ("/tlogs/1/logId", "log identifier"),
        ("/tlogs/1/logId/keyId", "log identifier"),
        ("/tlogs/1/publicKey/keyDetails", "key details"),
        ("/tlogs/1/publicKey/rawBytes", "key in base64"),
    ] {
        let wanted = ParseTrustRootError::Missing { kind: log, index: 1, field };
        assert_eq!(error(&|root| remove(root, pointer)), wanted, "{pointer}");
    }
    for (pointer, field) in [
        ("/tlogs/1/logId/keyId", "log identifier in base64"),
        ("/tlogs/1/publicKey/rawBytes", "key in base64"),
    ] {
        let wanted = ParseTrustRootError::Missing { kind: log, index: 1, field };
        assert_eq!(error(&|root| *at(root, pointer) = "?".into()), wanted, "{pointer}");
    }
    for (pointer, kind) in [
        ("/certificateAuthorities/0", "certificate authority"),
        ("/timestampAuthorities/0", "timestamp authority"),
    ] {
        let raw = format!("{pointer}/certChain/certificates/0/rawBytes");
        let field = "certificate in base64";
        let missing = ParseTrustRootError::Missing { kind, index: 0, field };
        assert_eq!(error(&|root| *at(root, &raw) = "?".into()), missing);
        assert_eq!(error(&|root| remove(root, &raw)), missing);
        let malformed = error(&|root| *at(root, &raw) = "AAAA".into());
        let named = matches!(malformed, ParseTrustRootError::Chain { kind: found, index: 0, .. } if found == kind);
        assert!(named, "{malformed:?}");
        let empty = error(&|root| remove(root, &format!("{pointer}/certChain")));
        let source = verify::chain::BadChain::Empty;
        assert_eq!(empty, ParseTrustRootError::Chain { kind, index: 0, source });
    }
    for bad in ["yesterday", ""] {
        let window = error(&|root| *at(root, "/ctlogs/0/publicKey/validFor/start") = bad.into());
        assert_eq!(window, ParseTrustRootError::BadWindow { kind: "CT log", index: 0 });
    }
    let end = error(&|root| at(root, "/ctlogs/0/publicKey/validFor")["end"] = "?".into());
    assert_eq!(end, ParseTrustRootError::BadWindow { kind: "CT log", index: 0 });
}
