//! Whether a timestamp agrees with itself, and with the certificate it is said to be signed by. No key
//! is needed for it, and nothing is proven by it.

use crypto::hash::sha1_name;
use crypto::{Hash, HashAlgorithm};
use der::asn1::ObjectIdentifier;

use super::cms::ID_CT_TST_INFO;
use super::{CertificateHash, Timestamp};

/// A token that contradicts itself, or the certificate it is said to be signed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InconsistentTimestamp {
    /// The signed attribute names another content type.
    #[error("the signed content type is {found}, not {ID_CT_TST_INFO} (TSTInfo)")]
    ContentType {
        /// The type named.
        found: ObjectIdentifier,
    },
    /// The signed digest is not that of the content.
    #[error("the signed message digest is not the {algorithm} hash of the content")]
    MessageDigest {
        /// The algorithm.
        algorithm: HashAlgorithm,
    },
    /// No signed attribute names the certificate (RFC 3161 §2.4.2 demands one).
    #[error("no signed attribute names the signing certificate")]
    NoSigningCertificate,
    /// A signed attribute names another certificate.
    #[error("the signed attributes name another certificate as the signing one")]
    SigningCertificate,
}

impl Timestamp {
    /// Checks that the content type under the signature is TSTInfo (RFC 5652 §11.1).
    ///
    /// # Errors
    /// When it is another.
    pub fn check_content_type(&self) -> Result<(), InconsistentTimestamp> {
        match self.content_type {
            ID_CT_TST_INFO => Ok(()),
            found => Err(InconsistentTimestamp::ContentType { found }),
        }
    }

    /// Checks that the digest under the signature is that of the content (RFC 5652 §11.2).
    ///
    /// # Errors
    /// When it is not.
    pub fn check_message_digest(&self) -> Result<(), InconsistentTimestamp> {
        let algorithm = self.digest_algorithm;
        if Hash::of(algorithm, &self.content).as_bytes() == self.message_digest {
            Ok(())
        } else {
            Err(InconsistentTimestamp::MessageDigest { algorithm })
        }
    }

    /// Checks that every signed hash of the signing certificate is that of this one, and that there
    /// is one (RFC 3161 §2.4.2, RFC 5816 §2.2.1).
    ///
    /// # Errors
    /// When there is none, or one of them is of another certificate.
    pub fn check_signing_certificate(
        &self,
        certificate_der: &[u8],
    ) -> Result<(), InconsistentTimestamp> {
        if self.signing_certificates.is_empty() {
            return Err(InconsistentTimestamp::NoSigningCertificate);
        }
        let names_it = |hash: &CertificateHash| match hash {
            CertificateHash::Sha1(hash) => *hash == sha1_name(certificate_der),
            CertificateHash::Sha2(hash) => *hash == Hash::of(hash.algorithm(), certificate_der),
        };
        if self.signing_certificates.iter().all(names_it) {
            Ok(())
        } else {
            Err(InconsistentTimestamp::SigningCertificate)
        }
    }
}
