//! Digests, moments and numbers in their written forms.

use crypto::HashAlgorithm;
use evidence::digest::ParseDigestError;
use evidence::{Digest, UnixTime};

#[test]
fn digests_read_and_write_the_same() {
    for algorithm in HashAlgorithm::ALL {
        let text = format!("{algorithm}:{}", "0f".repeat(algorithm.size()));
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.algorithm(), algorithm);
        assert_eq!(digest.hash().as_bytes(), vec![0x0F; algorithm.size()]);
    }
    // SHA-256 of "abc" (FIPS 180-4, example).
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Digest::sha256(b"abc").hex(), abc);
}

#[test]
fn other_texts_are_no_digests() {
    let parse = |text: &str| text.parse::<Digest>().unwrap_err();
    assert_eq!(parse(&"0f".repeat(32)), ParseDigestError::NoColon);
    let unknown = |found: &str| ParseDigestError::UnknownAlgorithm { found: found.to_owned() };
    for algorithm in ["md5", "SHA256", "sha-256", "sha1", ""] {
        assert_eq!(parse(&format!("{algorithm}:{}", "0f".repeat(32))), unknown(algorithm));
    }
    assert_eq!(parse(&format!("{}:0f", "x".repeat(99))), unknown(&"x".repeat(32)));
    for value in ["0F".repeat(32), "0g".repeat(32), " f".repeat(32)] {
        let found = "other characters";
        let wanted =
            ParseDigestError::BadValue { algorithm: HashAlgorithm::Sha256, wanted: 64, found };
        assert_eq!(parse(&format!("sha256:{value}")), wanted);
    }
    for length in [0, 63, 65, 128] {
        let found = "another length";
        let wanted =
            ParseDigestError::BadValue { algorithm: HashAlgorithm::Sha256, wanted: 64, found };
        assert_eq!(parse(&format!("sha256:{}", "0".repeat(length))), wanted);
    }
}

#[test]
fn moments_keep_their_milliseconds() {
    let parse = |text| UnixTime::from_rfc3339(text).unwrap();
    assert_eq!(parse("1970-01-01T00:00:01Z"), UnixTime::from_seconds(1));
    assert_eq!(parse("1970-01-01T01:00:00+01:00"), UnixTime::from_seconds(0));
    assert_eq!(parse("2022-12-31T23:59:59.999Z").milliseconds() % 1000, 999);
    assert_eq!(parse("1970-01-01T00:00:00.000999Z"), UnixTime::from_seconds(0));
    assert_eq!(UnixTime::from_milliseconds(-1).seconds(), -1);
    assert_eq!(UnixTime::from_seconds(5).plus_seconds(-6), UnixTime::from_seconds(-1));
    assert_eq!(UnixTime::from_seconds(i64::MAX), UnixTime::from_milliseconds(i64::MAX));
    assert_eq!(UnixTime::from_seconds(1_780_315_200).to_string(), "2026-06-01T12:00:00Z");
    assert_eq!(UnixTime::from_milliseconds(i64::MAX).to_string(), "@9223372036854775");
    for text in ["", "2026-06-01", "2026-06-01T12:00:00", "2026-02-30T12:00:00Z", "now"] {
        assert_eq!(UnixTime::from_rfc3339(text), None, "{text}");
    }
}
