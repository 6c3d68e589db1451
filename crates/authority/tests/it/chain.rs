//! An authority's own chain: every flaw in turn, signed by the root all the same.

use authority::certificate::chain::ChainError;
use authority::stamp::SIGSTORE_POLICY;
use authority::{CertificateAuthority, TimestampAuthority};
use crypto::{KeyKind, KeyPair};
use der::asn1::OctetString;
use evidence::Certificate;
use x509_cert::ext::Extension;

use crate::forge::{Tbs, forge, wrap};
use crate::world::{NOW, copy, serial};

const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const CODE_SIGNING: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x03";
const TIME_STAMPING: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08";

fn value(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).unwrap()
}

fn set(tbs: &mut Tbs, oid: &str, bytes: &[u8]) {
    tbs.extension(oid).extn_value = value(bytes);
}

fn drop_extension(tbs: &mut Tbs, oid: &str) {
    tbs.extensions.retain(|extension| extension.extn_id.to_string() != oid);
}

fn purposes(tbs: &mut Tbs, purposes: &[&[u8]]) {
    set(tbs, EXTENDED_KEY_USAGE, &wrap(0x30, &purposes.concat()));
}

/// What is made of a chain of two whose first or last certificate is changed.
struct Chain {
    root: KeyPair,
    first: KeyPair,
    chain: Vec<Certificate>,
    new: fn(Vec<Certificate>, KeyPair) -> Result<(), ChainError>,
}

impl Chain {
    fn certificates() -> Self {
        let [root, first] = [0; 2].map(|_| KeyPair::generate(KeyKind::EcdsaP256).unwrap());
        let serials = [serial(1), serial(2)];
        let chain = CertificateAuthority::create(&root, &first, "Example", serials, NOW).unwrap();
        let new = |chain, key| CertificateAuthority::new(chain, Box::new(key)).map(|_| ());
        Self { root, first, chain, new }
    }

    fn timestamps() -> Self {
        let [root, first] = [0; 2].map(|_| KeyPair::generate(KeyKind::EcdsaP256).unwrap());
        let serials = [serial(1), serial(2)];
        let chain = TimestampAuthority::create(&root, &first, "Example", serials, NOW).unwrap();
        let new =
            |chain, key| TimestampAuthority::new(chain, Box::new(key), SIGSTORE_POLICY).map(|_| ());
        Self { root, first, chain, new }
    }

    fn with(&self, index: usize, change: impl FnOnce(&mut Tbs)) -> Result<(), ChainError> {
        let mut chain = self.chain.clone();
        chain[index] = Certificate::parse(&forge(&chain[index], &self.root, change)).unwrap();
        (self.new)(chain, copy(&self.first))
    }
}

#[test]
fn an_unchanged_chain_is_taken() {
    for chain in [Chain::certificates(), Chain::timestamps()] {
        assert_eq!(chain.with(0, |_| {}), Ok(()));
        assert_eq!(chain.with(1, |_| {}), Ok(()));
    }
}

#[test]
fn who_issues_is_an_authority_and_says_so() {
    let chain = Chain::certificates();
    for index in [0, 1] {
        let refused = Err(ChainError::NotAnAuthority { index });
        let not_ca = chain.with(index, |tbs| set(tbs, BASIC_CONSTRAINTS, &[0x30, 0x00]));
        assert_eq!(not_ca, refused);
        let absent = chain.with(index, |tbs| drop_extension(tbs, BASIC_CONSTRAINTS));
        assert_eq!(absent, refused);
        let lax = chain.with(index, |tbs| tbs.extension(BASIC_CONSTRAINTS).critical = false);
        assert_eq!(lax, refused);
        // digitalSignature alone, cRLSign alone, nothing at all.
        for usage in [&[0x03, 0x02, 0x07, 0x80], &[0x03, 0x02, 0x01, 0x02]] {
            assert_eq!(chain.with(index, |tbs| set(tbs, KEY_USAGE, usage)), refused);
        }
        assert_eq!(chain.with(index, |tbs| drop_extension(tbs, KEY_USAGE)), refused);
    }
    let chain = Chain::timestamps();
    let root = chain.with(1, |tbs| set(tbs, BASIC_CONSTRAINTS, &[0x30, 0x00]));
    assert_eq!(root, Err(ChainError::NotAnAuthority { index: 1 }));
}

#[test]
fn there_is_room_for_what_is_below() {
    let chain = Chain::certificates();
    let no_room = [0x30, 0x06, 0x01, 0x01, 0xFF, 0x02, 0x01, 0x00];
    let unlimited = [0x30, 0x03, 0x01, 0x01, 0xFF];
    let refused = Err(ChainError::PathLength { index: 1 });
    assert_eq!(chain.with(1, |tbs| set(tbs, BASIC_CONSTRAINTS, &no_room)), refused);
    assert_eq!(chain.with(1, |tbs| set(tbs, BASIC_CONSTRAINTS, &unlimited)), Ok(()));
    // A timestamp leaf is no authority, so its root needs no room.
    let chain = Chain::timestamps();
    assert_eq!(chain.with(1, |tbs| set(tbs, BASIC_CONSTRAINTS, &no_room)), Ok(()));
}

/// RFC 5280 §4.2.1.2, RFC 7093 §2: SHA-1 is only the commonest way to name a key.
#[test]
fn what_is_issued_can_name_the_key_of_its_issuer() {
    const SUBJECT_KEY_ID: &str = "2.5.29.14";
    let chain = Chain::certificates();
    let named = |id: &[u8]| chain.with(0, |tbs| set(tbs, SUBJECT_KEY_ID, &wrap(0x04, id)));
    for size in [1, 8, 20, 32, 64] {
        assert_eq!(named(&vec![7; size]), Ok(()), "{size}");
    }
    assert_eq!(chain.with(0, |tbs| drop_extension(tbs, SUBJECT_KEY_ID)), Ok(()));
    for size in [0, 65, 200] {
        assert_eq!(named(&vec![7; size]), Err(ChainError::KeyIdentifier), "{size}");
    }
    for bad in [&b""[..], b"\x04\x02\x07", b"\x04\x01\x07\x07", b"\x0c\x01\x07"] {
        let outcome = chain.with(0, |tbs| set(tbs, SUBJECT_KEY_ID, bad));
        assert_eq!(outcome, Err(ChainError::KeyIdentifier), "{bad:?}");
    }
}

#[test]
fn names_and_signatures_link_it() {
    for chain in [Chain::certificates(), Chain::timestamps()] {
        let name = chain.chain[0].subject_name_der().to_vec();
        let misnamed = chain.with(0, |tbs| tbs.issuer = name);
        assert_eq!(misnamed, Err(ChainError::NotSigned { index: 0 }));
        let mut broken = chain.chain.clone();
        let mut der = broken[0].der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        broken[0] = Certificate::parse(&der).unwrap();
        let outcome = (chain.new)(broken, copy(&chain.first));
        assert_eq!(outcome, Err(ChainError::NotSigned { index: 0 }));
    }
}

#[test]
fn an_issuing_intermediate_is_for_code_signing() {
    let chain = Chain::certificates();
    let refused = |index| Err(ChainError::Purpose { index, wanted: "code signing" });
    assert_eq!(chain.with(0, |tbs| drop_extension(tbs, EXTENDED_KEY_USAGE)), refused(0));
    assert_eq!(chain.with(0, |tbs| purposes(tbs, &[TIME_STAMPING])), refused(0));
    assert_eq!(chain.with(0, |tbs| purposes(tbs, &[TIME_STAMPING, CODE_SIGNING])), Ok(()));
    // A root need not say so, but must not say otherwise.
    let extended = |tbs: &mut Tbs, purpose: &[u8]| {
        let extn_id = EXTENDED_KEY_USAGE.parse().unwrap();
        let extn_value = value(&wrap(0x30, purpose));
        tbs.extensions.push(Extension { extn_id, critical: false, extn_value });
    };
    assert_eq!(chain.with(1, |tbs| extended(tbs, TIME_STAMPING)), refused(1));
    assert_eq!(chain.with(1, |tbs| extended(tbs, CODE_SIGNING)), Ok(()));
    let chain = Chain::timestamps();
    let refused = Err(ChainError::Purpose { index: 1, wanted: "timestamping" });
    assert_eq!(chain.with(1, |tbs| extended(tbs, CODE_SIGNING)), refused);
    assert_eq!(chain.with(1, |tbs| extended(tbs, TIME_STAMPING)), Ok(()));
}

/// RFC 3161 §2.3.
#[test]
fn a_timestamp_leaf_is_for_timestamps_alone_and_critically() {
    let chain = Chain::timestamps();
    let wanted = "timestamping, critically and alone";
    let refused = Err(ChainError::Purpose { index: 0, wanted });
    assert_eq!(chain.with(0, |tbs| tbs.extension(EXTENDED_KEY_USAGE).critical = false), refused);
    assert_eq!(chain.with(0, |tbs| purposes(tbs, &[CODE_SIGNING])), refused);
    assert_eq!(chain.with(0, |tbs| purposes(tbs, &[TIME_STAMPING, CODE_SIGNING])), refused);
    assert_eq!(chain.with(0, |tbs| drop_extension(tbs, EXTENDED_KEY_USAGE)), refused);
    let authority = chain.with(0, |tbs| {
        let extn_id = BASIC_CONSTRAINTS.parse().unwrap();
        let extn_value = value(&[0x30, 0x03, 0x01, 0x01, 0xFF]);
        tbs.extensions.push(Extension { extn_id, critical: true, extn_value });
    });
    assert_eq!(authority, Err(ChainError::IsAnAuthority));
}

/// sigstore-python does not verify chains whose authority signs with Ed25519.
#[test]
fn ed25519_issues_nothing() {
    let authority = Chain::certificates();
    let ed25519 = KeyPair::generate(KeyKind::Ed25519).unwrap();
    let spki = copy(&ed25519);
    let mut chain = authority.chain.clone();
    let der = forge(&chain[0], &authority.root, |tbs| {
        tbs.key = crypto::Signer::public_key(&spki).spki_der().to_vec();
    });
    chain[0] = Certificate::parse(&der).unwrap();
    let error = CertificateAuthority::new(chain, Box::new(ed25519)).unwrap_err();
    assert!(matches!(error, ChainError::SigningKey(_)));
}
