//! RFC 3161 timestamps: real ones parse to their known fields, and each rule refuses its breach.

mod agreement;
mod parse;
mod real;

use crypto::HashAlgorithm;
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use evidence::UnixTime;
use evidence::timestamp::cms::{
    Attribute, ContentInfo, EncapsulatedContentInfo, EssCertIdV2, ID_CONTENT_TYPE, ID_CT_TST_INFO,
    ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE_V2, IssuerAndSerialNumber, RawSet,
    SignedData, SignerIdentifier, SignerInfo, SigningCertificateV2,
};
use evidence::timestamp::tsp::{
    Accuracy, GenTime, MessageImprint, PkiStatusInfo, STATUS_GRANTED, TimeStampResp, TstInfo,
};
use evidence::timestamp::{ParseTimestampError, Timestamp, hash_algorithm_identifier};
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
