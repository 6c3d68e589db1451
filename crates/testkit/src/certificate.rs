//! Certificates as Fulcio issues them, and those of authorities above them (RFC 5280), with
//! certificate timestamps (RFC 6962 §3.2).

use crypto::hash::sha1_name;
use crypto::{HashAlgorithm, KeyKind, Scheme, sha256};
use serde_json::{Value, json};

use crate::der;
use crate::json::base64;
use crate::key::Key;

/// Key usage bit: signs data.
pub const DIGITAL_SIGNATURE: u8 = 0;
/// Key usage bit: signs certificates.
pub const KEY_CERT_SIGN: u8 = 5;
/// Extended key usage: signs code.
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// Extended key usage: signs timestamps.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
/// Extension: key usage.
pub const KEY_USAGE: &str = "2.5.29.15";
/// Extension: basic constraints.
pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
/// Extension: extended key usage.
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
/// Extension: subject alternative name.
pub const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
/// Extension: name constraints.
pub const NAME_CONSTRAINTS: &str = "2.5.29.30";
/// Extension: the list of certificate timestamps.
pub const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";
/// Extension: what makes a pre-certificate unusable.
pub const POISON: &str = "1.3.6.1.4.1.11129.2.4.3";

/// A certificate before it is signed.
#[derive(Clone, Debug)]
pub struct CertificateDraft {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// DER of the issuer's name.
    pub issuer: Vec<u8>,
    /// DER of the subject's name.
    pub subject: Vec<u8>,
    /// First second of validity.
    pub not_before: i64,
    /// Last second of validity.
    pub not_after: i64,
    /// The certified key's SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Extensions, without the list of certificate timestamps.
    pub extensions: Vec<ExtensionDraft>,
    /// Certificate timestamps; none means that there is no such extension.
    pub scts: Vec<SctDraft>,
    /// The TLS list in that extension, where it is not to follow from `scts`.
    pub sct_list: Option<Vec<u8>>,
    /// Who signs.
    pub signed_by: Key,
    /// How, where it is not the key's usual scheme.
    pub scheme: Option<Scheme>,
    /// Whether the signature is damaged afterwards.
    pub damaged: bool,
}

/// One extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionDraft {
    /// Object identifier, dotted.
    pub oid: String,
    /// Whether it is critical.
    pub critical: bool,
    /// The content of its OCTET STRING.
    pub value: Vec<u8>,
}

/// A CT log's promise before it is signed.
#[derive(Clone, Debug)]
pub struct SctDraft {
    /// Version byte; 0 means version 1.
    pub version: u8,
    /// The log's identifier.
    pub log_id: Vec<u8>,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Extensions.
    pub extensions: Vec<u8>,
    /// TLS number of the hash.
    pub hash: u8,
    /// Hash of the issuer's key.
    pub issuer_key_hash: [u8; 32],
    /// What the log saw, where it is not this certificate.
    pub tbs: Option<Vec<u8>>,
    /// Who signs.
    pub signed_by: Key,
    /// Whether the signature is damaged afterwards.
    pub damaged: bool,
}

impl ExtensionDraft {
    /// An extension.
    #[must_use]
    pub fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: oid.to_owned(), critical, value }
    }

    /// Key usage with these bits.
    #[must_use]
    pub fn key_usage(bits: &[u8]) -> Self {
        Self::new(KEY_USAGE, true, der::named_bits(bits))
    }

    /// Extended key usage for these purposes.
    #[must_use]
    pub fn extended_key_usage(purposes: &[&str], critical: bool) -> Self {
        let purposes: Vec<u8> = purposes.iter().flat_map(|purpose| der::oid(purpose)).collect();
        Self::new(EXTENDED_KEY_USAGE, critical, der::tlv(0x30, &purposes))
    }

    /// Basic constraints of an authority.
    #[must_use]
    pub fn authority(path_length: Option<u64>) -> Self {
        let mut content = der::boolean(true);
        content.extend(path_length.map(der::small).unwrap_or_default());
        Self::new(BASIC_CONSTRAINTS, true, der::tlv(0x30, &content))
    }

    /// The subject alternative names, each already encoded as a `GeneralName`.
    #[must_use]
    pub fn names(names: &[Vec<u8>]) -> Self {
        Self::new(SUBJECT_ALTERNATIVE_NAME, true, der::tlv(0x30, &names.concat()))
    }

    /// Name constraints that permit only these subtrees, each a `GeneralName`.
    #[must_use]
    pub fn permitted_names(names: &[Vec<u8>]) -> Self {
        let trees: Vec<u8> = names.iter().flat_map(|name| der::sequence(&[name])).collect();
        Self::new(NAME_CONSTRAINTS, true, der::sequence(&[&der::context(0, &trees)]))
    }

    /// Fulcio's extension of that number: raw text up to 6, then a DER string.
    #[must_use]
    pub fn fulcio(number: u8, text: &str) -> Self {
        let value = if number <= 6 { text.as_bytes().to_vec() } else { der::utf8(text) };
        Self::new(&format!("1.3.6.1.4.1.57264.1.{number}"), false, value)
    }

    /// The subject key identifier, made as usual from the key.
    #[must_use]
    pub fn subject_key_id(key: &Key) -> Self {
        Self::new("2.5.29.14", false, der::octets(&sha1_name(&key.public().raw_bytes())))
    }

    /// The authority key identifier.
    #[must_use]
    pub fn authority_key_id(key: &Key) -> Self {
        let id = der::context_primitive(0, &sha1_name(&key.public().raw_bytes()));
        Self::new("2.5.29.35", false, der::sequence(&[&id]))
    }

    fn encode(&self) -> Vec<u8> {
        let critical = if self.critical { der::boolean(true) } else { Vec::new() };
        der::sequence(&[&der::oid(&self.oid), &critical, &der::octets(&self.value)])
    }
}

/// `GeneralName`: an e-mail address.
#[must_use]
pub fn email(address: &str) -> Vec<u8> {
    der::context_primitive(1, address.as_bytes())
}

/// `GeneralName`: a DNS name.
#[must_use]
pub fn dns(host: &str) -> Vec<u8> {
    der::context_primitive(2, host.as_bytes())
}

/// `GeneralName`: a URI.
#[must_use]
pub fn uri(uri: &str) -> Vec<u8> {
    der::context_primitive(6, uri.as_bytes())
}

/// `GeneralName`: a user name in Fulcio's `otherName`.
#[must_use]
pub fn username(name: &str) -> Vec<u8> {
    let value = der::context(0, &der::utf8(name));
    der::context(0, &[der::oid("1.3.6.1.4.1.57264.1.7"), value].concat())
}

impl CertificateDraft {
    /// Replaces the extension of the same identifier, or adds it.
    pub fn put(&mut self, extension: ExtensionDraft) {
        match self.extensions.iter_mut().find(|found| found.oid == extension.oid) {
            Some(found) => *found = extension,
            None => self.extensions.push(extension),
        }
    }

    /// Takes an extension away.
    ///
    /// # Panics
    /// When it is not there: a mutation that changes nothing proves nothing.
    pub fn remove(&mut self, oid: &str) {
        let before = self.extensions.len();
        self.extensions.retain(|extension| extension.oid != oid);
        assert_eq!(self.extensions.len() + 1, before, "the extension {oid} was there");
    }

    /// Has CT logs promise it, then signs it.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let mut extensions: Vec<_> = self.extensions.iter().map(ExtensionDraft::encode).collect();
        if !self.scts.is_empty() || self.sct_list.is_some() {
            let seen = self.tbs(&extensions);
            let list = self.sct_list.clone().unwrap_or_else(|| {
                let scts: Vec<u8> =
                    self.scts.iter().flat_map(|sct| vector(&sct.seal(&seen))).collect();
                vector(&scts)
            });
            extensions.push(ExtensionDraft::new(SCT_LIST, false, der::octets(&list)).encode());
        }
        let tbs = self.tbs(&extensions);
        let mut signature = self.signed_by.sign_with(self.scheme(), &tbs);
        if self.damaged {
            damage(&mut signature);
        }
        der::sequence(&[&tbs, &scheme_identifier(self.scheme()), &der::bits(&signature)])
    }

    fn scheme(&self) -> Scheme {
        self.scheme.unwrap_or_else(|| self.signed_by.public().default_scheme())
    }

    fn tbs(&self, extensions: &[Vec<u8>]) -> Vec<u8> {
        let validity = der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]);
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            der::context(3, &der::tlv(0x30, &extensions.concat()))
        };
        der::sequence(&[
            &der::context(0, &der::small(2)),
            &der::integer(&self.serial),
            &scheme_identifier(self.scheme()),
            &self.issuer,
            &validity,
            &self.subject,
            &self.spki,
            &extensions,
        ])
    }
}

impl SctDraft {
    /// The promise of a log with that key to publish what that issuer is about to issue.
    #[must_use]
    pub fn new(log: &Key, issuer_spki: &[u8], seconds: i64) -> Self {
        let hash = match log.public().default_scheme().hash() {
            Some(HashAlgorithm::Sha384) => 5,
            Some(HashAlgorithm::Sha512) => 6,
            Some(HashAlgorithm::Sha256) | None => 4,
        };
        Self {
            version: 0,
            log_id: sha256(&log.spki()).to_vec(),
            time_ms: u64::try_from(seconds).expect("after 1970") * 1000,
            extensions: Vec::new(),
            hash,
            issuer_key_hash: sha256(issuer_spki),
            tbs: None,
            signed_by: log.clone(),
            damaged: false,
        }
    }

    fn seal(&self, tbs: &[u8]) -> Vec<u8> {
        let tbs = self.tbs.as_deref().unwrap_or(tbs);
        let signature = self.signature(&[&[0, 1][..], &self.issuer_key_hash].concat(), tbs);
        [
            &[self.version][..],
            &self.log_id,
            &self.time_ms.to_be_bytes(),
            &vector(&self.extensions),
            &signature,
        ]
        .concat()
    }

    /// What the log answers when it is sent a certificate that is issued already (RFC 6962 §4.1):
    /// its promise to publish that, to stand beside it.
    #[must_use]
    pub fn answer(&self, certificate: &[u8]) -> Value {
        json!({
            "sct_version": self.version,
            "id": base64(&self.log_id),
            "timestamp": self.time_ms,
            "extensions": base64(&self.extensions),
            "signature": base64(&self.signature(&[0, 0], certificate)),
        })
    }

    /// The log's signature (RFC 5246 §4.7) over an entry of that type.
    fn signature(&self, entry: &[u8], logged: &[u8]) -> Vec<u8> {
        let size = u32::try_from(logged.len()).expect("a short certificate").to_be_bytes();
        let signed = [
            &[0, 0][..],
            &self.time_ms.to_be_bytes(),
            entry,
            &size[1..],
            logged,
            &vector(&self.extensions),
        ]
        .concat();
        let mut signature = self.signed_by.sign(&signed);
        if self.damaged {
            damage(&mut signature);
        }
        let algorithm = match self.signed_by.kind() {
            KeyKind::Rsa { .. } => 1,
            _ => 3,
        };
        [&[self.hash, algorithm][..], &vector(&signature)].concat()
    }
}

/// A TLS vector with a 16-bit length.
#[must_use]
pub fn vector(content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).expect("a short vector");
    [&size.to_be_bytes()[..], content].concat()
}

/// The algorithm identifier of the key's usual scheme.
#[must_use]
pub fn signature_algorithm(key: &Key) -> Vec<u8> {
    scheme_identifier(key.public().default_scheme())
}

/// The algorithm identifier of a scheme.
///
/// # Panics
/// For a scheme that certificates here are not signed with.
#[must_use]
pub fn scheme_identifier(scheme: Scheme) -> Vec<u8> {
    let (oid, with_null) = match scheme {
        Scheme::EcdsaP256Sha256 | Scheme::EcdsaP384Sha256 | Scheme::EcdsaP521Sha256 => {
            ("1.2.840.10045.4.3.2", false)
        }
        Scheme::EcdsaP256Sha384 | Scheme::EcdsaP384Sha384 | Scheme::EcdsaP521Sha384 => {
            ("1.2.840.10045.4.3.3", false)
        }
        Scheme::EcdsaP256Sha512 | Scheme::EcdsaP384Sha512 | Scheme::EcdsaP521Sha512 => {
            ("1.2.840.10045.4.3.4", false)
        }
        Scheme::RsaPkcs1Sha256 => ("1.2.840.113549.1.1.11", true),
        Scheme::RsaPkcs1Sha384 => ("1.2.840.113549.1.1.12", true),
        Scheme::RsaPkcs1Sha512 => ("1.2.840.113549.1.1.13", true),
        Scheme::Ed25519 => ("1.3.101.112", false),
        other => panic!("no certificate here is signed with {other:?}"),
    };
    let parameters = if with_null { der::null() } else { Vec::new() };
    der::sequence(&[&der::oid(oid), &parameters])
}

/// Flips the last bit: of an ECDSA signature's `s`, so that it stays well-formed.
pub fn damage(signature: &mut [u8]) {
    if let Some(last) = signature.last_mut() {
        *last ^= 1;
    }
}
