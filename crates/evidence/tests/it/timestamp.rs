//! RFC 3161 timestamps: real ones parse to their known fields, and each rule refuses its breach.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use evidence::UnixTime;
use evidence::timestamp::cms::{
    Attribute, ContentInfo, EncapsulatedContentInfo, EssCertId, EssCertIdV2, ID_CONTENT_TYPE,
    ID_CT_TST_INFO, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE,
    ID_SIGNING_CERTIFICATE_V2, ID_SIGNING_TIME, IssuerAndSerialNumber, RawSet, SignedData,
    SignerIdentifier, SignerInfo, SigningCertificate, SigningCertificateV2,
};
use evidence::timestamp::tsp::{
    Accuracy, GenTime, MessageImprint, PkiFailure, PkiStatusInfo, STATUS_GRANTED, STATUS_REJECTION,
    TimeStampReq, TimeStampResp, TstInfo,
};
use evidence::timestamp::{
    CertificateHash, InconsistentTimestamp, ParseTimestampError, SignatureAlgorithmError, SignerId,
    TIMESTAMP_SIZE_MAX, Timestamp, hash_algorithm_identifier,
};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const SOME_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
/// Stands for a certificate: only its hash matters here.
const CERTIFICATE: &[u8] = &[0x30, 0x03, 0x02, 0x01, 0x07];

/// The parts of a token that is right; a test changes one and seals the rest around it.
struct Parts {
    status: PkiStatusInfo,
    content_type: ObjectIdentifier,
    encapsulated_type: ObjectIdentifier,
    signed_data_version: u8,
    statement: TstInfo,
    attributes: Vec<Attribute>,
    signers: Vec<SignerInfo>,
    certificates: Option<Vec<Any>>,
}

impl Parts {
    fn right() -> Self {
        let statement = TstInfo {
            version: 1,
            policy: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2"),
            message_imprint: MessageImprint {
                hash_algorithm: hash_algorithm_identifier(HashAlgorithm::Sha256),
                hashed_message: OctetString::new([7; 32]).unwrap(),
            },
            serial_number: Int::new(&[0x00, 0x9A, 0x01]).unwrap(),
            gen_time: GenTime(UnixTime::from_seconds(1_700_000_000)),
            accuracy: Some(Accuracy { seconds: Some(1), ..Accuracy::default() }),
            ordering: false,
            nonce: Some(Int::new(&[0x05]).unwrap()),
            tsa: None,
            extensions: None,
        };
        let mut parts = Self {
            status: PkiStatusInfo { status: STATUS_GRANTED, status_string: None, fail_info: None },
            content_type: ID_SIGNED_DATA,
            encapsulated_type: ID_CT_TST_INFO,
            signed_data_version: 3,
            statement,
            attributes: Vec::new(),
            signers: vec![SignerInfo {
                version: 1,
                sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                    issuer: Any::from_der(&[0x30, 0x00]).unwrap(),
                    serial_number: Int::new(&[0x2A]).unwrap(),
                }),
                digest_algorithm: hash_algorithm_identifier(HashAlgorithm::Sha256),
                signed_attributes: None,
                signature_algorithm: AlgorithmIdentifierOwned {
                    oid: ECDSA_SHA256,
                    parameters: None,
                },
                signature: OctetString::new([1, 2, 3]).unwrap(),
                unsigned_attributes: None,
            }],
            certificates: Some(vec![Any::from_der(CERTIFICATE).unwrap()]),
        };
        parts.attributes = parts.right_attributes();
        parts
    }

    fn right_attributes(&self) -> Vec<Attribute> {
        let content = self.statement.to_der().unwrap();
        let digest = OctetString::new(crypto::sha256(&content)).unwrap();
        vec![
            Attribute::new(ID_CONTENT_TYPE, &ID_CT_TST_INFO).unwrap(),
            Attribute::new(ID_MESSAGE_DIGEST, &digest).unwrap(),
            Attribute::new(ID_SIGNING_CERTIFICATE_V2, &names(CERTIFICATE)).unwrap(),
        ]
    }

    fn token(mut self) -> Vec<u8> {
        for signer in &mut self.signers {
            signer.signed_attributes = Some(RawSet::from_elements(&self.attributes).unwrap());
        }
        self.token_as_is()
    }

    fn token_as_is(self) -> Vec<u8> {
        let signed_data = SignedData {
            version: self.signed_data_version,
            digest_algorithms: RawSet::from_elements([&hash_algorithm_identifier(
                HashAlgorithm::Sha256,
            )])
            .unwrap(),
            encap_content_info: EncapsulatedContentInfo {
                content_type: self.encapsulated_type,
                content: Some(OctetString::new(self.statement.to_der().unwrap()).unwrap()),
            },
            certificates: self.certificates.map(|set| RawSet::from_elements(&set).unwrap()),
            crls: None,
            signer_infos: RawSet::from_elements(&self.signers).unwrap(),
        };
        let content = Any::encode_from(&signed_data).unwrap();
        ContentInfo { content_type: self.content_type, content }.to_der().unwrap()
    }

    fn parse(self) -> Result<Timestamp, ParseTimestampError> {
        let status = self.status.clone();
        let time_stamp_token = Some(Any::from_der(&self.token()).unwrap());
        Timestamp::parse(&TimeStampResp { status, time_stamp_token }.to_der().unwrap())
    }

    /// Changes the right parts and says what the parser made of them.
    fn refused(change: impl FnOnce(&mut Self)) -> ParseTimestampError {
        let mut parts = Self::right();
        change(&mut parts);
        parts.parse().unwrap_err()
    }
}

fn names(certificate: &[u8]) -> SigningCertificateV2 {
    let certificate_hash = OctetString::new(crypto::sha256(certificate)).unwrap();
    let id = EssCertIdV2 { hash_algorithm: None, certificate_hash, issuer_serial: None };
    SigningCertificateV2 { certificates: vec![id], policies: None }
}

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

#[test]
fn the_signed_attributes_bind_the_content() {
    // The digest stays that of the old statement.
    let mut parts = Parts::right();
    parts.statement.gen_time = GenTime(UnixTime::from_seconds(1));
    let error = InconsistentTimestamp::MessageDigest { algorithm: HashAlgorithm::Sha256 };
    assert_eq!(parts.parse().unwrap().check_message_digest(), Err(error));

    let mut parts = Parts::right();
    parts.attributes[0] = Attribute::new(ID_CONTENT_TYPE, &SOME_OID).unwrap();
    let error = InconsistentTimestamp::ContentType { found: SOME_OID };
    assert_eq!(parts.parse().unwrap().check_content_type(), Err(error));
}

#[test]
fn the_signing_certificate_is_named() {
    let other = &[0x30, 0x00];
    let timestamp = Parts::right().parse().unwrap();
    let error = Err(InconsistentTimestamp::SigningCertificate);
    assert_eq!(timestamp.check_signing_certificate(other), error);

    let mut parts = Parts::right();
    parts.attributes.pop();
    let timestamp = parts.parse().unwrap();
    let none = Err(InconsistentTimestamp::NoSigningCertificate);
    assert_eq!(timestamp.check_signing_certificate(CERTIFICATE), none);

    // Both kinds: both must name it.
    let v1 = |certificate: &[u8]| {
        let certificate_hash = OctetString::new(crypto::hash::sha1_name(certificate)).unwrap();
        let id = EssCertId { certificate_hash, issuer_serial: None };
        let value = SigningCertificate { certificates: vec![id], policies: None };
        Attribute::new(ID_SIGNING_CERTIFICATE, &value).unwrap()
    };
    let mut parts = Parts::right();
    parts.attributes.push(v1(CERTIFICATE));
    let timestamp = parts.parse().unwrap();
    assert_eq!(timestamp.signing_certificates().len(), 2);
    assert_eq!(timestamp.check_signing_certificate(CERTIFICATE), Ok(()));
    let mut parts = Parts::right();
    parts.attributes.push(v1(other));
    assert_eq!(parts.parse().unwrap().check_signing_certificate(CERTIFICATE), error);
}

#[test]
fn the_scheme_follows_algorithm_key_and_hash() {
    let scheme = |oid: &str, digest, kind| {
        let mut parts = Parts::right();
        parts.signers[0].digest_algorithm = hash_algorithm_identifier(digest);
        parts.signers[0].signature_algorithm =
            AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters: None };
        parts.parse().unwrap().scheme(kind)
    };
    let rsa = KeyKind::Rsa { bits: 2048 };
    let (sha256, sha512) = (HashAlgorithm::Sha256, HashAlgorithm::Sha512);
    let (rsa_encryption, rsa_sha512) = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.13");
    let (ecdsa_sha512, ed25519) = ("1.2.840.10045.4.3.4", "1.3.101.112");
    assert_eq!(scheme(rsa_encryption, sha256, rsa), Ok(Scheme::RsaPkcs1Sha256));
    assert_eq!(scheme(rsa_sha512, sha512, rsa), Ok(Scheme::RsaPkcs1Sha512));
    assert_eq!(scheme(ecdsa_sha512, sha512, KeyKind::EcdsaP521), Ok(Scheme::EcdsaP521Sha512));
    assert_eq!(scheme(ed25519, sha512, KeyKind::Ed25519), Ok(Scheme::Ed25519));

    let mismatch = scheme(rsa_sha512, sha256, rsa);
    assert!(matches!(mismatch, Err(SignatureAlgorithmError::HashMismatch { .. })));
    for (oid, kind) in [(ecdsa_sha512, rsa), (rsa_sha512, KeyKind::EcdsaP256)] {
        let wrong_key = scheme(oid, sha512, kind);
        assert!(matches!(wrong_key, Err(SignatureAlgorithmError::WrongKey { .. })));
    }
    for oid in ["1.2.840.113549.1.1.5", "1.2.840.113549.1.1.10"] {
        // SHA-1 with RSA; PSS without parameters, which means SHA-1.
        let unsupported = scheme(oid, sha256, rsa);
        assert!(matches!(unsupported, Err(SignatureAlgorithmError::Unsupported { .. })));
    }
}

#[test]
fn pss_names_its_hash_in_its_parameters() {
    // RSASSA-PSS-params { hashAlgorithm [0] id-sha256 }.
    let parameters = hex::decode("300fa00d300b0609608648016503040201").unwrap();
    let mut parts = Parts::right();
    parts.signers[0].signature_algorithm = AlgorithmIdentifierOwned {
        oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        parameters: Some(Any::from_der(&parameters).unwrap()),
    };
    let scheme = parts.parse().unwrap().scheme(KeyKind::Rsa { bits: 3072 });
    assert_eq!(scheme, Ok(Scheme::RsaPssSha256));
}

#[test]
fn requests_are_read_and_written() {
    // `openssl ts -query -digest 00…00 -sha256 -cert -no_nonce -tspolicy 1.3.6.1.4.1.57264.2`
    let hexadecimal = [
        "30440201013031300d06096086480165030402010500042",
        &"00".repeat(32),
        "006092b0601040183bf30020101ff",
    ];
    let der = hex::decode(hexadecimal.concat()).unwrap();
    let request = TimeStampReq::from_der(&der).unwrap();
    assert_eq!(request.version, 1);
    assert!(request.cert_req);
    assert_eq!(request.nonce, None);
    assert_eq!(request.req_policy.unwrap().to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(request.to_der().unwrap(), der);
}

/// Fields of real tokens, as `openssl ts -reply -text` shows them.
#[test]
fn real_tokens_parse_to_their_known_fields() {
    let Some(bundles) = crate::shared_data("bundles") else { return };
    let cases = [
        (
            "managed-key-happy-path",
            "2025-12-18T17:04:39Z",
            Some(1000),
            0,
            "Sha2",
            KeyKind::EcdsaP384,
        ),
        (
            "rekor2-timestamp-with-embedded-cert",
            "2025-08-06T18:51:36Z",
            Some(1000),
            1,
            "Sha2",
            KeyKind::EcdsaP384,
        ),
        (
            "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail",
            "2025-08-06T19:38:49Z",
            None,
            2,
            "Sha1",
            KeyKind::Rsa { bits: 4096 },
        ),
    ];
    for (name, time, accuracy_ms, certificates, certificate_hash, kind) in cases {
        let (response, signature) = read_bundle(&bundles.join(name));
        let timestamp = Timestamp::parse(&response).unwrap();
        assert_eq!(timestamp.time().to_string(), time, "{name}");
        assert_eq!(timestamp.accuracy_ms(), accuracy_ms, "{name}");
        assert_eq!(timestamp.certificates().len(), certificates, "{name}");
        let imprint = timestamp.imprint();
        assert_eq!(*imprint, Hash::of(imprint.algorithm(), &signature), "{name}");
        assert_eq!(timestamp.check_content_type(), Ok(()), "{name}");
        assert_eq!(timestamp.check_message_digest(), Ok(()), "{name}");
        let [hash] = timestamp.signing_certificates() else { panic!("{name}") };
        let found = match hash {
            CertificateHash::Sha1(_) => "Sha1",
            CertificateHash::Sha2(_) => "Sha2",
        };
        assert_eq!(found, certificate_hash, "{name}");
        if certificates > 0 {
            let named = timestamp
                .certificates()
                .iter()
                .filter(|der| timestamp.check_signing_certificate(der).is_ok());
            assert_eq!(named.count(), 1, "{name}");
        }
        assert!(timestamp.scheme(kind).is_ok(), "{name}");
    }
}

fn read_bundle(directory: &std::path::Path) -> (Vec<u8>, Vec<u8>) {
    let text = std::fs::read(directory.join("bundle.sigstore.json")).unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let decode = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let timestamps = &bundle["verificationMaterial"]["timestampVerificationData"];
    let response = decode(&timestamps["rfc3161Timestamps"][0]["signedTimestamp"]);
    let signature = match &bundle["messageSignature"]["signature"] {
        serde_json::Value::Null => &bundle["dsseEnvelope"]["signatures"][0]["sig"],
        signature => signature,
    };
    (response, decode(signature))
}
