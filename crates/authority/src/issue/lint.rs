//! The last look at a certificate before it leaves: parsed anew, and compared with what was meant.
//!
//! Independent of the code that wrote it: values are spelled out here as bytes, and read back
//! through the parser that verifiers use. A finding is a fault of ours, and nothing is released.

use const_oid::ObjectIdentifier;
use evidence::certificate::sct::SCT_LIST;
use evidence::certificate::{ParseCertificateError, SignedCertificateTimestamp};
use evidence::{Certificate, UnixTime};

use super::{Applicant, CertificateAuthority, without_poison};
use crate::certificate::{
    AUTHORITY_KEY_ID, EXTENDED_KEY_USAGE, KEY_USAGE, SUBJECT_ALTERNATIVE_NAME, SUBJECT_KEY_ID,
    SerialNumber, key_id, verify_signature,
};
use crate::ct::Precertificate;

/// `SEQUENCE { id-kp-codeSigning }`.
const CODE_SIGNING_ONLY: &[u8] =
    &[0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// `BIT STRING` with bit 0, `digitalSignature`.
const SIGNATURE_ONLY: &[u8] = &[0x03, 0x02, 0x07, 0x80];

/// A certificate that is not what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// It does not parse.
    #[error("it does not parse")]
    Parse(#[from] ParseCertificateError),
    /// A field has another value.
    #[error("{field} is not what it must be")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The extensions are others, in another order, or critical where they must not be.
    #[error("the extensions are not the expected ones in the expected order")]
    Extensions,
    /// It says something else than the logged pre-certificate.
    #[error("it differs from the logged pre-certificate in more than the promise")]
    DiffersFromPrecertificate,
}

/// What was meant.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Whose certificate it is.
    pub applicant: &'a Applicant,
    /// Who issues it.
    pub authority: &'a CertificateAuthority,
    /// Its serial number.
    pub serial: SerialNumber,
    /// First moment of validity.
    pub not_before: UnixTime,
    /// Last moment of validity.
    pub not_after: UnixTime,
    /// What was logged.
    pub precertificate: &'a Precertificate,
    /// What the log promised.
    pub sct: &'a SignedCertificateTimestamp,
}

/// Parses the certificate and compares it with what was meant.
///
/// # Errors
/// When it is anything else, down to the order of its extensions.
pub fn check(der: &[u8], expected: &Expected<'_>) -> Result<Certificate, LintError> {
    let certificate = Certificate::parse(der)?;
    let identity = expected.applicant.identity();
    let issuer = expected.authority.certificate();
    let key_identifier = key_id(expected.applicant.key());
    // `OCTET STRING` with its length in one byte: no other gets past `CertificateAuthority::new`.
    let authority_key_identifier = match issuer.extension(SUBJECT_KEY_ID) {
        Some([0x04, _, id @ ..]) => id.to_vec(),
        Some(_) | None => key_id(issuer.public_key()).to_vec(),
    };
    let size = u8::try_from(authority_key_identifier.len()).unwrap_or(u8::MAX);
    let value = |oid| certificate.extension(oid).unwrap_or_default();
    let fulcio = identity.extensions().iter().map(|(name, value)| (*name, value.as_str()));
    let sct = certificate.certificate_timestamps();

    let fields = [
        ("the serial number", certificate.serial() == expected.serial.as_bytes()),
        ("the issuer", certificate.issuer_name_der() == issuer.subject_name_der()),
        ("the subject", certificate.subject_name_der() == [0x30, 0x00]),
        ("the first moment", certificate.not_before() == expected.not_before),
        ("the last moment", certificate.not_after() == expected.not_after),
        ("the key", certificate.public_key() == expected.applicant.key()),
        ("the key usage", value(KEY_USAGE) == SIGNATURE_ONLY),
        ("the extended key usage", value(EXTENDED_KEY_USAGE) == CODE_SIGNING_ONLY),
        (
            "the key identifier",
            value(SUBJECT_KEY_ID) == [&[0x04, 0x14], &key_identifier[..]].concat(),
        ),
        (
            "the authority's key identifier",
            value(AUTHORITY_KEY_ID)
                == [&[0x30, size.saturating_add(2), 0x80, size], &authority_key_identifier[..]]
                    .concat(),
        ),
        ("the name", certificate.names() == [identity.name().clone()]),
        ("the identity", certificate.fulcio().iter().eq(fulcio)),
        ("the promise", sct.as_deref() == Ok(std::slice::from_ref(expected.sct))),
        ("the signature", verify_signature(&certificate, issuer.public_key()).is_ok()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, holds)| !holds) {
        return Err(LintError::Field { field });
    }
    check_extensions(&certificate, expected)?;
    check_precertificate(&certificate, expected)?;
    Ok(certificate)
}

fn check_extensions(certificate: &Certificate, expected: &Expected<'_>) -> Result<(), LintError> {
    let standard = [
        (KEY_USAGE, true),
        (EXTENDED_KEY_USAGE, false),
        (SUBJECT_KEY_ID, false),
        (AUTHORITY_KEY_ID, false),
        (SUBJECT_ALTERNATIVE_NAME, true),
    ];
    let identity = expected.applicant.identity().extensions();
    let wanted: Vec<(ObjectIdentifier, bool)> = standard
        .into_iter()
        .chain(identity.iter().map(|(name, _)| (name.oid(), false)))
        .chain([(SCT_LIST, false)])
        .collect();
    let found: Vec<_> = certificate
        .extensions()
        .iter()
        .map(|extension| (extension.oid, extension.critical))
        .collect();
    if found == wanted { Ok(()) } else { Err(LintError::Extensions) }
}

/// RFC 6962 §3.1: what the log committed to, the pre-certificate without its poison and the
/// certificate without its promise are the same bytes.
fn check_precertificate(
    certificate: &Certificate,
    expected: &Expected<'_>,
) -> Result<(), LintError> {
    let precertificate = Certificate::parse(&expected.precertificate.der)?;
    let logged = &expected.precertificate.tbs;
    let same = |tbs: der::Result<Vec<u8>>| tbs.is_ok_and(|tbs| tbs == *logged);
    let issuer = expected.authority.certificate().public_key();
    if same(certificate.tbs_without(SCT_LIST))
        && same(without_poison(&precertificate))
        && verify_signature(&precertificate, issuer).is_ok()
    {
        Ok(())
    } else {
        Err(LintError::DiffersFromPrecertificate)
    }
}
