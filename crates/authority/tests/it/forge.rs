//! Certificates that are right but for one thing, and signed all the same.

use const_oid::ObjectIdentifier;
use crypto::{KeyPair, Signer};
use der::asn1::BitString;
use der::{Decode, Encode};
use evidence::Certificate;
use x509_cert::certificate::{CertificateInner, TbsCertificateInner};
use x509_cert::ext::Extension;

/// Changes a certificate and signs it again.
pub(crate) fn forge(
    certificate: &Certificate,
    signer: &KeyPair,
    change: impl FnOnce(&mut Tbs),
) -> Vec<u8> {
    let certificate = CertificateInner::from_der(certificate.der()).unwrap();
    let mut tbs = Tbs::of(certificate.tbs_certificate());
    change(&mut tbs);
    let tbs = tbs.to_der();
    let signature = BitString::from_bytes(&signer.sign_bytes(&tbs).unwrap()).unwrap();
    let algorithm = certificate.signature_algorithm().to_der().unwrap();
    let content = [tbs, algorithm, signature.to_der().unwrap()].concat();
    wrap(0x30, &content)
}

/// The fields of a TBSCertificate, each DER, to be changed at will.
pub(crate) struct Tbs {
    pub(crate) serial: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

impl Tbs {
    fn of(tbs: &TbsCertificateInner) -> Self {
        Self {
            serial: tbs.serial_number().to_der().unwrap(),
            algorithm: tbs.signature().to_der().unwrap(),
            issuer: tbs.issuer().to_der().unwrap(),
            validity: tbs.validity().to_der().unwrap(),
            subject: tbs.subject().to_der().unwrap(),
            key: tbs.subject_public_key_info().to_der().unwrap(),
            extensions: tbs.extensions().unwrap().clone(),
        }
    }

    fn to_der(&self) -> Vec<u8> {
        let extensions = wrap(0xA3, &self.extensions.to_der().unwrap());
        let content = [
            &[0xA0, 0x03, 0x02, 0x01, 0x02],
            &self.serial[..],
            &self.algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key,
            &extensions,
        ];
        wrap(0x30, &content.concat())
    }

    pub(crate) fn extension(&mut self, oid: &str) -> &mut Extension {
        let oid = ObjectIdentifier::new(oid).unwrap();
        self.extensions.iter_mut().find(|extension| extension.extn_id == oid).unwrap()
    }
}

/// Tag, length in two bytes or fewer, content.
pub(crate) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match size {
        [0, low] if low < 0x80 => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&header[..], content].concat()
}
