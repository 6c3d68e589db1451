//! The extensions of a certificate, in Fulcio's order.
//!
//! Fulcio's certificate specification; the order is Go's `crypto/x509`: key usage, extended key
//! usage, subject key identifier, authority key identifier, subject alternative name, then Fulcio's
//! own, then the poison or the list of promises.

use der::Encode;
use der::asn1::{Ia5StringRef, Null, OctetString, Utf8StringRef};
use evidence::Certificate;
use evidence::certificate::SubjectName;
use evidence::certificate::sct::{POISON, SCT_LIST};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;

use super::Applicant;
use crate::certificate::{
    CODE_SIGNING, KEY_USAGE, SUBJECT_ALTERNATIVE_NAME, USAGE_SIGNATURE, authority_key_id,
    extended_key_usage, extension, subject_key_id,
};

/// Everything but the poison or the promises.
pub(super) fn extensions(
    applicant: &Applicant,
    issuer: &Certificate,
) -> der::Result<Vec<Extension>> {
    let identity = applicant.identity();
    let mut extensions = vec![
        extension(KEY_USAGE, true, USAGE_SIGNATURE)?,
        extended_key_usage(false, CODE_SIGNING)?,
        // The specification demands it; Fulcio's development version left it out in 2026.
        subject_key_id(applicant.key())?,
        authority_key_id(issuer)?,
        // Critical, because the subject is empty (RFC 5280 §4.2.1.6).
        extension(SUBJECT_ALTERNATIVE_NAME, true, names(identity.name())?)?,
    ];
    for (fulcio, value) in identity.extensions() {
        let value = match fulcio.is_raw() {
            true => value.as_bytes().to_vec(),
            false => Utf8StringRef::new(value)?.to_der()?,
        };
        extensions.push(extension(fulcio.oid(), false, value)?);
    }
    Ok(extensions)
}

/// The critical extension that makes a pre-certificate unusable (RFC 6962 §3.1).
pub(super) fn poison() -> der::Result<Extension> {
    extension(POISON, true, Null.to_der()?)
}

/// The list of promises, an OCTET STRING inside the extension's own (RFC 6962 §3.3).
pub(super) fn promises(list: &[u8]) -> der::Result<Extension> {
    extension(SCT_LIST, false, OctetString::new(list)?.to_der()?)
}

fn names(name: &SubjectName) -> der::Result<Vec<u8>> {
    let ia5 = |text: &str| Ia5StringRef::new(text).map(Into::into);
    let name = match name {
        SubjectName::Email(email) => GeneralName::Rfc822Name(ia5(email)?),
        SubjectName::Uri(uri) => GeneralName::UniformResourceIdentifier(ia5(uri)?),
        // No issuer of the kinds known here makes these names.
        SubjectName::Username(_) | SubjectName::Other => {
            return Err(der::ErrorKind::Failed.into());
        }
    };
    vec![name].to_der()
}
