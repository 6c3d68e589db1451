//! The structures of the Cryptographic Message Syntax that a timestamp token is made of.
//!
//! RFC 5652 (CMS), RFC 5035 and RFC 5816 (the attributes that name the signing certificate). Only
//! DER is read: indefinite lengths and constructed strings are errors. Nothing is verified here.

use der::asn1::{Any, AnyRef, Int, ObjectIdentifier, OctetString};
use der::{
    Choice, Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence,
    SliceReader, Tag, Writer,
};
use x509_cert::spki::AlgorithmIdentifierOwned;

/// `id-signedData` (RFC 5652 §5.1).
pub const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `id-ct-TSTInfo` (RFC 3161 §2.4.2).
pub const ID_CT_TST_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// `id-contentType` (RFC 5652 §11.1).
pub const ID_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// `id-messageDigest` (RFC 5652 §11.2).
pub const ID_MESSAGE_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// `id-signingTime` (RFC 5652 §11.3).
pub const ID_SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
/// `id-aa-signingCertificate` (RFC 5035 §5).
pub const ID_SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// `id-aa-signingCertificateV2` (RFC 5035 §3).
pub const ID_SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// `ContentInfo` (RFC 5652 §3), its content left as it came.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ContentInfo {
    /// What the content is.
    pub content_type: ObjectIdentifier,
    /// The content.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub content: Any,
}

/// `SignedData` (RFC 5652 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SignedData {
    /// 3, whenever the content is not plain data.
    pub version: u8,
    /// The digest algorithms of all signers; each signer repeats its own.
    pub digest_algorithms: RawSet,
    /// What is signed.
    pub encap_content_info: EncapsulatedContentInfo,
    /// Certificates that may help, in no order, signed by nobody.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub certificates: Option<RawSet>,
    /// Revocation lists that may help.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub crls: Option<RawSet>,
    /// [`SignerInfo`], one for each signer.
    pub signer_infos: RawSet,
}

/// `EncapsulatedContentInfo` (RFC 5652 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncapsulatedContentInfo {
    /// What the content is.
    pub content_type: ObjectIdentifier,
    /// The content itself; absent when it is elsewhere.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub content: Option<OctetString>,
}

/// `SignerInfo` (RFC 5652 §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SignerInfo {
    /// 1 with an issuer and serial number, 3 with a subject key identifier.
    pub version: u8,
    /// Which certificate the signer says is its own.
    pub sid: SignerIdentifier,
    /// What the content and the signed attributes are hashed with.
    pub digest_algorithm: AlgorithmIdentifierOwned,
    /// [`Attribute`]s under the signature, as they came.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub signed_attributes: Option<RawSet>,
    /// How the signature was made.
    pub signature_algorithm: AlgorithmIdentifierOwned,
    /// The signature, over the DER of the signed attributes as a `SET OF` (RFC 5652 §5.4).
    pub signature: OctetString,
    /// Attributes signed by nobody.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub unsigned_attributes: Option<RawSet>,
}

/// `SignerIdentifier` (RFC 5652 §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum SignerIdentifier {
    /// The certificate with this issuer and serial number.
    IssuerAndSerialNumber(IssuerAndSerialNumber),
    /// The certificate with this subject key identifier.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    SubjectKeyIdentifier(OctetString),
}

/// `IssuerAndSerialNumber` (RFC 5652 §10.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct IssuerAndSerialNumber {
    /// The issuer's `Name`, as it came: names are compared byte for byte.
    pub issuer: Any,
    /// The certificate's serial number.
    pub serial_number: Int,
}

/// `Attribute` (RFC 5652 §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Attribute {
    /// What the values are.
    pub attribute_type: ObjectIdentifier,
    /// The values, as they came.
    pub values: RawSet,
}

impl Attribute {
    /// An attribute of one value.
    ///
    /// # Errors
    /// When the value is too long to encode.
    pub fn new(attribute_type: ObjectIdentifier, value: &impl Encode) -> der::Result<Self> {
        Ok(Self { attribute_type, values: RawSet::from_elements([value])? })
    }
}

/// `SigningCertificate` (RFC 5035 §5): names the certificate by SHA-1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SigningCertificate {
    /// The signing certificate first, then possibly its issuers.
    pub certificates: Vec<EssCertId>,
    /// Policies, which nothing here reads.
    #[asn1(optional = "true")]
    pub policies: Option<Any>,
}

/// `ESSCertID` (RFC 5035 §5).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EssCertId {
    /// SHA-1 of the certificate.
    pub certificate_hash: OctetString,
    /// The certificate's issuer and serial number, which the hash already fixes.
    #[asn1(optional = "true")]
    pub issuer_serial: Option<Any>,
}

/// `SigningCertificateV2` (RFC 5035 §3): names the certificate by a hash of choice.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SigningCertificateV2 {
    /// The signing certificate first, then possibly its issuers.
    pub certificates: Vec<EssCertIdV2>,
    /// Policies, which nothing here reads.
    #[asn1(optional = "true")]
    pub policies: Option<Any>,
}

/// `ESSCertIDv2` (RFC 5035 §4), its optional parts told apart by hand: `hashAlgorithm` and
/// `issuerSerial` are both sequences, and the hash between them is what separates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EssCertIdV2 {
    /// What the certificate is hashed with; SHA-256 when absent.
    pub hash_algorithm: Option<AlgorithmIdentifierOwned>,
    /// Hash of the certificate.
    pub certificate_hash: OctetString,
    /// The certificate's issuer and serial number, which the hash already fixes.
    pub issuer_serial: Option<Any>,
}

impl FixedTag for EssCertIdV2 {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for EssCertIdV2 {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _header: Header) -> der::Result<Self> {
        Ok(Self {
            hash_algorithm: Option::decode(reader)?,
            certificate_hash: OctetString::decode(reader)?,
            issuer_serial: Option::decode(reader)?,
        })
    }
}

impl EncodeValue for EssCertIdV2 {
    fn value_len(&self) -> der::Result<Length> {
        self.hash_algorithm.encoded_len()?
            + self.certificate_hash.encoded_len()?
            + self.issuer_serial.encoded_len()?
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        self.hash_algorithm.encode(writer)?;
        self.certificate_hash.encode(writer)?;
        self.issuer_serial.encode(writer)
    }
}

/// The content of a `SET OF`, byte for byte as it came.
///
/// A parsed and re-encoded set may differ from the one that was signed (an encoder sorts it), so
/// what is verified is this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSet(Vec<u8>);

impl RawSet {
    /// Encodes the elements and sorts them as DER demands (X.690 §11.6).
    ///
    /// # Errors
    /// When an element is too long to encode.
    pub fn from_elements<'e, E: Encode + 'e>(
        elements: impl IntoIterator<Item = &'e E>,
    ) -> der::Result<Self> {
        let mut encoded =
            elements.into_iter().map(Encode::to_der).collect::<der::Result<Vec<_>>>()?;
        encoded.sort();
        Ok(Self(encoded.concat()))
    }

    /// The set with its own tag, as signatures over attributes take it (RFC 5652 §5.4).
    #[must_use]
    pub fn to_set_der(&self) -> Vec<u8> {
        AnyRef::new(Tag::Set, &self.0)
            .and_then(|set| set.to_der())
            .expect("a set that was decoded or encoded once is short enough to encode")
    }

    /// The elements, each with its tag and length; at most `count_max`, else `None`.
    ///
    /// # Errors
    /// When the content is not a row of DER values.
    pub fn elements(&self, count_max: usize) -> der::Result<Option<Vec<&[u8]>>> {
        let mut reader = SliceReader::new(&self.0)?;
        let mut elements = Vec::new();
        while !reader.is_finished() {
            if elements.len() == count_max {
                return Ok(None);
            }
            elements.push(reader.tlv_bytes()?);
        }
        Ok(Some(elements))
    }
}

impl FixedTag for RawSet {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for RawSet {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_vec(header.length()).map(Self)
    }
}

impl EncodeValue for RawSet {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(&self.0)
    }
}
