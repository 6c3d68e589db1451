//! Sigstore bundles: what their versions demand, what is bounded, and what every field may hold.

use evidence::bundle::{
    BUNDLE_SIZE_MAX, CHAIN_MAX, Content, ENTRIES_MAX, Format, ParseBundleError, SignerMaterial,
    TIMESTAMPS_MAX,
};
use evidence::{Evidence, UnixTime};
use serde_json::{Value, json};
use testkit::json::{at, every_field_wrong, remove};
use testkit::log::Kind;
use testkit::{Scene, accepted};

fn parse(bundle: &Value) -> Result<Evidence, ParseBundleError> {
    Evidence::from_bundle(bundle.to_string().as_bytes())
}

/// Changes a right bundle and says what the parser made of it.
fn refused(scene: &Scene, change: impl FnOnce(&mut Value)) -> ParseBundleError {
    let mut bundle = scene.seal().bundle;
    parse(&bundle).expect("right before it is changed");
    change(&mut bundle);
    parse(&bundle).expect_err("wrong after")
}

#[test]
fn everything_in_a_bundle_is_read() {
    let sealed = Scene::v1().with(|scene| scene.timestamps = 2).seal();
    let evidence = parse(&sealed.bundle).unwrap();
    assert_eq!(evidence.format, Format::BundleV0_3);
    let SignerMaterial::Certificate(certificate) = &evidence.signer else { panic!("keyless") };
    assert_eq!(Some(certificate.der()), sealed.certificate.as_deref());
    assert_eq!(evidence.timestamps.len(), 2);
    let [entry] = evidence.entries.as_slice() else { panic!("one entry") };
    assert_eq!((entry.kind.as_str(), entry.version.as_str()), ("hashedrekord", "0.0.1"));
    assert_eq!(entry.log_index, 1_005);
    assert_eq!(entry.integrated_time, Some(UnixTime::from_seconds(testkit::clock::SIGNED_AT)));
    assert!(entry.promise.is_some());
    let proof = entry.proof.as_ref().unwrap();
    assert_eq!((proof.leaf_index.0, proof.tree_size.0, proof.hashes.len()), (5, 9, 4));
    let Content::Message { digest, signature } = &evidence.content else { panic!("a message") };
    assert_eq!(*digest, Some(evidence::Digest::sha256(&sealed.artifact)));
    assert_eq!(signature, evidence.signature());
}

#[test]
fn an_envelope_and_a_key_hint_are_read() {
    let evidence = parse(&Scene::statement(Kind::DsseV1).pinned().seal().bundle).unwrap();
    assert!(matches!(&evidence.signer, SignerMaterial::PublicKeyHint(hint) if hint.len() == 44));
    let Content::Envelope(envelope) = &evidence.content else { panic!("an envelope") };
    assert_eq!(envelope.payload_type, "application/vnd.in-toto+json");
    assert_eq!(envelope.signature, evidence.signature());
}

#[test]
fn what_is_written_reads_back_the_same() {
    for (name, scene) in accepted::all() {
        let evidence = parse(&scene.seal().bundle).unwrap();
        let complete = evidence
            .entries
            .iter()
            .all(|entry| entry.proof.as_ref().is_some_and(|proof| proof.checkpoint.is_some()));
        let written = match evidence.to_bundle_v0_3() {
            Ok(written) => written,
            Err(ParseBundleError::Missing { .. }) if !complete => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        assert!(complete, "{name}: v0.3 demands a proof with a checkpoint");
        let again =
            Evidence::from_bundle(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.format, Format::BundleV0_3, "{name}");
        let same = |evidence: &Evidence| {
            let Evidence { signer, entries, timestamps, content, .. } = evidence.clone();
            format!("{signer:?} {entries:?} {timestamps:?} {content:?}")
        };
        assert_eq!(same(&again), same(&evidence), "{name}");
    }
}

#[test]
fn every_version_demands_its_parts() {
    let missing = |error: &ParseBundleError, wanted: &str| matches!(error, ParseBundleError::Missing { part } if part.contains(wanted));
    let v1 = Scene::v1();
    for (pointer, part) in [
        ("/mediaType", "media type"),
        ("/verificationMaterial", "verification material"),
        ("/verificationMaterial/certificate", "certificate or public key"),
        ("/messageSignature", "message signature or envelope"),
        ("/verificationMaterial/tlogEntries/0/inclusionProof", "inclusion proof"),
        ("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint", "checkpoint"),
    ] {
        let error = refused(&v1, |bundle| remove(bundle, pointer));
        assert!(missing(&error, part), "{pointer}: {error:?}");
    }
    let v0_1 = Scene::v1().in_format(testkit::Format::V0_1);
    let error = refused(&v0_1, |bundle| {
        remove(bundle, "/verificationMaterial/tlogEntries/0/inclusionPromise");
    });
    assert!(missing(&error, "inclusion promise"), "{error:?}");
    // An empty promise is protobuf's way to leave it out.
    let error = refused(&v0_1, |bundle| {
        let promise = "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp";
        *at(bundle, promise) = Value::from("");
    });
    assert!(missing(&error, "inclusion promise"), "{error:?}");
}

#[test]
fn a_chain_begins_with_the_signer_and_holds_no_root() {
    let v0_2 = Scene::v1().in_format(testkit::Format::V0_2);
    let chain = "/verificationMaterial/x509CertificateChain/certificates";
    let single = Evidence::from_bundle(&Scene::v1().seal().bundle_json()).unwrap();
    assert_eq!(single.chain, None);
    let sealed = v0_2.seal();
    let issued = testkit::Instance::default().issue();
    for media_type in [
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    ] {
        let mut bundle = sealed.bundle.clone();
        bundle["mediaType"] = Value::from(media_type);
        let parse = |bundle: &Value| Evidence::from_bundle(bundle.to_string().as_bytes()).unwrap();
        assert_eq!(parse(&bundle).chain, Some(Vec::new()));
        let above = json!({"rawBytes": testkit::json::base64(&issued.authorities[0])});
        at(&mut bundle, chain).as_array_mut().unwrap().push(above);
        let evidence = parse(&bundle);
        let SignerMaterial::Certificate(leaf) = &evidence.signer else { panic!("certified") };
        assert_eq!(Some(leaf.der()), sealed.certificate.as_deref());
        let [above] = &evidence.chain.unwrap()[..] else { panic!("one above") };
        assert_eq!(above.der(), issued.authorities[0]);
    }
    let error = refused(&v0_2, |bundle| *at(bundle, chain) = json!([]));
    assert!(matches!(error, ParseBundleError::Missing { .. }), "{error:?}");
    let root = testkit::json::base64(&issued.authorities[1]);
    for position in [0, 1] {
        let error = refused(&v0_2, |bundle| {
            let list = at(bundle, chain).as_array_mut().unwrap();
            list.insert(position, json!({"rawBytes": root}));
        });
        assert_eq!(error, ParseBundleError::RootInChain);
    }
    let error = refused(&v0_2, |bundle| {
        at(bundle, chain).as_array_mut().unwrap().push(json!({"rawBytes": "AAAA"}));
    });
    assert!(matches!(error, ParseBundleError::Certificate { index: 1, .. }), "{error:?}");
}

#[test]
fn parts_that_exclude_each_other_are_ambiguous() {
    let envelope = Scene::statement(Kind::DsseV1).seal().bundle["dsseEnvelope"].clone();
    let both = refused(&Scene::v1(), |bundle| bundle["dsseEnvelope"] = envelope);
    assert!(matches!(both, ParseBundleError::Ambiguous { .. }), "{both:?}");
    let hint = json!({"hint": "a"});
    let both = refused(&Scene::v1(), |bundle| bundle["verificationMaterial"]["publicKey"] = hint);
    assert!(matches!(both, ParseBundleError::Ambiguous { .. }), "{both:?}");
}

#[test]
fn signatures_are_counted_and_not_empty() {
    let statement = Scene::statement(Kind::DsseV1);
    for count in [0, 2, 3] {
        let error = refused(&statement, |bundle| {
            let signatures = at(bundle, "/dsseEnvelope/signatures");
            *signatures = Value::from(vec![signatures[0].clone(); count]);
        });
        assert_eq!(error, ParseBundleError::EnvelopeSignatures { found: count });
    }
    let error = refused(&statement, |bundle| {
        *at(bundle, "/dsseEnvelope/signatures/0/sig") = Value::from("");
    });
    assert_eq!(error, ParseBundleError::EmptySignature);
    let error = refused(&Scene::v1(), |bundle| {
        *at(bundle, "/messageSignature/signature") = Value::from("");
    });
    assert_eq!(error, ParseBundleError::EmptySignature);
}

#[test]
fn lists_are_bounded_and_counted() {
    let repeat = |pointer: &'static str, count: usize| {
        move |bundle: &mut Value| {
            let list = at(bundle, pointer);
            *list = Value::from(vec![list[0].clone(); count]);
        }
    };
    let scene = Scene::v2();
    let entries = "/verificationMaterial/tlogEntries";
    let timestamps = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";
    let chain = "/verificationMaterial/x509CertificateChain/certificates";
    for (scene, pointer, part, max) in [
        (&scene, entries, "log entries", ENTRIES_MAX),
        (&scene, timestamps, "timestamps", TIMESTAMPS_MAX),
        (&Scene::v1().in_format(testkit::Format::V0_2), chain, "certificates", CHAIN_MAX),
    ] {
        let mut bundle = scene.seal().bundle;
        repeat(pointer, max)(&mut bundle);
        parse(&bundle).unwrap_or_else(|error| panic!("{max} {part} are read: {error}"));
        for found in [max + 1, 5_000] {
            let error = refused(scene, repeat(pointer, found));
            assert_eq!(error, ParseBundleError::TooMany { part, found, max });
        }
    }
}

#[test]
fn a_million_empty_items_are_counted_and_not_kept() {
    const COUNT: usize = 1_000_000;
    let items = format!("{}{{}}", "{},".repeat(COUNT - 1));
    let text = Scene::v2().seal().bundle.to_string();
    let (head, tail) = text.split_once("\"tlogEntries\":[").unwrap();
    let bundle = format!("{head}\"tlogEntries\":[{items}],\"rest\":[{tail}");
    let error = Evidence::from_bundle(bundle.as_bytes()).unwrap_err();
    let wanted = ParseBundleError::TooMany { part: "log entries", found: COUNT, max: ENTRIES_MAX };
    assert_eq!(error, wanted);
}

#[test]
fn more_bytes_than_are_read_are_not_parsed() {
    let found = BUNDLE_SIZE_MAX + 1;
    let error = Evidence::from_bundle(&vec![b' '; found]).unwrap_err();
    assert_eq!(error, ParseBundleError::TooLong { found });
    // As many as are read, of spaces behind a right bundle, are in order.
    let mut bundle = Scene::v1().seal().bundle_json();
    bundle.resize(BUNDLE_SIZE_MAX, b' ');
    Evidence::from_bundle(&bundle).unwrap();
}

#[test]
fn deep_nesting_is_refused_or_passed_over() {
    const DEPTH: usize = 1_000_000;
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let error = Evidence::from_bundle(deep.as_bytes()).unwrap_err();
    assert!(matches!(error, ParseBundleError::Json(_)), "{error:?}");
    let text = Scene::v1().seal().bundle.to_string();
    let unknown = format!("{{\"unknown\":{deep},{}", &text[1..]);
    Evidence::from_bundle(unknown.as_bytes()).unwrap();
    let known = text.replacen("\"tlogEntries\":[", &format!("\"tlogEntries\":[{deep},"), 1);
    let error = Evidence::from_bundle(known.as_bytes()).unwrap_err();
    assert!(matches!(error, ParseBundleError::Json(_)), "{error:?}");
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let text = Scene::v1().seal().bundle.to_string();
    for (field, twice) in [
        ("\"mediaType\":", "\"mediaType\":\"a\",\"mediaType\":"),
        ("\"signature\":", "\"signature\":\"AAAA\",\"signature\":"),
        ("\"tlogEntries\":", "\"tlogEntries\":[],\"tlogEntries\":"),
        // The two spellings of one field are one field.
        ("\"tlogEntries\":", "\"tlog_entries\":[],\"tlogEntries\":"),
        ("\"canonicalizedBody\":", "\"canonicalizedBody\":\"AAAA\",\"canonicalizedBody\":"),
    ] {
        let doubled = text.replacen(field, twice, 1);
        assert_ne!(doubled, text, "{field} is in the bundle");
        let error = Evidence::from_bundle(doubled.as_bytes()).unwrap_err();
        assert!(
            matches!(&error, ParseBundleError::Json(text) if text.contains("duplicate")),
            "{error:?}"
        );
    }
}

/// Protobuf's JSON: original field names, numbers as numbers, the other alphabet of base64.
#[test]
fn other_spellings_of_the_same_message_read_the_same() {
    let sealed = Scene::v2().seal();
    let text = sealed.bundle.to_string();
    let plain = parse(&sealed.bundle).unwrap();
    let camel = [
        "mediaType",
        "verificationMaterial",
        "tlogEntries",
        "timestampVerificationData",
        "rfc3161Timestamps",
        "signedTimestamp",
        "messageSignature",
        "messageDigest",
        "logIndex",
        "logId",
        "keyId",
        "kindVersion",
        "inclusionProof",
        "rootHash",
        "treeSize",
        "canonicalizedBody",
        "rawBytes",
    ];
    let mut snake = text.clone();
    for name in camel {
        let mut original = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                original.push('_');
            }
            original.push(letter.to_ascii_lowercase());
        }
        snake = snake.replace(&format!("\"{name}\":"), &format!("\"{original}\":"));
    }
    assert_ne!(snake, text);
    let numbers = text.replace("\"treeSize\":\"9\"", "\"treeSize\":9");
    assert_ne!(numbers, text);
    let mut url_safe = sealed.bundle.clone();
    let signature = at(&mut url_safe, "/messageSignature/signature");
    *signature = Value::from(
        signature.as_str().unwrap().replace('+', "-").replace('/', "_").trim_end_matches('='),
    );
    for other in [snake, numbers, url_safe.to_string()] {
        let read = Evidence::from_bundle(other.as_bytes()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{plain:?}"));
    }
}

#[test]
fn a_wrong_field_is_an_error_that_says_so_briefly() {
    const MESSAGE_SIZE_MAX: usize = 600;
    for scene in [
        Scene::v1().in_format(testkit::Format::V0_2),
        Scene::v2(),
        Scene::statement(Kind::IntotoV2).pinned(),
        Scene::statement(Kind::HashedRekordV2),
    ] {
        let bundle = scene.seal().bundle;
        let mut refused = 0;
        for wrong in every_field_wrong(&bundle) {
            if let Err(error) = parse(&wrong.document) {
                refused += 1;
                let mut text = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(inner) = source {
                    text = format!("{text}: {inner}");
                    source = inner.source();
                }
                let brief = !text.is_empty() && text.len() < MESSAGE_SIZE_MAX;
                assert!(brief, "{} {}: {text}", wrong.pointer, wrong.how);
            }
        }
        // What remains readable must still be proven, which is `verify`'s to refuse.
        assert!(refused > 300, "only {refused} of the wrong bundles were refused");
    }
}
