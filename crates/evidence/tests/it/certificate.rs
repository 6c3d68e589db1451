//! Certificates: what is read from them, and what is refused before anybody believes it.

use crypto::{HashAlgorithm, KeyKind, ParseKeyError, sha256};
use evidence::certificate::constraints::{CODE_SIGNING, TIME_STAMPING};
use evidence::certificate::sct::{
    ParseSctError, SCT_DOCUMENT_SIZE_MAX, SCT_LIST, SCTS_MAX, parse_list,
};
use evidence::certificate::{
    CERTIFICATE_SIZE_MAX, EXTENSIONS_MAX, FulcioExtension, ParseCertificateError,
    SignedCertificateTimestamp, SubjectName,
};
use evidence::{Certificate, UnixTime};
use testkit::certificate::{self as draft, CertificateDraft, ExtensionDraft, POISON, SctDraft};
use testkit::clock::{CERTIFIED_FROM, CERTIFIED_TO};
use testkit::instance::{ISSUER, SUBJECT, fulcio_values};
use testkit::{Instance, Key, der};

fn right() -> CertificateDraft {
    Instance::default().certificate(&Key::named("signer", KeyKind::EcdsaP256))
}

fn changed(
    change: impl FnOnce(&mut CertificateDraft),
) -> Result<Certificate, ParseCertificateError> {
    let mut draft = right();
    change(&mut draft);
    Certificate::parse(&draft.seal())
}

#[test]
fn a_certificate_is_read_whole() {
    let draft = right();
    let sealed = draft.seal();
    let certificate = Certificate::parse(&sealed).unwrap();
    assert_eq!(certificate.der(), sealed);
    assert_eq!(certificate.not_before(), UnixTime::from_seconds(CERTIFIED_FROM));
    assert_eq!(certificate.not_after(), UnixTime::from_seconds(CERTIFIED_TO));
    assert_eq!(certificate.names(), [SubjectName::Uri(SUBJECT.to_owned())]);
    assert_eq!(certificate.issuer_name_der(), draft.issuer);
    assert_eq!(certificate.subject_name_der(), der::empty_name());
    assert!(!certificate.is_self_issued());
    assert_eq!(certificate.public_key().spki_der(), draft.spki);
    assert_eq!(der::tlv(2, certificate.serial()), der::integer(&draft.serial));
    assert_eq!(certificate.fulcio().issuer(), Some(ISSUER));
    let extensions: Vec<_> = certificate
        .fulcio()
        .iter()
        .map(|(extension, value)| (extension.number(), value.to_owned()))
        .collect();
    assert_eq!(extensions, fulcio_values().collect::<Vec<_>>());
    assert_eq!(extensions.len(), FulcioExtension::ALL.len());
    assert_eq!(certificate.extensions().len(), draft.extensions.len() + 1);
    assert_eq!(certificate.to_pem(), testkit::log::pem("CERTIFICATE", &sealed));
    let key = Key::named("signer", KeyKind::EcdsaP256);
    let key_id = crypto::hash::sha1_name(&key.public().raw_bytes());
    assert_eq!(certificate.subject_key_identifier(), Some(&key_id[..]));
}

#[test]
fn the_signed_parts_verify_under_the_issuer() {
    let instance = Instance::default();
    for (draft, issuer) in [
        (right(), &instance.authority_key),
        (instance.authorities[0].clone(), &instance.authorities[1].signed_by),
    ] {
        let certificate = Certificate::parse(&draft.seal()).unwrap();
        let parts = certificate.signed_parts().unwrap();
        assert_eq!(parts.algorithm.to_string(), "1.2.840.10045.4.3.3");
        let key = issuer.public();
        let message = crypto::Message::Bytes(parts.tbs_der);
        key.verify(key.default_scheme(), message, parts.signature).unwrap();
    }
}

#[test]
fn what_a_ct_log_saw_is_the_certificate_without_its_promise() {
    let with = Certificate::parse(&right().seal()).unwrap();
    let mut draft = right();
    draft.scts.clear();
    let without = Certificate::parse(&draft.seal()).unwrap();
    let seen = with.tbs_without(SCT_LIST).unwrap();
    assert_eq!(seen, without.signed_parts().unwrap().tbs_der);
    // The poison of a pre-certificate comes off to the same bytes.
    draft.put(ExtensionDraft::new(POISON, true, der::null()));
    let poisoned = Certificate::parse(&draft.seal()).unwrap();
    let poison = evidence::certificate::sct::POISON;
    assert_eq!(poisoned.tbs_without(poison).unwrap(), seen);
    assert!(without.tbs_without(SCT_LIST).is_err(), "nothing to take off");
}

#[test]
fn promises_are_read_as_the_log_signed_them() {
    let instance = Instance::default();
    let certificate = changed(|draft| draft.scts[0].extensions = vec![1, 2, 3]).unwrap();
    let [promise] = certificate.certificate_timestamps().unwrap().try_into().unwrap();
    assert_eq!(promise.log_id, sha256(&instance.ct_key.spki()));
    assert_eq!(promise.time, UnixTime::from_seconds(CERTIFIED_FROM));
    assert_eq!(promise.extensions, [1, 2, 3]);
    assert_eq!(promise.hash, HashAlgorithm::Sha256);
    let tbs = certificate.tbs_without(SCT_LIST).unwrap();
    let issuer = sha256(&instance.authorities[0].spki);
    let signed = promise.signed_data(&issuer, &tbs).unwrap();
    let key = instance.ct_key.public();
    let message = crypto::Message::Bytes(&signed);
    key.verify(key.default_scheme(), message, &promise.signature).unwrap();
    assert_eq!(promise.signed_data(&issuer, &vec![0; 1 << 24]), Err(ParseSctError::Malformed));
}

#[test]
fn lists_of_promises_are_read_strictly() {
    let sct = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = [&[0][..], &[7; 32], &[0; 8], &[0, 0], &[4, 3], &[0, 1, 9]].concat();
        change(&mut bytes);
        draft::vector(&draft::vector(&bytes))
    };
    assert_eq!(parse_list(&sct(&|_| ())).unwrap().len(), 1);
    assert_eq!(parse_list(&[0, 0]).unwrap(), []);
    assert_eq!(parse_list(&sct(&|bytes| bytes[0] = 1)), Err(ParseSctError::Version { found: 2 }));
    for (hash, wanted) in [(5, HashAlgorithm::Sha384), (6, HashAlgorithm::Sha512)] {
        assert_eq!(parse_list(&sct(&|bytes| bytes[43] = hash)).unwrap()[0].hash, wanted);
    }
    for found in [0, 1, 2, 3, 7, 8, 255] {
        let error = parse_list(&sct(&|bytes| bytes[43] = found));
        assert_eq!(error, Err(ParseSctError::UnsupportedHash { found }));
    }
    let one = draft::vector(&[&[0][..], &[7; 32], &[0; 8], &[0, 0], &[4, 3], &[0, 1, 9]].concat());
    assert_eq!(parse_list(&draft::vector(&one.repeat(SCTS_MAX))).unwrap().len(), SCTS_MAX);
    let error = parse_list(&draft::vector(&one.repeat(SCTS_MAX + 1)));
    assert_eq!(error, Err(ParseSctError::TooMany));
    let right = sct(&|_| ());
    let cut = |size: usize| right[..size].to_vec();
    for malformed in [
        vec![],
        vec![0],
        vec![0, 1],
        [right.as_slice(), &[0]].concat(),
        cut(right.len() - 1),
        sct(&|bytes| bytes.push(0)),
        sct(&|bytes| bytes.truncate(20)),
        sct(&|bytes| bytes[33] = 0x80),
        sct(&|bytes| bytes[42] = 9),
    ] {
        assert_eq!(parse_list(&malformed), Err(ParseSctError::Malformed), "{malformed:?}");
    }
}

#[test]
fn names_of_every_kind_are_told_apart() {
    for (name, wanted) in [
        (draft::email("a@example.com"), SubjectName::Email("a@example.com".into())),
        (draft::uri("https://a"), SubjectName::Uri("https://a".into())),
        (draft::username("amy!é.example"), SubjectName::Username("amy!é.example".into())),
        (draft::dns("a.example"), SubjectName::Other),
        (der::context(0, &[der::oid("1.2.3"), der::null()].concat()), SubjectName::Other),
        (der::context_primitive(7, &[127, 0, 0, 1]), SubjectName::Other),
    ] {
        let certificate = changed(|draft| draft.put(ExtensionDraft::names(&[name]))).unwrap();
        assert_eq!(certificate.names(), [wanted]);
    }
    for bad in ["é@example.com", "\u{fffd}"] {
        let error = changed(|draft| draft.put(ExtensionDraft::names(&[draft::email(bad)])));
        assert!(matches!(error, Err(ParseCertificateError::BadText { .. })), "{error:?}");
    }
    let malformed = der::context(0, &[der::oid("1.3.6.1.4.1.57264.1.7"), der::utf8("a")].concat());
    assert!(changed(|draft| draft.put(ExtensionDraft::names(&[malformed]))).is_err());
}

#[test]
fn fulcio_extensions_must_be_text_and_agree() {
    let oid = |number: u8| format!("1.3.6.1.4.1.57264.1.{number}");
    for (number, value) in [(1, vec![0xFF]), (8, b"raw".to_vec()), (24, der::tlv(0x0C, &[0xFF]))] {
        let bad = ExtensionDraft::new(&oid(number), false, value);
        let error = changed(|draft| draft.put(bad)).unwrap_err();
        assert!(matches!(error, ParseCertificateError::BadText { .. }), "{number}: {error:?}");
    }
    let error = changed(|draft| draft.put(ExtensionDraft::fulcio(1, "https://other"))).unwrap_err();
    let (v1, v2) = ("https://other".to_owned(), ISSUER.to_owned());
    assert_eq!(error, ParseCertificateError::TwoIssuers { v1, v2 });
    for number in [7, 25, 99] {
        let unknown = ExtensionDraft::new(&oid(number), false, b"?".to_vec());
        let certificate = changed(|draft| draft.put(unknown)).unwrap();
        assert_eq!(certificate.fulcio().iter().count(), FulcioExtension::ALL.len());
    }
    for extension in FulcioExtension::ALL {
        assert_eq!(FulcioExtension::from_number(extension.number()), Some(*extension));
        assert_eq!(FulcioExtension::from_oid(extension.oid()), Some(*extension));
        assert_eq!(extension.is_raw(), extension.number() <= 6);
    }
}

#[test]
fn usage_is_what_the_extensions_say() {
    let signer = Certificate::parse(&right().seal()).unwrap().usage().unwrap();
    assert!(!signer.is_authority && signer.may_sign_data && !signer.may_sign_certificates);
    assert_eq!(signer.extended, Some((vec![CODE_SIGNING], false)));
    assert_eq!((signer.unknown_critical, signer.constrains_names), (None, false));

    let instance = Instance::default();
    let issuing = Certificate::parse(&instance.authorities[0].seal()).unwrap().usage().unwrap();
    assert!(issuing.is_authority && issuing.may_sign_certificates && !issuing.may_sign_data);
    assert_eq!(issuing.path_length, Some(0));
    let stamps = Certificate::parse(&instance.timestamp_signer.seal()).unwrap().usage().unwrap();
    assert_eq!(stamps.extended, Some((vec![TIME_STAMPING], true)));

    let bare = changed(|draft| {
        draft.remove(draft::KEY_USAGE);
        draft.remove(draft::EXTENDED_KEY_USAGE);
    });
    let bare = bare.unwrap().usage().unwrap();
    assert!(bare.may_sign_data && bare.may_sign_certificates && bare.extended.is_none());

    let constrained = ExtensionDraft::permitted_names(&[draft::dns("a.example")]);
    assert!(changed(|draft| draft.put(constrained)).unwrap().usage().unwrap().constrains_names);
    for (critical, wanted) in [(true, Some("1.3.6.1.4.1.99999.1".to_owned())), (false, None)] {
        let unknown = ExtensionDraft::new("1.3.6.1.4.1.99999.1", critical, der::null());
        let usage = changed(|draft| draft.put(unknown)).unwrap().usage().unwrap();
        assert_eq!(usage.unknown_critical.map(|oid| oid.to_string()), wanted);
    }
    for oid in [draft::KEY_USAGE, draft::EXTENDED_KEY_USAGE, draft::BASIC_CONSTRAINTS] {
        let malformed = ExtensionDraft::new(oid, true, vec![1, 2]);
        assert!(changed(|draft| draft.put(malformed)).unwrap().usage().is_err(), "{oid}");
    }
}

#[test]
fn certificates_are_bounded() {
    let found = CERTIFICATE_SIZE_MAX + 1;
    let error = Certificate::parse(&vec![0; found]).unwrap_err();
    assert_eq!(error, ParseCertificateError::TooLong { found });
    let fill = |count: usize| {
        changed(|draft| {
            let room = count - draft.extensions.len() - 1;
            (0..room).for_each(|number| {
                let oid = format!("1.3.6.1.4.1.99999.2.{number}");
                draft.put(ExtensionDraft::new(&oid, false, der::null()));
            });
        })
    };
    assert_eq!(fill(EXTENSIONS_MAX).unwrap().extensions().len(), EXTENSIONS_MAX);
    assert_eq!(fill(EXTENSIONS_MAX + 1).unwrap_err(), ParseCertificateError::TooManyExtensions);
}

/// DER inside the TBSCertificate, taken apart and put together otherwise.
#[test]
fn every_field_has_its_place() {
    let sealed = right().seal();
    let right = Certificate::parse(&sealed).unwrap();
    let parts = right.signed_parts().unwrap();
    let algorithm = draft::signature_algorithm(&Instance::default().authority_key);
    let fields = children(parts.tbs_der);
    let rebuilt = |fields: &[Vec<u8>]| {
        let tbs = der::tlv(0x30, &fields.concat());
        let sealed = der::sequence(&[&tbs, &algorithm, &der::bits(parts.signature)]);
        Certificate::parse(&sealed)
    };
    assert_eq!(rebuilt(&fields).unwrap(), right);
    for index in 0..fields.len() {
        let mut without = fields.clone();
        without.remove(index);
        // Without extensions it is a certificate still, of nobody.
        let outcome = rebuilt(&without);
        assert_eq!(outcome.is_ok(), index == fields.len() - 1, "field {index}: {outcome:?}");
        for wrong in
            [vec![], der::null(), der::utf8("text"), vec![0x30], vec![0x30, 0x84, 1, 0, 0, 0]]
        {
            let mut other = fields.clone();
            other[index] = wrong.clone();
            let outcome = rebuilt(&other);
            // Names are opaque: they are only ever compared.
            let opaque = [3, 5].contains(&index) && der_value(&wrong);
            let ignored = index == 2 && der_value(&wrong);
            let absent = index == fields.len() - 1 && wrong.is_empty();
            assert_eq!(outcome.is_ok(), opaque || ignored || absent, "field {index} as {wrong:?}");
        }
        let mut twice = fields.clone();
        twice.insert(index, fields[index].clone());
        assert!(rebuilt(&twice).is_err(), "field {index} twice");
    }
    let mut unknown = fields.clone();
    unknown.push(der::context(4, &[]));
    assert!(rebuilt(&unknown).is_err(), "an unknown field");
    let mut early = fields.clone();
    early.push(der::context_primitive(1, &[0, 1]));
    assert!(rebuilt(&early).is_err(), "a unique identifier after the extensions");
    let mut obsolete = fields;
    let last = obsolete.len() - 1;
    obsolete.insert(last, der::context_primitive(2, &[0, 1]));
    obsolete.insert(last, der::context_primitive(1, &[0, 1]));
    assert_eq!(rebuilt(&obsolete).unwrap().fulcio(), right.fulcio());

    for version in [vec![], der::small(0), der::small(1), der::small(3)] {
        let mut other = children(parts.tbs_der);
        other[0] = der::context(0, &version);
        assert_eq!(rebuilt(&other).unwrap_err(), ParseCertificateError::NotVersion3);
    }
    for bytes in [vec![], sealed[..sealed.len() - 1].to_vec(), [&sealed[..], &[0]].concat()] {
        assert!(Certificate::parse(&bytes).is_err());
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let error = changed(|draft| draft.spki = der::sequence(&[])).unwrap_err();
    assert!(matches!(error, ParseCertificateError::Key(ParseKeyError::Der(_))), "{error:?}");
    let unknown = der::sequence(&[&der::sequence(&[&der::oid("1.2.3")]), &der::bits(&[1])]);
    let error = changed(|draft| draft.spki = unknown).unwrap_err();
    let ParseCertificateError::Key(error) = error else { panic!("{error:?}") };
    assert!(matches!(error, ParseKeyError::UnsupportedAlgorithm { .. }), "{error:?}");
}

#[test]
fn both_forms_of_time_are_read() {
    const YEAR_2050: i64 = 2_524_608_000;
    for (not_before, not_after) in
        [(0, YEAR_2050 - 1), (YEAR_2050 - 1, YEAR_2050), (YEAR_2050, 4_000_000_000)]
    {
        let certificate = changed(|draft| {
            (draft.not_before, draft.not_after) = (not_before, not_after);
        });
        let certificate = certificate.unwrap();
        assert_eq!(certificate.not_before(), UnixTime::from_seconds(not_before));
        assert_eq!(certificate.not_after(), UnixTime::from_seconds(not_after));
    }
}

#[test]
fn an_extension_that_stands_twice_is_refused() {
    let error =
        changed(|draft| draft.extensions.push(ExtensionDraft::fulcio(24, "b"))).unwrap_err();
    assert!(matches!(error, ParseCertificateError::DuplicateExtension { .. }), "{error:?}");
}

fn der_value(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && bytes.len() == 2 + usize::from(bytes[1])
}

/// The DER values inside a SEQUENCE.
fn children(sequence: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = content(sequence).1;
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (size, _) = content(rest);
        values.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    values
}

/// Size of the first value with its header, and its content.
fn content(der: &[u8]) -> (usize, &[u8]) {
    let (header, size) = match usize::from(der[1]) {
        short @ 0..=0x7F => (2, short),
        long => {
            let bytes = long - 0x80;
            let size =
                der[2..2 + bytes].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
            (2 + bytes, size)
        }
    };
    (header + size, &der[header..header + size])
}

/// What a CT log answers with, read and written by hand.
#[test]
fn a_promise_beside_a_certificate_is_read_strictly() {
    let instance = Instance::default();
    let draft = SctDraft::new(&instance.ct_key, &instance.authorities[0].spki, CERTIFIED_FROM);
    let certificate = Certificate::parse(&right().seal()).unwrap();
    let answer = draft.answer(certificate.der());
    let read = |answer: &serde_json::Value| {
        SignedCertificateTimestamp::from_answer(answer.to_string().as_bytes())
    };
    let promise = read(&answer).unwrap();
    assert_eq!(promise.log_id, sha256(&instance.ct_key.spki()));
    assert_eq!(promise.time, UnixTime::from_seconds(CERTIFIED_FROM));
    let signed = promise.signed_data_of_certificate(certificate.der()).unwrap();
    let key = instance.ct_key.public();
    let message = crypto::Message::Bytes(&signed);
    key.verify(key.default_scheme(), message, &promise.signature).unwrap();
    let long = vec![0; 1 << 24];
    assert_eq!(promise.signed_data_of_certificate(&long), Err(ParseSctError::Malformed));

    let changed = |member: &str, value: serde_json::Value| {
        let mut answer = answer.clone();
        answer[member] = value;
        read(&answer).unwrap_err()
    };
    assert_eq!(changed("sct_version", 1.into()), ParseSctError::Version { found: 2 });
    let base64 = testkit::json::base64;
    for (member, value) in [
        ("id", base64(&[7; 31])),
        ("id", base64(&[7; 33])),
        ("signature", base64(&[4, 3, 0, 9, 1])),
        ("signature", base64(&[4, 3, 0, 1, 9, 9])),
        ("signature", String::new()),
        ("extensions", base64(&vec![0; 1 << 16])),
    ] {
        let error = changed(member, value.into());
        let wanted = [ParseSctError::Malformed, ParseSctError::NotAnAnswer];
        assert!(wanted.contains(&error), "{member}: {error}");
    }
    assert_eq!(changed("id", "*".into()), ParseSctError::NotAnAnswer);
    assert_eq!(changed("timestamp", (-1).into()), ParseSctError::NotAnAnswer);
    for document in [&b""[..], b"[]", b"{}", &vec![b' '; SCT_DOCUMENT_SIZE_MAX + 1]] {
        let error = SignedCertificateTimestamp::from_answer(document).unwrap_err();
        assert_eq!(error, ParseSctError::NotAnAnswer);
    }
}
