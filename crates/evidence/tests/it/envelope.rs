//! DSSE's pre-authentication encoding.

use crypto::{Hash, HashAlgorithm};
use evidence::Envelope;
use evidence::envelope::pae;

/// DSSE protocol v1.0.0, "Test vectors".
#[test]
fn the_specifications_example() {
    let encoded = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

#[test]
fn lengths_count_bytes_and_hashes_agree() {
    for (payload_type, payload) in [("", &b""[..]), ("é", b"\0\xff"), ("a b", &[7; 1000])] {
        let envelope = Envelope {
            payload_type: payload_type.to_owned(),
            payload: payload.to_vec(),
            signature: vec![1],
            key_id: String::new(),
            document: None,
        };
        let encoded = envelope.pae();
        let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
        assert_eq!(encoded, [head.as_bytes(), payload].concat());
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(envelope.pae_hash(algorithm), Hash::of(algorithm, &encoded));
        }
    }
}
