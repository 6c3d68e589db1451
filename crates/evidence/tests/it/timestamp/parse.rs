//! What parses, and what each rule of the form refuses.

use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use der::asn1::{Any, Int, OctetString};
use der::{Decode, Encode};
use evidence::UnixTime;
use evidence::timestamp::cms::{
    Attribute, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST, ID_SIGNING_CERTIFICATE_V2,
    ID_SIGNING_TIME, RawSet, SignerIdentifier,
};
use evidence::timestamp::tsp::{Accuracy, GenTime, PkiFailure, STATUS_REJECTION, TimeStampResp};
use evidence::timestamp::{ParseTimestampError, SignerId, TIMESTAMP_SIZE_MAX, Timestamp};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{CERTIFICATE, Parts, SHA1, SOME_OID};

#[test]
fn a_right_token_parses_whole() {
    let timestamp = Parts::right().parse().unwrap();
    assert_eq!(timestamp.time(), UnixTime::from_seconds(1_700_000_000));
    assert_eq!(timestamp.accuracy_ms(), Some(1000));
    assert_eq!(timestamp.imprint(), &Hash::from_bytes(HashAlgorithm::Sha256, &[7; 32]).unwrap());
    assert_eq!(timestamp.serial(), [0x00, 0x9A, 0x01]);
    assert_eq!(timestamp.nonce(), Some(&[5][..]));
    assert_eq!(timestamp.policy().to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(timestamp.digest_algorithm(), HashAlgorithm::Sha256);
    assert_eq!(timestamp.scheme(KeyKind::EcdsaP384), Ok(Scheme::EcdsaP384Sha256));
    assert_eq!(timestamp.signature(), [1, 2, 3]);
    assert_eq!(timestamp.certificates(), [CERTIFICATE]);
    let signer = SignerId::IssuerAndSerial { issuer_der: vec![0x30, 0x00], serial: vec![0x2A] };
    assert_eq!(timestamp.signer(), &signer);
    // RFC 5652 §5.4: verified under the tag of a SET OF, not the [0] it is sent with.
    assert_eq!(timestamp.signed_attributes_der()[0], 0x31);
    assert_eq!(timestamp.check_content_type(), Ok(()));
    assert_eq!(timestamp.check_message_digest(), Ok(()));
    assert_eq!(timestamp.check_signing_certificate(CERTIFICATE), Ok(()));
}

#[test]
fn a_bare_token_is_a_form_of_its_own() {
    let token = Parts::right().token();
    let from_response = Parts::right().parse().unwrap();
    assert_eq!(Timestamp::parse_token(&token).unwrap(), from_response);
    assert!(matches!(Timestamp::parse(&token), Err(ParseTimestampError::Der { .. })));
}

#[test]
fn a_subject_key_identifier_names_the_signer_too() {
    let mut parts = Parts::right();
    let id = OctetString::new([9; 20]).unwrap();
    parts.signers[0].sid = SignerIdentifier::SubjectKeyIdentifier(id);
    parts.signers[0].version = 3;
    let timestamp = parts.parse().unwrap();
    assert_eq!(timestamp.signer(), &SignerId::SubjectKeyId(vec![9; 20]));
}

#[test]
fn fractions_of_a_second_are_read_strictly() {
    // The DER of a GeneralizedTime with this text, put where `genTime` stands.
    let parse = |text: &str| {
        let der = [&[0x18, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        GenTime::from_der(&der).map(|time| time.0.milliseconds())
    };
    assert_eq!(parse("20231114221320Z").unwrap(), 1_700_000_000_000);
    assert_eq!(parse("20231114221320.5Z").unwrap(), 1_700_000_000_500);
    assert_eq!(parse("20231114221320.05Z").unwrap(), 1_700_000_000_050);
    assert_eq!(parse("20231114221320.123999Z").unwrap(), 1_700_000_000_123);
    assert_eq!(parse("19700101000000Z").unwrap(), 0);
    for bad in [
        "20231114221320",                      // no zone
        "20231114221320+0100",                 // another zone
        "20231114221320.Z",                    // no digit
        "20231114221320.50Z",                  // a trailing zero
        "20231114221320.0Z",                   // a fraction that is zero
        "20231114221320,5Z",                   // a comma
        "202311142213Z",                       // no seconds
        "20231314221320Z",                     // month 13
        "20230229221320Z",                     // no such day
        "20231114241320Z",                     // hour 24
        "20231114221360Z",                     // second 60
        "2023111422132\u{e9}Z",                // not ASCII
        "-0231114221320Z",                     // a sign
        "20231114221320.1111111111111111111Z", // 19 digits
        "",
        "Z",
    ] {
        assert!(parse(bad).is_err(), "{bad} was taken");
    }
}

#[test]
fn times_are_written_as_they_are_read() {
    for (milliseconds, text) in [
        (1_700_000_000_000, "20231114221320Z"),
        (1_700_000_000_500, "20231114221320.5Z"),
        (1_700_000_000_050, "20231114221320.05Z"),
        (1_700_000_000_123, "20231114221320.123Z"),
    ] {
        let time = GenTime(UnixTime::from_milliseconds(milliseconds));
        let der = time.to_der().unwrap();
        assert_eq!(&der[2..], text.as_bytes());
        assert_eq!(GenTime::from_der(&der).unwrap(), time);
    }
    assert!(GenTime(UnixTime::from_seconds(-1)).to_der().is_err());
}

#[test]
fn accuracy_is_rounded_up_and_bounded() {
    let accuracy = |seconds, milliseconds, microseconds| {
        Accuracy { seconds, milliseconds, microseconds }.to_milliseconds()
    };
    assert_eq!(accuracy(Some(1), None, None), Some(1000));
    assert_eq!(accuracy(None, Some(999), Some(1)), Some(1000));
    assert_eq!(accuracy(None, None, None), Some(0));
    assert_eq!(accuracy(None, Some(1000), None), None);
    assert_eq!(accuracy(None, Some(0), None), None);
    assert_eq!(accuracy(None, None, Some(1000)), None);
    assert_eq!(accuracy(Some(u32::MAX), Some(999), None), Some(4_294_967_295_999));
    let error = Parts::refused(|parts| {
        parts.statement.accuracy =
            Some(Accuracy { microseconds: Some(1000), ..Accuracy::default() });
    });
    assert_eq!(error, ParseTimestampError::OutOfRange { part: "accuracy" });
}

#[test]
fn a_refusal_is_no_timestamp() {
    let error = Parts::refused(|parts| {
        parts.status.status = STATUS_REJECTION;
        parts.status.fail_info = Some(PkiFailure::UnacceptedPolicy.to_bit_string().unwrap());
    });
    let failure = Some(PkiFailure::UnacceptedPolicy);
    assert_eq!(error, ParseTimestampError::NotGranted { status: 2, failure });
    // grantedWithMods: granted, but not what was asked for.
    let error = Parts::refused(|parts| parts.status.status = 1);
    assert_eq!(error, ParseTimestampError::NotGranted { status: 1, failure: None });

    let status = Parts::right().status;
    let response = TimeStampResp { status, time_stamp_token: None }.to_der().unwrap();
    assert_eq!(Timestamp::parse(&response), Err(ParseTimestampError::NoToken));
}

#[test]
fn failure_bits_are_the_numbers_of_the_specification() {
    for failure in PkiFailure::ALL {
        let bits = failure.to_bit_string().unwrap();
        assert_eq!(bits.bit_len(), failure as usize + 1);
        assert_eq!(PkiFailure::from_bit_string(&bits), Some(failure));
    }
    // badAlgorithm, as openssl writes it: one byte, seven bits unused.
    let bits = PkiFailure::BadAlgorithm.to_bit_string().unwrap();
    assert_eq!(bits.to_der().unwrap(), [0x03, 0x02, 0x07, 0x80]);
}

#[test]
fn other_types_and_versions_are_refused() {
    let wrong_type = |error| matches!(error, ParseTimestampError::WrongType { .. });
    assert!(wrong_type(Parts::refused(|parts| parts.content_type = SOME_OID)));
    assert!(wrong_type(Parts::refused(|parts| parts.encapsulated_type = SOME_OID)));
    let version = |error| matches!(error, ParseTimestampError::Version { .. });
    assert!(version(Parts::refused(|parts| parts.signed_data_version = 1)));
    assert!(version(Parts::refused(|parts| parts.statement.version = 2)));
    assert!(version(Parts::refused(|parts| parts.signers[0].version = 3)));
    assert!(version(Parts::refused(|parts| {
        parts.signers[0].sid =
            SignerIdentifier::SubjectKeyIdentifier(OctetString::new([9; 20]).unwrap());
    })));
}

#[test]
fn exactly_one_signer_signs() {
    assert_eq!(Parts::refused(|parts| parts.signers.clear()), ParseTimestampError::NotOneSigner);
    assert_eq!(
        Parts::refused(|parts| parts.signers.push(parts.signers[0].clone())),
        ParseTimestampError::NotOneSigner
    );
}

#[test]
fn signed_attributes_are_demanded_once_each() {
    let mut parts = Parts::right();
    parts.signers[0].signed_attributes = None;
    let error = Timestamp::parse_token(&parts.token_as_is()).unwrap_err();
    assert_eq!(error, ParseTimestampError::Missing { part: "the set of signed attributes" });

    for (oid, part) in [
        (ID_CONTENT_TYPE, "the content type attribute"),
        (ID_MESSAGE_DIGEST, "the message digest attribute"),
    ] {
        let error = Parts::refused(|parts| {
            parts.attributes.retain(|attribute| attribute.attribute_type != oid);
        });
        assert_eq!(error, ParseTimestampError::Missing { part });
    }
    for oid in [ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNING_CERTIFICATE_V2] {
        let twice = Parts::refused(|parts| {
            let attribute =
                parts.attributes.iter().find(|attribute| attribute.attribute_type == oid);
            parts.attributes.push(attribute.unwrap().clone());
        });
        assert_eq!(twice, ParseTimestampError::AmbiguousAttribute { oid });
        let two_values = Parts::refused(|parts| {
            let attribute =
                parts.attributes.iter_mut().find(|attribute| attribute.attribute_type == oid);
            let values = [SOME_OID, ID_CT_TST_INFO];
            attribute.unwrap().values = RawSet::from_elements(&values).unwrap();
        });
        assert_eq!(two_values, ParseTimestampError::AmbiguousAttribute { oid });
    }
}

#[test]
fn an_attribute_that_is_not_known_is_left_alone() {
    let mut parts = Parts::right();
    parts
        .attributes
        .push(Attribute::new(ID_SIGNING_TIME, &GenTime(UnixTime::from_seconds(1))).unwrap());
    assert_eq!(parts.parse().unwrap().time(), UnixTime::from_seconds(1_700_000_000));
}

#[test]
fn weak_and_unknown_hashes_are_refused() {
    let sha1 = AlgorithmIdentifierOwned { oid: SHA1, parameters: None };
    let unsupported = |part| ParseTimestampError::UnsupportedHash { part, oid: SHA1 };
    let error =
        Parts::refused(|parts| parts.statement.message_imprint.hash_algorithm = sha1.clone());
    assert_eq!(error, unsupported("the message imprint"));
    let error = Parts::refused(|parts| parts.signers[0].digest_algorithm = sha1.clone());
    assert_eq!(error, unsupported("the signer"));
    let error = Parts::refused(|parts| {
        parts.statement.message_imprint.hashed_message = OctetString::new([7; 48]).unwrap();
    });
    assert!(matches!(error, ParseTimestampError::HashLength { found: 48, .. }));
}

#[test]
fn a_critical_extension_is_refused_and_another_ignored() {
    let extension = |critical| {
        let extn_value = OctetString::new([0x05, 0x00]).unwrap();
        Some(vec![Extension { extn_id: SOME_OID, critical, extn_value }])
    };
    let error = Parts::refused(|parts| parts.statement.extensions = extension(true));
    assert_eq!(error, ParseTimestampError::CriticalExtension { oid: SOME_OID });
    let mut parts = Parts::right();
    parts.statement.extensions = extension(false);
    assert!(parts.parse().is_ok());
}

#[test]
fn everything_is_bounded() {
    let too_long = vec![0x30; TIMESTAMP_SIZE_MAX + 1];
    let found = too_long.len();
    assert_eq!(Timestamp::parse(&too_long), Err(ParseTimestampError::TooLong { found }));
    assert_eq!(Timestamp::parse_token(&too_long), Err(ParseTimestampError::TooLong { found }));

    let certificate = Any::from_der(CERTIFICATE).unwrap();
    let mut parts = Parts::right();
    parts.certificates = Some(vec![certificate.clone(); 10]);
    assert!(parts.parse().is_ok());
    let error = Parts::refused(|parts| parts.certificates = Some(vec![certificate.clone(); 11]));
    assert!(matches!(error, ParseTimestampError::TooMany { what: "certificates", .. }));

    let error = Parts::refused(|parts| {
        let attribute = Attribute::new(SOME_OID, &SOME_OID).unwrap();
        parts.attributes.extend(vec![attribute; 14]);
    });
    assert!(matches!(error, ParseTimestampError::TooMany { what: "signed attributes", .. }));

    let long = Int::new(&[0x01; 65]).unwrap();
    let error = Parts::refused(|parts| parts.statement.serial_number = long.clone());
    assert_eq!(error, ParseTimestampError::OutOfRange { part: "the serial number" });
    let error = Parts::refused(|parts| parts.statement.nonce = Some(long.clone()));
    assert_eq!(error, ParseTimestampError::OutOfRange { part: "the nonce" });
}

#[test]
fn only_certificates_are_certificates() {
    let attribute_certificate = Any::from_der(&[0xA1, 0x00]).unwrap();
    let error =
        Parts::refused(|parts| parts.certificates = Some(vec![attribute_certificate.clone()]));
    assert_eq!(error, ParseTimestampError::NotACertificate);
    let mut parts = Parts::right();
    parts.certificates = None;
    assert!(parts.parse().unwrap().certificates().is_empty());
}

#[test]
fn every_truncation_is_an_error_and_none_panics() {
    let mut parts = Parts::right();
    let status = parts.status.clone();
    parts.statement.extensions = None;
    let time_stamp_token = Some(Any::from_der(&parts.token()).unwrap());
    let response = TimeStampResp { status, time_stamp_token }.to_der().unwrap();
    for end in 0..response.len() {
        assert!(Timestamp::parse(&response[..end]).is_err());
    }
    let trailing = [&response[..], &[0]].concat();
    assert!(matches!(Timestamp::parse(&trailing), Err(ParseTimestampError::Der { .. })));
    for position in 0..response.len() {
        for value in [0x00, 0x80, 0xFF] {
            let mut changed = response.clone();
            changed[position] = value;
            // Taken or refused, it must not panic.
            drop(Timestamp::parse(&changed));
        }
    }
}

#[test]
fn indefinite_lengths_are_refused() {
    let ber = [0x30, 0x80, 0x02, 0x01, 0x00, 0x00, 0x00];
    assert!(matches!(Timestamp::parse(&ber), Err(ParseTimestampError::Der { .. })));
}
