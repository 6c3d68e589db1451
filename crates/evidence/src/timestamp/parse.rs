//! Timestamps out of bytes.

use crypto::{Hash, HashAlgorithm};
use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::algorithm::{hash_algorithm, hash_value};
use super::cms::{
    Attribute, ContentInfo, EssCertIdV2, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST,
    ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE, ID_SIGNING_CERTIFICATE_V2, RawSet, SignedData,
    SignerIdentifier, SignerInfo, SigningCertificate, SigningCertificateV2,
};
use super::error::ParseTimestampError;
use super::tsp::{PkiFailure, STATUS_GRANTED, TimeStampResp, TstInfo};
use super::{
    CertificateHash, INTEGER_SIZE_MAX, SIGNED_ATTRIBUTES_MAX, SignerId, TIMESTAMP_CERTIFICATES_MAX,
    TIMESTAMP_SIZE_MAX, Timestamp,
};

type Result<T> = std::result::Result<T, ParseTimestampError>;

impl Timestamp {
    /// Parses a `TimeStampResp`, the form in which bundles and Cosign carry timestamps.
    ///
    /// # Errors
    /// When the authority refused, or the response or its token is malformed, ambiguous, too large,
    /// or uses a hash algorithm that proves nothing.
    pub fn parse(response: &[u8]) -> Result<Self> {
        let response: TimeStampResp = decode("the response", bounded(response)?)?;
        // `grantedWithMods` (1) is refused too, as other Sigstore clients do: what was modified is
        // known to the requester only.
        if response.status.status != STATUS_GRANTED {
            let failure = response.status.fail_info.as_ref();
            return Err(ParseTimestampError::NotGranted {
                status: response.status.status,
                failure: failure.and_then(PkiFailure::from_bit_string),
            });
        }
        let token = response.time_stamp_token.ok_or(ParseTimestampError::NoToken)?;
        let token = token.to_der().map_err(der_error("the token"))?;
        Self::parse_token(&token)
    }

    /// Parses a bare `TimeStampToken`, as it stands in other formats (CMS attributes, PDF).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_token(token: &[u8]) -> Result<Self> {
        let content_info: ContentInfo = decode("the token", bounded(token)?)?;
        expect_type("the token", ID_SIGNED_DATA, content_info.content_type)?;
        let signed_data: SignedData =
            content_info.content.decode_as().map_err(der_error("SignedData"))?;
        let encapsulated = &signed_data.encap_content_info;
        expect_type("the signed content", ID_CT_TST_INFO, encapsulated.content_type)?;
        // Version 3, because the content is not plain data (RFC 5652 §5.1).
        expect_version("SignedData", 3, signed_data.version)?;
        let content = encapsulated
            .content
            .as_ref()
            .ok_or(ParseTimestampError::Missing { part: "the signed content" })?
            .as_bytes()
            .to_vec();
        let statement: TstInfo = decode("TSTInfo", &content)?;
        let signer_info = sole_signer(&signed_data.signer_infos)?;
        let certificates = certificates(signed_data.certificates.as_ref())?;
        Self::assemble(content, &statement, signer_info, certificates)
    }

    fn assemble(
        content: Vec<u8>,
        statement: &TstInfo,
        signer_info: SignerInfo,
        certificates: Vec<Vec<u8>>,
    ) -> Result<Self> {
        expect_version("TSTInfo", 1, statement.version)?;
        refuse_critical(statement.extensions.as_deref())?;
        let imprint = &statement.message_imprint;
        let imprint = hash_value(
            "the message imprint",
            &imprint.hash_algorithm,
            imprint.hashed_message.as_bytes(),
        )?;
        let accuracy_ms = statement
            .accuracy
            .map(|accuracy| accuracy.to_milliseconds())
            .map(|accuracy| accuracy.ok_or(ParseTimestampError::OutOfRange { part: "accuracy" }))
            .transpose()?;
        // RFC 5652 §5.3: signed attributes must be there when the content is not plain data.
        let attributes = signer_info
            .signed_attributes
            .as_ref()
            .ok_or(ParseTimestampError::Missing { part: "the set of signed attributes" })?;
        let signed = SignedAttributes::parse(attributes)?;
        let digest_algorithm = hash_algorithm("the signer", &signer_info.digest_algorithm)?;
        let nonce = statement.nonce.as_ref();
        Ok(Self {
            content,
            time: statement.gen_time.0,
            accuracy_ms,
            imprint,
            serial: integer("the serial number", statement.serial_number.as_bytes())?,
            policy: statement.policy,
            nonce: nonce.map(|nonce| integer("the nonce", nonce.as_bytes())).transpose()?,
            signed_attributes_der: attributes.to_set_der(),
            content_type: signed.content_type,
            message_digest: signed.message_digest,
            signing_certificates: signed.signing_certificates,
            digest_algorithm,
            signature_algorithm: signer_info.signature_algorithm,
            signature: signer_info.signature.as_bytes().to_vec(),
            signer: signer_id(signer_info.version, signer_info.sid)?,
            certificates,
        })
    }
}

struct SignedAttributes {
    content_type: ObjectIdentifier,
    message_digest: Vec<u8>,
    signing_certificates: Vec<CertificateHash>,
}

impl SignedAttributes {
    /// `signingTime` and whatever else is there is deliberately not read: `TSTInfo` says the time.
    fn parse(attributes: &RawSet) -> Result<Self> {
        const PART: &str = "the set of signed attributes";
        let elements = attributes.elements(SIGNED_ATTRIBUTES_MAX).map_err(der_error(PART))?;
        let elements = elements.ok_or(ParseTimestampError::TooMany {
            what: "signed attributes",
            max: SIGNED_ATTRIBUTES_MAX,
        })?;
        let attributes = elements
            .into_iter()
            .map(|element| decode::<Attribute>(PART, element))
            .collect::<Result<Vec<_>>>()?;

        let content_type = sole_value(&attributes, ID_CONTENT_TYPE)?
            .ok_or(ParseTimestampError::Missing { part: "the content type attribute" })?
            .decode_as()
            .map_err(der_error("the content type attribute"))?;
        let message_digest: der::asn1::OctetString = sole_value(&attributes, ID_MESSAGE_DIGEST)?
            .ok_or(ParseTimestampError::Missing { part: "the message digest attribute" })?
            .decode_as()
            .map_err(der_error("the message digest attribute"))?;

        let mut signing_certificates = Vec::new();
        if let Some(value) = sole_value(&attributes, ID_SIGNING_CERTIFICATE)? {
            signing_certificates.push(CertificateHash::of_v1(&value)?);
        }
        if let Some(value) = sole_value(&attributes, ID_SIGNING_CERTIFICATE_V2)? {
            signing_certificates.push(CertificateHash::of_v2(&value)?);
        }
        let message_digest = message_digest.as_bytes().to_vec();
        Ok(Self { content_type, message_digest, signing_certificates })
    }
}

impl CertificateHash {
    /// The first identifier is the signing certificate's (RFC 5035 §5).
    fn of_v1(value: &Any) -> Result<Self> {
        const PART: &str = "the signing certificate attribute";
        let attribute: SigningCertificate = value.decode_as().map_err(der_error(PART))?;
        let first = attribute.certificates.first();
        let hash = first.ok_or(ParseTimestampError::Missing { part: PART })?;
        let hash = hash.certificate_hash.as_bytes();
        hash.try_into().map(Self::Sha1).map_err(|_| ParseTimestampError::OutOfRange { part: PART })
    }

    /// The first identifier is the signing certificate's (RFC 5035 §3).
    fn of_v2(value: &Any) -> Result<Self> {
        const PART: &str = "the signing certificate attribute, version 2,";
        let attribute: SigningCertificateV2 = value.decode_as().map_err(der_error(PART))?;
        let first: Option<EssCertIdV2> = attribute.certificates.into_iter().next();
        let id = first.ok_or(ParseTimestampError::Missing { part: PART })?;
        let algorithm = id
            .hash_algorithm
            .map_or(Ok(HashAlgorithm::Sha256), |algorithm| hash_algorithm(PART, &algorithm))?;
        let hash = id.certificate_hash.as_bytes();
        Hash::from_bytes(algorithm, hash).map(Self::Sha2).ok_or(ParseTimestampError::HashLength {
            part: PART,
            algorithm,
            found: hash.len(),
        })
    }
}

fn bounded(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() > TIMESTAMP_SIZE_MAX {
        return Err(ParseTimestampError::TooLong { found: bytes.len() });
    }
    Ok(bytes)
}

fn decode<'a, T: Decode<'a, Error = der::Error>>(part: &'static str, bytes: &'a [u8]) -> Result<T> {
    T::from_der(bytes).map_err(der_error(part))
}

fn der_error(part: &'static str) -> impl Fn(der::Error) -> ParseTimestampError {
    move |source| ParseTimestampError::Der { part, source }
}

fn expect_type(
    part: &'static str,
    wanted: ObjectIdentifier,
    found: ObjectIdentifier,
) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        Err(ParseTimestampError::WrongType { part, wanted, found })
    }
}

fn expect_version(part: &'static str, wanted: u8, found: u8) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(ParseTimestampError::Version { part, wanted, found }) }
}

fn sole_signer(signer_infos: &RawSet) -> Result<SignerInfo> {
    const PART: &str = "SignerInfo";
    let signers = signer_infos.elements(1).map_err(der_error(PART))?;
    match signers.as_deref() {
        Some([signer]) => decode(PART, signer),
        _ => Err(ParseTimestampError::NotOneSigner),
    }
}

fn signer_id(version: u8, sid: SignerIdentifier) -> Result<SignerId> {
    // RFC 5652 §5.3: the version follows from the form of the identifier.
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            expect_version("SignerInfo", 1, version)?;
            Ok(SignerId::IssuerAndSerial {
                issuer_der: id.issuer.to_der().map_err(der_error("the signer's issuer"))?,
                serial: integer("the signer's serial number", id.serial_number.as_bytes())?,
            })
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            expect_version("SignerInfo", 3, version)?;
            Ok(SignerId::SubjectKeyId(id.as_bytes().to_vec()))
        }
    }
}

fn certificates(set: Option<&RawSet>) -> Result<Vec<Vec<u8>>> {
    /// The tag of a plain `Certificate`; the other choices have context-specific tags.
    const SEQUENCE: u8 = 0x30;
    let Some(set) = set else { return Ok(Vec::new()) };
    let certificates =
        set.elements(TIMESTAMP_CERTIFICATES_MAX).map_err(der_error("the certificates"))?.ok_or(
            ParseTimestampError::TooMany { what: "certificates", max: TIMESTAMP_CERTIFICATES_MAX },
        )?;
    if certificates.iter().any(|certificate| certificate.first() != Some(&SEQUENCE)) {
        return Err(ParseTimestampError::NotACertificate);
    }
    Ok(certificates.into_iter().map(<[u8]>::to_vec).collect())
}

/// The one value of the one attribute of this type, if it is there at all.
fn sole_value(attributes: &[Attribute], oid: ObjectIdentifier) -> Result<Option<Any>> {
    let mut matching = attributes.iter().filter(|attribute| attribute.attribute_type == oid);
    let Some(attribute) = matching.next() else { return Ok(None) };
    let ambiguous = ParseTimestampError::AmbiguousAttribute { oid };
    if matching.next().is_some() {
        return Err(ambiguous);
    }
    let values = attribute.values.elements(1).map_err(der_error("a signed attribute"))?;
    match values.as_deref() {
        Some([value]) => decode("a signed attribute", value).map(Some),
        _ => Err(ambiguous),
    }
}

fn integer(part: &'static str, bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.len() > INTEGER_SIZE_MAX {
        return Err(ParseTimestampError::OutOfRange { part });
    }
    Ok(bytes.to_vec())
}

fn refuse_critical(extensions: Option<&[Extension]>) -> Result<()> {
    let critical = extensions.unwrap_or_default().iter().find(|extension| extension.critical);
    match critical {
        Some(extension) => Err(ParseTimestampError::CriticalExtension { oid: extension.extn_id }),
        None => Ok(()),
    }
}
