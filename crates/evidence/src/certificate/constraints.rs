//! What a certificate says it may be used for: basic constraints, key usage, extended key usage.
//!
//! RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.10, §4.2.1.12.

use const_oid::ObjectIdentifier;
use der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::{Certificate, find};

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// Understood elsewhere or harmless when critical: subject alternative name, policies, identifiers.
const OTHERS_UNDERSTOOD: [ObjectIdentifier; 4] = [
    super::SUBJECT_ALTERNATIVE_NAME,
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
];

/// Extended key usage: signing code, which is what Fulcio certifies keys for.
pub const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// Extended key usage: signing timestamps (RFC 3161 §2.3).
pub const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// What a certificate says it may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// How many further authorities may stand below it; `None` for any number.
    pub path_length: Option<u8>,
    /// Whether it may sign certificates; without a key usage extension, it may.
    pub may_sign_certificates: bool,
    /// Whether it may sign data; without a key usage extension, it may.
    pub may_sign_data: bool,
    /// The extended key usages, and whether that extension is critical; `None` if it is absent.
    pub extended: Option<(Vec<ObjectIdentifier>, bool)>,
    /// Whether it constrains the names below it.
    pub constrains_names: bool,
    /// A critical extension that is not understood here.
    pub unknown_critical: Option<ObjectIdentifier>,
}

impl Certificate {
    /// Reads what the certificate says it may be used for.
    ///
    /// # Errors
    /// When one of these extensions is malformed.
    pub fn usage(&self) -> Result<Usage, der::Error> {
        let basic = find(&self.extensions, BASIC_CONSTRAINTS)
            .map(BasicConstraints::from_der)
            .transpose()?;
        let key_usage = find(&self.extensions, KEY_USAGE).map(KeyUsage::from_der).transpose()?;
        let extended = self.extensions.iter().find(|found| found.oid == EXTENDED_KEY_USAGE);
        let extended = extended
            .map(|found| Ok((ExtendedKeyUsage::from_der(&found.value)?.0, found.critical)))
            .transpose()
            .map_err(|error: der::Error| error)?;
        let understood = |oid| {
            [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, NAME_CONSTRAINTS].contains(oid)
                || OTHERS_UNDERSTOOD.contains(oid)
        };
        let unknown_critical = self
            .extensions
            .iter()
            .find(|extension| extension.critical && !understood(&extension.oid));
        Ok(Usage {
            is_authority: basic.as_ref().is_some_and(|basic| basic.ca),
            path_length: basic.and_then(|basic| basic.path_len_constraint),
            may_sign_certificates: key_usage.is_none_or(|usage| usage.key_cert_sign()),
            may_sign_data: key_usage.is_none_or(|usage| usage.digital_signature()),
            extended,
            constrains_names: find(&self.extensions, NAME_CONSTRAINTS).is_some(),
            unknown_critical: unknown_critical.map(|extension| extension.oid),
        })
    }
}
