//! Trust roots that parse and trust roots that must not.

use verify::TrustRoot;
use verify::trust_root::ParseTrustRootError;

#[test]
fn the_embedded_public_root_parses() {
    let root = TrustRoot::public_good();
    assert_eq!(root.digest(), &crypto::sha256(TrustRoot::public_good_json()));
}

/// Replaces one text of the embedded root, which must be there.
fn with(from: &str, to: &str) -> Result<TrustRoot, ParseTrustRootError> {
    let json = std::str::from_utf8(TrustRoot::public_good_json()).unwrap();
    assert!(json.contains(from), "{from} is not in the embedded root");
    TrustRoot::pin(json.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_key_without_a_start_of_validity_is_refused() {
    let refused = with("\"start\": \"2021-01-12T11:53:27Z\"", "\"end\": \"2031-01-12T11:53:27Z\"");
    assert!(
        matches!(refused, Err(ParseTrustRootError::Missing { field: "start of validity", .. })),
        "{refused:?}"
    );
}

#[test]
fn a_window_that_ends_before_it_starts_is_refused() {
    let refused =
        with("\"end\": \"2022-12-31T23:59:59.999Z\"", "\"end\": \"2020-01-01T00:00:00Z\"");
    assert!(matches!(refused, Err(ParseTrustRootError::BadWindow { .. })), "{refused:?}");
}

#[test]
fn another_media_type_is_refused() {
    let refused = with("trustedroot+json;version=0.1", "trustedroot+json;version=9.9");
    assert!(matches!(refused, Err(ParseTrustRootError::UnknownMediaType { .. })), "{refused:?}");
}

#[test]
fn a_key_of_an_unknown_algorithm_is_left_out() {
    assert!(with("PKIX_ED25519", "PKIX_OF_THE_FUTURE").is_ok());
}

#[test]
fn details_of_another_kind_of_key_are_refused() {
    let refused = with("PKIX_ED25519", "PKIX_ECDSA_P256_SHA_256");
    assert!(matches!(refused, Err(ParseTrustRootError::Key { .. })), "{refused:?}");
}

#[test]
fn trust_roots_that_do_not_hold_together_are_refused() {
    for (name, root) in testkit::untrusted::all() {
        let outcome = TrustRoot::pin(root.to_string().as_bytes());
        assert!(outcome.is_err(), "{name} was taken");
    }
    let instance = testkit::Instance::default();
    let right = instance.trust_root(&instance.issue());
    TrustRoot::pin(right.to_string().as_bytes()).unwrap();
}

#[test]
fn a_trust_root_is_bounded() {
    let json = TrustRoot::public_good_json();
    let mut fits = json.to_vec();
    fits.resize(verify::trust_root::TRUST_ROOT_SIZE_MAX, b' ');
    TrustRoot::pin(&fits).unwrap();
    fits.push(b' ');
    let found = fits.len();
    assert_eq!(TrustRoot::pin(&fits).unwrap_err(), ParseTrustRootError::TooLong { found });
}
