//! RFC 3161 timestamps in CMS (RFC 5652), with the attributes of RFC 5035 and RFC 5816.

use crypto::hash::sha1_name;
use crypto::{Hash, HashAlgorithm};

use crate::certificate::{damage, scheme_identifier};
use crate::key::Key;
use crate::{clock, der};

/// A timestamp response before its token is signed.
#[derive(Clone, Debug)]
pub struct TokenDraft {
    /// `PKIStatus`.
    pub status: u64,
    /// Algorithm of the imprint.
    pub imprint_algorithm: HashAlgorithm,
    /// What is timestamped: here, a signature's bytes.
    pub imprint_of: Vec<u8>,
    /// `TSTInfo.version`.
    pub version: u64,
    /// The policy, dotted.
    pub policy: String,
    /// The token's serial number.
    pub serial: Vec<u8>,
    /// The time as written, e.g. `20260601120000Z`.
    pub time: String,
    /// Accuracy in seconds.
    pub accuracy_s: Option<u64>,
    /// The nonce.
    pub nonce: Option<Vec<u8>>,
    /// Extensions of `TSTInfo`, already encoded, without their list.
    pub extensions: Vec<u8>,
    /// What the content is said to be.
    pub content_type: String,
    /// What the signed attribute says that the content is.
    pub signed_content_type: String,
    /// The digest under the signature, where it is not to be the content's.
    pub message_digest: Option<Vec<u8>>,
    /// Which certificates the signed attributes name, and how.
    pub names_certificate: Vec<CertificateName>,
    /// What content and attributes are hashed with.
    pub digest_algorithm: HashAlgorithm,
    /// DER of the signature algorithm's identifier, where it is not to follow from the key.
    pub signature_algorithm: Option<Vec<u8>>,
    /// DER of the signer's issuer.
    pub signer_issuer: Vec<u8>,
    /// The signer's serial number.
    pub signer_serial: Vec<u8>,
    /// The signer by its key's identifier instead.
    pub signer_key_id: Option<Vec<u8>>,
    /// How many times the signer stands in the token.
    pub signer_count: usize,
    /// Certificates that come along.
    pub certificates: Vec<Vec<u8>>,
    /// Who signs.
    pub signed_by: Key,
    /// Whether the signature is damaged afterwards.
    pub damaged: bool,
}

/// How a signed attribute names a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// ESSCertID: its SHA-1.
    V1(Vec<u8>),
    /// ESSCertIDv2: its hash in that algorithm.
    V2(HashAlgorithm, Vec<u8>),
}

impl TokenDraft {
    /// Says when, as ASN.1 writes it.
    pub fn at(&mut self, seconds: i64) {
        self.time = format!("{}Z", clock::digits(seconds));
    }

    /// Signs the token and puts the response together.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let status = der::sequence(&[&der::small(self.status)]);
        der::sequence(&[&status, &self.token()])
    }

    fn token(&self) -> Vec<u8> {
        let content = self.statement();
        let digest = hash_identifier(self.digest_algorithm);
        let signers = vec![self.signer(&content); self.signer_count];
        let certificates = match self.certificates.as_slice() {
            [] => Vec::new(),
            // SET OF, under an implicit tag.
            some => {
                let mut sorted = some.to_vec();
                sorted.sort();
                der::context(0, &sorted.concat())
            }
        };
        let signed_data = der::sequence(&[
            &der::small(3),
            &der::set(&[digest]),
            &der::sequence(&[
                &der::oid(&self.content_type),
                &der::context(0, &der::octets(&content)),
            ]),
            &certificates,
            &der::set(&signers),
        ]);
        der::sequence(&[&der::oid("1.2.840.113549.1.7.2"), &der::context(0, &signed_data)])
    }

    /// `TSTInfo`.
    fn statement(&self) -> Vec<u8> {
        let imprint = Hash::of(self.imprint_algorithm, &self.imprint_of);
        let imprint = der::sequence(&[
            &hash_identifier(self.imprint_algorithm),
            &der::octets(imprint.as_bytes()),
        ]);
        let accuracy = self.accuracy_s.map(|seconds| der::sequence(&[&der::small(seconds)]));
        let extensions =
            if self.extensions.is_empty() { Vec::new() } else { der::context(1, &self.extensions) };
        der::sequence(&[
            &der::small(self.version),
            &der::oid(&self.policy),
            &imprint,
            &der::integer(&self.serial),
            &der::tlv(0x18, self.time.as_bytes()),
            &accuracy.unwrap_or_default(),
            &self.nonce.as_deref().map(der::integer).unwrap_or_default(),
            &extensions,
        ])
    }

    fn signer(&self, content: &[u8]) -> Vec<u8> {
        let attributes = self.attributes(content);
        // Signed under the tag of a SET OF, sent under an implicit one (RFC 5652 §5.4).
        let signed = der::set(&attributes);
        let mut sorted = attributes;
        sorted.sort();
        let sent = der::context(0, &sorted.concat());
        let mut signature = self.signed_by.sign(&signed);
        if self.damaged {
            damage(&mut signature);
        }
        let algorithm = self
            .signature_algorithm
            .clone()
            .unwrap_or_else(|| scheme_identifier(self.signed_by.public().default_scheme()));
        let (version, identifier) = match &self.signer_key_id {
            Some(id) => (3, der::context_primitive(0, id)),
            None => (1, der::sequence(&[&self.signer_issuer, &der::integer(&self.signer_serial)])),
        };
        der::sequence(&[
            &der::small(version),
            &identifier,
            &hash_identifier(self.digest_algorithm),
            &sent,
            &algorithm,
            &der::octets(&signature),
        ])
    }

    fn attributes(&self, content: &[u8]) -> Vec<Vec<u8>> {
        let attribute = |oid: &str, value: &[u8]| {
            der::sequence(&[&der::oid(oid), &der::set(&[value.to_vec()])])
        };
        let digest = self
            .message_digest
            .clone()
            .unwrap_or_else(|| Hash::of(self.digest_algorithm, content).as_bytes().to_vec());
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", &der::oid(&self.signed_content_type)),
            attribute("1.2.840.113549.1.9.4", &der::octets(&digest)),
        ];
        for name in &self.names_certificate {
            attributes.push(match name {
                CertificateName::V1(certificate) => {
                    let id = der::sequence(&[&der::octets(&sha1_name(certificate))]);
                    let list = der::sequence(&[&der::sequence(&[&id])]);
                    attribute("1.2.840.113549.1.9.16.2.12", &list)
                }
                CertificateName::V2(algorithm, certificate) => {
                    let hash = Hash::of(*algorithm, certificate);
                    // SHA-256 is the default, and DER leaves a default out.
                    let identifier = match algorithm {
                        HashAlgorithm::Sha256 => Vec::new(),
                        other => hash_identifier(*other),
                    };
                    let id = der::sequence(&[&identifier, &der::octets(hash.as_bytes())]);
                    let list = der::sequence(&[&der::sequence(&[&id])]);
                    attribute("1.2.840.113549.1.9.16.2.47", &list)
                }
            });
        }
        attributes
    }
}

/// The identifier of a hash algorithm.
#[must_use]
pub fn hash_identifier(algorithm: HashAlgorithm) -> Vec<u8> {
    let oid = match algorithm {
        HashAlgorithm::Sha256 => "2.16.840.1.101.3.4.2.1",
        HashAlgorithm::Sha384 => "2.16.840.1.101.3.4.2.2",
        HashAlgorithm::Sha512 => "2.16.840.1.101.3.4.2.3",
    };
    der::sequence(&[&der::oid(oid)])
}
