//! The last look before release: every field in turn made wrong and signed again, and found.

use std::time::Duration;

use authority::ct::Precertificate;
use authority::issue::lint::{Expected, LintError, check};
use authority::issuer::IssuerKind;
use authority::{Applicant, CertificateAuthority, IssuingAuthority};
use const_oid::ObjectIdentifier;
use crypto::{KeyKind, KeyPair, Signer};
use der::Encode;
use der::asn1::{OctetString, UtcTime};
use evidence::Certificate;
use evidence::certificate::SignedCertificateTimestamp;
use evidence::certificate::sct::SCT_LIST;
use futures::executor::block_on;
use x509_cert::certificate::Rfc5280;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use crate::forge::{Tbs, forge, wrap};
use crate::world::{
    Log, NOW, applicant, certificate_authority, claims, copy, github, github_claims, serial,
};

/// A certificate as it was issued, with everything that it is compared with.
struct Case {
    applicant: Applicant,
    issuing: IssuingAuthority<Log>,
    key: KeyPair,
    issued: Certificate,
    precertificate: Precertificate,
    sct: SignedCertificateTimestamp,
}

impl Case {
    fn new() -> Self {
        let (authority, key) = certificate_authority(KeyKind::EcdsaP256);
        let issuing = IssuingAuthority::new(authority, Log::new());
        let signer = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
        let applicant = applicant(github(), &github_claims(), &signer);
        let issued = block_on(issuing.issue(&applicant, serial(9), NOW)).unwrap();
        let issued = issued.certificate().clone();
        let (precertificate, sct) = issuing.log().last();
        Self { applicant, issuing, key, issued, precertificate, sct }
    }

    fn authority(&self) -> &CertificateAuthority {
        self.issuing.authority()
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            applicant: &self.applicant,
            authority: self.authority(),
            serial: serial(9),
            not_before: NOW,
            not_after: NOW.plus_seconds(600),
            precertificate: &self.precertificate,
            sct: &self.sct,
        }
    }

    /// Changes the issued certificate, signs it again, and says what is found.
    fn found(&self, change: impl FnOnce(&mut Tbs)) -> LintError {
        check(&forge(&self.issued, &self.key, change), &self.expected()).unwrap_err()
    }
}

fn value(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).unwrap()
}

fn validity(from: i64, to: i64) -> Vec<u8> {
    let time = |seconds: i64| {
        let duration = Duration::from_secs(u64::try_from(NOW.seconds() + seconds).unwrap());
        Time::UtcTime(UtcTime::from_unix_duration(duration).unwrap())
    };
    Validity::<Rfc5280>::new(time(from), time(to)).to_der().unwrap()
}

#[test]
fn what_was_meant_passes() {
    let case = Case::new();
    assert_eq!(check(case.issued.der(), &case.expected()).unwrap(), case.issued);
}

#[test]
fn every_field_is_compared() {
    let case = Case::new();
    let field = |field| LintError::Field { field };
    let check = |name: &'static str, change: &dyn Fn(&mut Tbs)| {
        assert_eq!(case.found(change), field(name), "{name}");
    };
    check("the serial number", &|tbs| {
        tbs.serial = SerialNumber::<Rfc5280>::new(&[7]).unwrap().to_der().unwrap();
    });
    let name = |text: &str| text.parse::<Name>().unwrap().to_der().unwrap();
    check("the issuer", &|tbs| tbs.issuer = name("CN=somebody else"));
    check("the subject", &|tbs| tbs.subject = name("CN=somebody"));
    check("the first moment", &|tbs| tbs.validity = validity(-1, 600));
    check("the last moment", &|tbs| tbs.validity = validity(0, 601));
    let other = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    check("the key", &|tbs| tbs.key = other.public_key().spki_der().to_vec());
    check("the key usage", &|tbs| {
        tbs.extension("2.5.29.15").extn_value = value(&[0x03, 0x02, 0x02, 0x84]);
    });
    check("the extended key usage", &|tbs| {
        let both = "301406082b0601050507030306082b06010505070308";
        tbs.extension("2.5.29.37").extn_value = value(&hex::decode(both).unwrap());
    });
    check("the key identifier", &|tbs| {
        tbs.extension("2.5.29.14").extn_value = value(&[&[0x04, 0x14], &[1; 20][..]].concat());
    });
    check("the authority's key identifier", &|tbs| {
        let id = [&[0x30, 0x16, 0x80, 0x14], &[1; 20][..]].concat();
        tbs.extension("2.5.29.35").extn_value = value(&id);
    });
    check("the name", &|tbs| {
        let mallory = [&[0x30, 0x0B, 0x81, 0x09], &b"a@mallory"[..]].concat();
        tbs.extension("2.5.29.17").extn_value = value(&mallory);
    });
    check("the name", &|tbs| {
        // The right name, and one more.
        let san = tbs.extension("2.5.29.17");
        let inner = &san.extn_value.as_bytes()[2..];
        let more = [inner, &[0x81, 0x03], b"a@b"].concat();
        san.extn_value = value(&wrap(0x30, &more));
    });
    check("the identity", &|tbs| {
        tbs.extension("1.3.6.1.4.1.57264.1.20").extn_value = value(b"\x0c\x04pull");
    });
    check("the identity", &|tbs| {
        let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.23");
        let extn_value = value(b"\x0c\x04prod");
        tbs.extensions.push(Extension { extn_id, critical: false, extn_value });
    });
    check("the promise", &|tbs| {
        tbs.extensions.retain(|extension| extension.extn_id != SCT_LIST);
    });
    check("the promise", &|tbs| {
        let list = tbs.extension("1.3.6.1.4.1.11129.2.4.2");
        let mut bytes = list.extn_value.as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        list.extn_value = value(&bytes);
    });
}

#[test]
fn the_extensions_are_exactly_those() {
    let case = Case::new();
    let found = case.found(|tbs| tbs.extension("2.5.29.17").critical = false);
    assert_eq!(found, LintError::Extensions);
    let found = case.found(|tbs| tbs.extension("1.3.6.1.4.1.11129.2.4.2").critical = true);
    assert_eq!(found, LintError::Extensions);
    let found = case.found(|tbs| tbs.extensions.swap(0, 1));
    assert_eq!(found, LintError::Extensions);
    let constraints = Extension {
        extn_id: ObjectIdentifier::new_unwrap("2.5.29.19"),
        critical: true,
        extn_value: value(&[0x30, 0x03, 0x01, 0x01, 0xFF]),
    };
    let found = case.found(|tbs| tbs.extensions.push(constraints));
    assert_eq!(found, LintError::Extensions);
}

#[test]
fn it_is_the_one_that_was_logged() {
    // The same certificate, while the log was told another one.
    let case = Case::new();
    let other = Case::new();
    let mut expected = case.expected();
    expected.precertificate = &other.precertificate;
    let error = check(case.issued.der(), &expected).unwrap_err();
    assert_eq!(error, LintError::DiffersFromPrecertificate);
    // A pre-certificate of the same authority that is not the one whose content was logged.
    block_on(case.issuing.issue(&case.applicant, serial(8), NOW)).unwrap();
    let mut precertificate = case.precertificate.clone();
    precertificate.der = case.issuing.log().last().0.der;
    let mut expected = case.expected();
    expected.precertificate = &precertificate;
    let error = check(case.issued.der(), &expected).unwrap_err();
    assert_eq!(error, LintError::DiffersFromPrecertificate);
    // Signature algorithm inside the signed part other than outside: other bytes than logged.
    let found = case.found(|tbs| {
        tbs.algorithm = hex::decode("300a06082a8648ce3d040303").unwrap();
    });
    assert_eq!(found, LintError::DiffersFromPrecertificate);
}

#[test]
fn it_is_signed_by_the_authority() {
    let case = Case::new();
    let (another, _) = certificate_authority(KeyKind::EcdsaP256);
    let mut expected = case.expected();
    expected.authority = &another;
    assert!(check(case.issued.der(), &expected).is_err());
    let mut der = case.issued.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let error = check(&der, &case.expected()).unwrap_err();
    assert_eq!(error, LintError::Field { field: "the signature" });
    assert!(matches!(check(&der[1..], &case.expected()), Err(LintError::Parse(_))));
}

#[test]
fn it_is_of_this_applicant() {
    let case = Case::new();
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let alice = applicant(IssuerKind::Email, &claims(), &copy(&key));
    let mut expected = case.expected();
    expected.applicant = &alice;
    let error = check(case.issued.der(), &expected).unwrap_err();
    assert_eq!(error, LintError::Field { field: "the key" });
}
