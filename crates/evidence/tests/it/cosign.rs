//! Cosign's formats before bundles: every part is read, bounded, and refused where it is nonsense.

use std::collections::BTreeMap;

use crypto::KeyKind;
use evidence::ParseEvidenceError;
use evidence::bundle::{Content, Format, SignerMaterial};
use evidence::cosign::{
    ANNOTATION_SIZE_MAX, DetachedFiles, ENVELOPE_MEDIA_TYPE, Layer, PAYLOAD_SIZE_MAX,
    ParseCosignError, ParsePayloadError, SIMPLE_SIGNING_MEDIA_TYPE, SimpleSigning, WriteLayerError,
};
use evidence::entry::ParseEntryError;
use evidence::{Digest, Evidence};
use serde_json::{Value, json};
use testkit::cosign::{CERTIFICATE, CHAIN, LOG_ENTRY, SIGNATURE, TIMESTAMP};
use testkit::json::{base64, every_field_wrong, unbase64};
use testkit::log::{Kind, pem};
use testkit::{Key, Scene, SealedLayer};

fn layer(sealed: &SealedLayer) -> Layer {
    Layer {
        media_type: sealed.media_type.to_owned(),
        annotations: sealed.annotations.clone(),
        bytes: sealed.bytes.clone(),
    }
}

fn signature() -> Layer {
    layer(&Scene::cosign().with(|scene| scene.timestamps = 1).seal_layer())
}

fn attestation() -> Layer {
    layer(&Scene::cosign_attestation(Kind::DsseV1).seal_layer())
}

fn refused(mut layer: Layer, change: impl FnOnce(&mut Layer)) -> ParseCosignError {
    Evidence::from_cosign_layer(layer.clone()).expect("right before it is changed");
    change(&mut layer);
    Evidence::from_cosign_layer(layer).expect_err("wrong after")
}

fn annotated(name: &str, value: impl Into<String>) -> impl FnOnce(&mut Layer) {
    let (name, value) = (name.to_owned(), value.into());
    move |layer| {
        layer.annotations.insert(name, value);
    }
}

#[test]
fn layers_are_read_with_all_that_stands_beside_them() {
    let sealed = Scene::cosign().with(|scene| scene.timestamps = 1).seal_layer();
    let evidence = Evidence::from_cosign_layer(layer(&sealed)).unwrap();
    assert_eq!(evidence.format, Format::CosignSignature);
    let SignerMaterial::Certificate(certificate) = &evidence.signer else { panic!("keyless") };
    assert_eq!(certificate.der(), sealed.certificate.unwrap());
    let Content::SimpleSigning { payload, signature } = &evidence.content else { panic!() };
    assert_eq!(*payload, sealed.bytes);
    assert_eq!(base64(signature), sealed.annotations[SIGNATURE]);
    let [entry] = evidence.entries.as_slice() else { panic!("one entry") };
    assert_eq!((entry.kind.as_str(), entry.version.as_str()), ("hashedrekord", "0.0.1"));
    assert_eq!(entry.log_index, 1_005);
    assert!(entry.promise.is_some() && entry.proof.is_none());
    assert_eq!(evidence.timestamps.len(), 1);

    let sealed = Scene::cosign_attestation(Kind::IntotoV1).pinned().seal_layer();
    let evidence = Evidence::from_cosign_layer(layer(&sealed)).unwrap();
    assert_eq!(evidence.format, Format::CosignAttestation);
    assert_eq!(evidence.signer, SignerMaterial::PublicKeyHint(String::new()));
    let Content::Envelope(envelope) = &evidence.content else { panic!("an envelope") };
    assert_eq!(envelope.document.as_deref(), Some(sealed.bytes.as_slice()));
    assert_eq!(evidence.stamped().collect::<Vec<_>>(), [evidence.signature(), &sealed.bytes]);
    assert!(evidence.timestamps.is_empty());
}

#[test]
fn what_is_read_is_written_the_same() {
    for scene in [
        Scene::cosign(),
        Scene::cosign().pinned(),
        Scene::cosign().with(|scene| scene.timestamps = 1),
        Scene::cosign().logged_as(Kind::RekordV1),
        Scene::cosign_attestation(Kind::DsseV1),
        Scene::cosign_attestation(Kind::IntotoV1).pinned(),
        Scene::cosign_attestation(Kind::IntotoV2),
    ] {
        let read = layer(&scene.seal_layer());
        let evidence = Evidence::from_cosign_layer(read.clone()).unwrap();
        let chain: Vec<_> =
            read.annotations.get(CHAIN).map(|text| blocks(text)).unwrap_or_default();
        let written = evidence.to_cosign_layer(&chain).unwrap();
        assert_eq!((&written.media_type, &written.bytes), (&read.media_type, &read.bytes));
        let meaning = |layer: &Layer| -> BTreeMap<String, Value> {
            let parse = |text: &String| {
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
            };
            layer.annotations.iter().map(|(name, text)| (name.clone(), parse(text))).collect()
        };
        assert_eq!(meaning(&written), meaning(&read));
    }
}

fn blocks(pems: &str) -> Vec<Vec<u8>> {
    pems.split_inclusive("-----END CERTIFICATE-----\n")
        .map(|block| crypto::pem::decode(block.as_bytes()).unwrap().1)
        .collect()
}

/// A bundle's statement becomes an attestation layer, where its log promised something; and no
/// older claim becomes a bundle for which it lacks something.
#[test]
fn formats_are_converted_where_nothing_is_lost() {
    let bundle = Scene::statement(Kind::DsseV1).seal().bundle_json();
    let evidence = Evidence::from_bundle(&bundle).unwrap();
    let layer = evidence.to_cosign_layer(&[]).unwrap();
    assert_eq!(layer.media_type, ENVELOPE_MEDIA_TYPE);
    assert_eq!(layer.annotations[SIGNATURE], "");
    assert_eq!(layer.annotations["predicateType"], "https://slsa.dev/provenance/v1");
    let read = Evidence::from_cosign_layer(layer).unwrap();
    assert_eq!(read.signature(), evidence.signature());
    assert_eq!(read.entries[0].canonical_body, evidence.entries[0].canonical_body);

    let v2 = Evidence::from_bundle(&Scene::statement(Kind::HashedRekordV2).seal().bundle_json());
    assert_eq!(v2.unwrap().to_cosign_layer(&[]), Err(WriteLayerError::NoPromise));
    let message = Evidence::from_bundle(&Scene::v1().seal().bundle_json()).unwrap();
    assert_eq!(message.to_cosign_layer(&[]), Err(WriteLayerError::NotAboutAnImage));
    for layer in [signature(), attestation()] {
        assert!(Evidence::from_cosign_layer(layer).unwrap().to_bundle_v0_3().is_err());
    }
    let mut simple = Evidence::from_cosign_layer(signature()).unwrap();
    simple.entries.clear();
    let refusal = simple.to_bundle_v0_3().unwrap_err();
    assert_eq!(refusal, evidence::bundle::ParseBundleError::SimpleSigning);
}

#[test]
fn what_a_layer_is_called_does_not_hide_a_signature() {
    for media_type in ["application/octet-stream", "", "text/plain"] {
        let mut layer = signature();
        layer.media_type = media_type.to_owned();
        Evidence::from_cosign_layer(layer.clone()).unwrap();
        layer.annotations.remove(SIGNATURE);
        let found = media_type.to_owned();
        let refusal = Evidence::from_cosign_layer(layer).unwrap_err();
        assert_eq!(refusal, ParseCosignError::UnknownMediaType { found });
    }
}

#[test]
fn nonsense_beside_a_signature_is_refused() {
    use ParseCosignError::{BadBase64, BadPem, NoSignature, TooManyCertificates};
    let (what, leaf) = ("the annotated signature", "the annotated certificate");
    assert_eq!(refused(signature(), annotated(SIGNATURE, "!")), BadBase64 { what });
    assert_eq!(refused(signature(), annotated(SIGNATURE, "")), NoSignature);
    assert_eq!(refused(signature(), |layer| layer.annotations.clear()), NoSignature);
    assert_eq!(refused(signature(), annotated(CERTIFICATE, "nonsense")), BadPem { what: leaf });
    let key = pem("PUBLIC KEY", &Scene::v1().key.spki());
    assert_eq!(refused(signature(), annotated(CERTIFICATE, key)), BadPem { what: leaf });
    let broken = pem("CERTIFICATE", b"\x30\x00");
    let refusal = refused(signature(), annotated(CERTIFICATE, broken));
    assert!(matches!(refusal, ParseCosignError::Certificate { index: 0, .. }), "{refusal:?}");

    let chain = signature().annotations[CHAIN].clone();
    let what = "the annotated chain";
    assert_eq!(refused(signature(), annotated(CHAIN, format!("{chain}x"))), BadPem { what });
    let endless = chain.repeat(6);
    let many = TooManyCertificates { what, max: 10 };
    assert_eq!(refused(signature(), annotated(CHAIN, endless)), many);
    let mut most = signature();
    most.annotations
        .insert(CHAIN.to_owned(), chain.repeat(5).replace("-----\n-----", "-----\r\n\n-----"));
    Evidence::from_cosign_layer(most).unwrap();
}

#[test]
fn a_signature_beside_an_envelope_is_its_own_or_none() {
    let mut same = attestation();
    let own = Evidence::from_cosign_layer(same.clone()).unwrap().signature().to_vec();
    same.annotations.insert(SIGNATURE.to_owned(), base64(&own));
    Evidence::from_cosign_layer(same).unwrap();
    let other = annotated(SIGNATURE, base64(b"another"));
    assert_eq!(refused(attestation(), other), ParseCosignError::OtherSignature);
    for count in [0, 2] {
        let refusal = refused(attestation(), |layer| {
            let mut envelope: Value = serde_json::from_slice(&layer.bytes).unwrap();
            let one = envelope["signatures"][0].clone();
            envelope["signatures"] = Value::from(vec![one; count]);
            layer.bytes = envelope.to_string().into_bytes();
        });
        assert_eq!(refusal, ParseCosignError::EnvelopeSignatures { found: count });
    }
    let refusal = refused(attestation(), |layer| {
        let mut envelope: Value = serde_json::from_slice(&layer.bytes).unwrap();
        envelope["signatures"][0]["sig"] = "".into();
        layer.bytes = envelope.to_string().into_bytes();
    });
    assert_eq!(refusal, ParseCosignError::NoSignature);
}

#[test]
fn everything_has_a_longest() {
    fn too_long(refusal: &ParseCosignError) -> bool {
        matches!(refusal, ParseCosignError::TooLong { .. })
    }
    for name in [SIGNATURE, CERTIFICATE, CHAIN, LOG_ENTRY, TIMESTAMP] {
        let long = "A".repeat(ANNOTATION_SIZE_MAX + 4);
        assert!(too_long(&refused(signature(), annotated(name, long))), "{name}");
    }
    let long = |size: usize| move |layer: &mut Layer| layer.bytes = vec![b' '; size];
    assert!(too_long(&refused(signature(), long(PAYLOAD_SIZE_MAX + 1))));
    let size = evidence::bundle::BUNDLE_SIZE_MAX + 1;
    assert!(too_long(&refused(attestation(), long(size))));
    let blob = vec![b' '; size];
    assert!(too_long(&Evidence::from_blob_bundle(&blob).unwrap_err()));
    let mut layer = signature();
    layer.bytes = vec![b' '; PAYLOAD_SIZE_MAX];
    Evidence::from_cosign_layer(layer).unwrap();
}

/// Every field of the log entry and the timestamp absent, null, empty, of another type, oversize.
#[test]
fn a_wrong_field_beside_a_signature_is_refused() {
    let mut judged = 0;
    for name in [LOG_ENTRY, TIMESTAMP] {
        let right: Value = serde_json::from_str(&signature().annotations[name]).unwrap();
        for wrong in every_field_wrong(&right) {
            let mut layer = signature();
            layer.annotations.insert(name.to_owned(), wrong.document.to_string());
            let outcome = Evidence::from_cosign_layer(layer);
            let number = ["/Payload/logIndex", "/Payload/integratedTime"];
            // Another number, another text and bytes that mean nothing are read; the log's promise,
            // and the authority's signature, tell.
            let harmless = number.contains(&wrong.pointer.as_str())
                && ["a number", "a negative number"].contains(&wrong.how)
                || ["/SignedRFC3161Timestamp", "/SignedEntryTimestamp"].contains(&&*wrong.pointer)
                    && ["a text", "empty", "an oversize text"].contains(&wrong.how);
            assert!(outcome.is_err() || harmless, "{name} {} {}", wrong.pointer, wrong.how);
            judged += 1;
        }
    }
    assert!(judged > 80, "{judged}");
    let negative = refused(signature(), |layer| {
        let entry = layer.annotations.get_mut(LOG_ENTRY).unwrap();
        *entry = entry.replace("1005", "-1005");
    });
    assert_eq!(negative, ParseCosignError::Entry(ParseEntryError::Negative { field: "log index" }));
    let unpromised = refused(signature(), |layer| {
        let entry = layer.annotations.get_mut(LOG_ENTRY).unwrap();
        let mut json: Value = serde_json::from_str(entry).unwrap();
        json["SignedEntryTimestamp"] = "".into();
        *entry = json.to_string();
    });
    assert_eq!(unpromised, ParseCosignError::Entry(ParseEntryError::Missing { field: "promise" }));
}

#[test]
fn payloads_are_written_as_cosign_writes_them() {
    let image = Digest::sha256(b"image");
    let none = BTreeMap::new();
    let payload = SimpleSigning::payload(&image, "registry.example/app", &none);
    let wanted = format!(
        concat!(
            r#"{{"critical":{{"identity":{{"docker-reference":"registry.example/app"}},"#,
            r#""image":{{"docker-manifest-digest":"{}"}},"#,
            r#""type":"cosign container image signature"}},"optional":null}}"#
        ),
        image
    );
    assert_eq!(String::from_utf8(payload.clone()).unwrap(), wanted);
    let parsed = SimpleSigning::parse(&payload).unwrap();
    assert_eq!((parsed.image, parsed.reference.as_str()), (image, "registry.example/app"));
    assert!(parsed.annotations.is_none());
    let some = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let parsed = SimpleSigning::parse(&SimpleSigning::payload(&image, "x", &some)).unwrap();
    assert_eq!(parsed.annotations.unwrap().get(), r#"{"env":"prod"}"#);
}

#[test]
fn payloads_without_what_counts_are_refused() {
    let right: Value = serde_json::from_slice(&SimpleSigning::payload(
        &Digest::sha256(b"x"),
        "r",
        &BTreeMap::new(),
    ))
    .unwrap();
    for wrong in every_field_wrong(&right) {
        let outcome = SimpleSigning::parse(wrong.document.to_string().as_bytes());
        // What the image is called, and what is signed along, may be anything of its type.
        let free = wrong.pointer == "/optional"
            || wrong.pointer == "/critical/identity/docker-reference"
                && ["a text", "empty", "an oversize text"].contains(&wrong.how);
        assert_eq!(outcome.is_ok(), free, "{} {}", wrong.pointer, wrong.how);
    }
    let kind = |text: &str| {
        let mut payload = right.clone();
        payload["critical"]["type"] = text.into();
        SimpleSigning::parse(payload.to_string().as_bytes()).unwrap_err()
    };
    let found = "atomic container signature".to_owned();
    assert_eq!(kind(&found), ParsePayloadError::UnknownType { found });
    let ParsePayloadError::UnknownType { found } = kind(&"x".repeat(1000)) else { panic!() };
    assert_eq!(found.len(), 128);
    // A list is no object, and a name stands once.
    let text = right.to_string();
    let twice = text.replacen("\"type\"", "\"type\":\"x\",\"type\"", 1);
    assert!(SimpleSigning::parse(twice.as_bytes()).is_err());
    assert!(SimpleSigning::parse(b"[[[\"r\"],[\"sha256:00\"],\"t\"],null]").is_err());
}

#[test]
fn blob_bundles_hold_a_certificate_or_a_hint() {
    let (bundle, _) = Scene::v1().seal_blob();
    let evidence = Evidence::from_file(bundle.to_string().as_bytes()).unwrap();
    assert_eq!(evidence.format, Format::CosignBlob);
    assert!(matches!(evidence.signer, SignerMaterial::Certificate(_)));
    assert!(matches!(evidence.content, Content::Message { digest: None, .. }));
    let scene = Scene::v1().pinned();
    let (bundle, _) = scene.seal_blob();
    let evidence = Evidence::from_file(bundle.to_string().as_bytes()).unwrap();
    let hint = base64(&crypto::sha256(&scene.key.spki()));
    assert_eq!(evidence.signer, SignerMaterial::PublicKeyHint(hint));
    // PEM itself instead of base64 of it.
    let mut plain = bundle.clone();
    plain["cert"] = pem("PUBLIC KEY", &scene.key.spki()).into();
    let again = Evidence::from_file(plain.to_string().as_bytes()).unwrap();
    assert_eq!(again.signer, evidence.signer);
    // What is no blob bundle is read as a Sigstore bundle, and the other way round.
    let sealed = scene.seal().bundle_json();
    assert_eq!(Evidence::from_file(&sealed).unwrap().format, Format::BundleV0_3);
    let both = json!({"mediaType": "x", "base64Signature": "AA=="}).to_string();
    let refusal = Evidence::from_file(both.as_bytes()).unwrap_err();
    assert!(matches!(refusal, ParseEvidenceError::Bundle(_)), "{refusal:?}");
    for broken in [
        json!({"base64Signature": ""}),
        json!({"base64Signature": "!"}),
        json!({"base64Signature": 1}),
    ] {
        let refusal = Evidence::from_file(broken.to_string().as_bytes()).unwrap_err();
        assert!(matches!(refusal, ParseEvidenceError::Cosign(_)), "{refusal:?}");
    }
}

#[test]
fn files_beside_a_blob_bundle_add_what_it_has_not() {
    let scene = Scene::v1().with(|scene| scene.timestamps = 1);
    let (bundle, _) = scene.seal_blob();
    let stamp = Evidence::from_bundle(&scene.seal().bundle_json()).unwrap().timestamps.remove(0);
    let json = |bundle: &Value| bundle.to_string().into_bytes();
    let files = DetachedFiles { timestamp: Some(&stamp), ..DetachedFiles::default() };
    let evidence = Evidence::from_blob_bundle_beside(&json(&bundle), &files).unwrap();
    assert_eq!(evidence.timestamps, std::slice::from_ref(&stamp));
    assert!(matches!(evidence.signer, SignerMaterial::Certificate(_)));
    assert_eq!(evidence.entries.len(), 1);

    let own = unbase64(&bundle["cert"]);
    let mut without = bundle.clone();
    without.as_object_mut().unwrap().remove("cert").unwrap();
    let files = DetachedFiles { certificate: Some(&own), ..files };
    for bundle in [&bundle, &without] {
        let found = Evidence::from_blob_bundle_beside(&json(bundle), &files).unwrap();
        assert_eq!(found.signer, evidence.signer);
    }
    let other = Scene::v1().with(|scene| scene.key = Key::named("another", KeyKind::EcdsaP256));
    let (other, _) = other.seal_blob();
    let other = unbase64(&other["cert"]);
    let files = DetachedFiles { certificate: Some(&other), ..DetachedFiles::default() };
    let refusal = Evidence::from_blob_bundle_beside(&json(&bundle), &files).unwrap_err();
    assert_eq!(refusal, ParseCosignError::OtherCertificate);
    let found = Evidence::from_blob_bundle_beside(&json(&without), &files).unwrap();
    assert_ne!(found.signer, evidence.signer);
}

#[test]
fn a_signature_beside_a_blob_bundle_is_the_bundles() {
    let (bundle, _) = Scene::v1().seal_blob();
    let signature = unbase64(&bundle["base64Signature"]);
    let json = bundle.to_string().into_bytes();
    let wanted = Evidence::from_blob_bundle(&json).unwrap();
    let files = DetachedFiles { log_entry: Some(&json), ..DetachedFiles::default() };
    let found = Evidence::from_detached_signature(&signature, &files).unwrap();
    assert_eq!(found.signer, wanted.signer);
    assert_eq!((&found.content, found.entries.len()), (&wanted.content, 1));
    let refusal = Evidence::from_detached_signature(b"another", &files).unwrap_err();
    assert_eq!(refusal, ParseCosignError::OtherBlobSignature);
    // A certificate beside both must be the bundle's too.
    let (other, _) =
        Scene::v1().with(|scene| scene.key = Key::named("another", KeyKind::EcdsaP256)).seal_blob();
    let other = unbase64(&other["cert"]);
    let files = DetachedFiles { certificate: Some(&other), ..files };
    let refusal = Evidence::from_detached_signature(&signature, &files).unwrap_err();
    assert_eq!(refusal, ParseCosignError::OtherCertificate);
}

#[test]
fn an_envelope_may_stand_for_the_signature_on_a_blob() {
    let (bundle, _) = Scene::statement(Kind::IntotoV1).seal_blob();
    let evidence = Evidence::from_file(bundle.to_string().as_bytes()).unwrap();
    let Content::Envelope(envelope) = &evidence.content else { panic!("an envelope") };
    assert!(envelope.document.is_some());
    // What only begins like one is a signature.
    let mut odd = bundle;
    odd["base64Signature"] = base64(b"{not json").into();
    let evidence = Evidence::from_file(odd.to_string().as_bytes()).unwrap();
    assert_eq!(evidence.signature(), b"{not json");
}

#[test]
fn detached_files_make_the_same_evidence() {
    let sealed = Scene::cosign().with(|scene| scene.timestamps = 1).seal_layer();
    let wanted = Evidence::from_cosign_layer(layer(&sealed)).unwrap();
    let text = &sealed.annotations[SIGNATURE];
    let raw = wanted.signature().to_vec();
    let certificate = sealed.annotations[CERTIFICATE].as_bytes();
    let wrapped = base64(certificate);
    let stamp = wanted.timestamps[0].clone();
    let entry = sealed.annotations[LOG_ENTRY].as_bytes();
    let in_bundle = json!({
        "base64Signature": text,
        "rekorBundle": serde_json::from_slice::<Value>(entry).unwrap(),
    });
    let in_bundle = in_bundle.to_string();
    for (signature, certificate, log_entry, timestamp) in [
        (text.as_bytes(), certificate, entry, sealed.annotations[TIMESTAMP].as_bytes()),
        (raw.as_slice(), wrapped.as_bytes(), in_bundle.as_bytes(), stamp.as_slice()),
        (format!("{text}\r\n").as_bytes(), certificate, entry, &stamp),
    ] {
        let files = DetachedFiles {
            certificate: Some(certificate),
            log_entry: Some(log_entry),
            timestamp: Some(timestamp),
        };
        let found =
            Evidence::from_detached_payload(sealed.bytes.clone(), signature, &files).unwrap();
        assert_eq!((&found.content, &found.signer), (&wanted.content, &wanted.signer));
        assert_eq!(found.timestamps, wanted.timestamps);
        assert_eq!(found.entries[0].promise, wanted.entries[0].promise);
        let blob = Evidence::from_detached_signature(signature, &files).unwrap();
        assert_eq!((blob.format, blob.signature()), (Format::CosignBlob, raw.as_slice()));
    }
    let none = DetachedFiles::default();
    let nothing = Evidence::from_detached_signature(b"", &none).unwrap_err();
    assert_eq!(nothing, ParseCosignError::NoSignature);
    let files = DetachedFiles { log_entry: Some(b"{\"base64Signature\":\"AA==\"}"), ..none };
    assert!(Evidence::from_detached_signature(&raw, &files).is_err());
    let sealed = Scene::cosign_attestation(Kind::DsseV1).seal_layer();
    let found = Evidence::from_detached_envelope(sealed.bytes.clone(), &none).unwrap();
    assert_eq!(found.format, Format::CosignAttestation);
    assert!(Evidence::from_detached_envelope(b"{}".to_vec(), &none).is_err());
}

#[test]
fn the_media_types_are_cosigns() {
    assert_eq!(signature().media_type, SIMPLE_SIGNING_MEDIA_TYPE);
    assert_eq!(attestation().media_type, ENVELOPE_MEDIA_TYPE);
}
