//! Checkpoints of the three kinds of log, read with nothing but their specifications.

use std::sync::Arc;

use crypto::{KeyKind, KeyPair, Message, Scheme, Signer};
use evidence::note::key_id;
use evidence::{Checkpoint, SignedNote, TreeSize, UnixTime};
use tlog::checkpoint::{ForeignCheckpoint, UnsuitableKey};
use tlog::{CheckpointSigner, NoteSigner, TreeHeadSigner};

fn checkpoint(origin: &str) -> Checkpoint {
    Checkpoint { origin: origin.into(), size: TreeSize(5), root: [9; 32], extensions: vec![] }
}

const TIME: UnixTime = UnixTime::from_milliseconds(1_700_000_000_123);

fn resigned(
    note: &SignedNote,
    change: impl FnOnce(&mut evidence::note::NoteSignature),
) -> SignedNote {
    let mut signatures = note.signatures().to_vec();
    change(&mut signatures[0]);
    SignedNote::new(note.text().to_owned(), signatures)
}

#[test]
fn rekor_v1_signs_once_with_ecdsa_under_the_bare_host() {
    let key = Arc::new(KeyPair::generate(KeyKind::EcdsaP256).unwrap());
    let origin = "rekor.test - 123456";
    let signer = NoteSigner::new(origin, "rekor.test", key.clone()).unwrap();
    let note = signer.sign(&checkpoint(origin), TIME).unwrap();
    let text = note.to_string();
    let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    assert!(text.starts_with(&format!("{origin}\n5\n{root}\n\n— rekor.test ")), "{text}");
    let read = SignedNote::parse(&text).unwrap();
    let [line] = read.signatures() else { panic!("exactly one signature") };
    assert_eq!(line.key_hint, key.public_key().id()[..4]);
    key.public_key()
        .verify(Scheme::EcdsaP256Sha256, Message::Bytes(read.text().as_bytes()), &line.signature)
        .unwrap();
    assert_eq!(signer.verify(&checkpoint(origin), &read), Ok(None));
    let forged = resigned(&read, |line| line.signature[20] ^= 1);
    assert_eq!(signer.verify(&checkpoint(origin), &forged), Err(ForeignCheckpoint));
}

#[test]
fn rekor_v2_signs_with_ed25519() {
    let key = Arc::new(KeyPair::generate(KeyKind::Ed25519).unwrap());
    let signer = NoteSigner::new("v2.test", "v2.test", key.clone()).unwrap();
    let note = signer.sign(&checkpoint("v2.test"), TIME).unwrap();
    let [line] = note.signatures() else { panic!("exactly one signature") };
    assert_eq!((line.name.as_str(), line.signature.len()), ("v2.test", 64));
    assert_eq!(line.key_hint, key_id("v2.test", key.public_key())[..4]);
    assert!(signer.verify(&checkpoint("v2.test"), &note).is_ok());
    for changed in [
        resigned(&note, |line| line.name = "other.test".into()),
        resigned(&note, |line| line.key_hint[0] ^= 1),
        resigned(&note, |line| line.signature[63] ^= 1),
        SignedNote::new(note.text().replace("5\n", "6\n"), note.signatures().to_vec()),
    ] {
        assert_eq!(signer.verify(&checkpoint("v2.test"), &changed), Err(ForeignCheckpoint));
    }
}

/// C2SP static-ct-api, "Checkpoints", and RFC 6962 §3.5, taken apart by hand.
#[test]
fn certificate_logs_sign_tree_heads() {
    let key = Arc::new(KeyPair::generate(KeyKind::EcdsaP256).unwrap());
    let origin = "ct.test/2026";
    let signer = TreeHeadSigner::new(origin, key.clone()).unwrap();
    let note = signer.sign(&checkpoint(origin), TIME).unwrap();
    let [line] = note.signatures() else { panic!("exactly one signature") };
    assert_eq!(line.name, origin);
    let mut identifier = b"ct.test/2026\n\x05".to_vec();
    identifier.extend(key.public_key().id());
    assert_eq!(line.key_hint, crypto::sha256(&identifier)[..4]);

    let body = &line.signature;
    assert_eq!(body[..8], 1_700_000_000_123u64.to_be_bytes());
    assert_eq!(body[8..10], [4, 3], "sha256, ecdsa");
    assert_eq!(usize::from(u16::from_be_bytes([body[10], body[11]])), body.len() - 12);
    let mut head = vec![0, 1];
    head.extend(1_700_000_000_123u64.to_be_bytes());
    head.extend(5u64.to_be_bytes());
    head.extend([9; 32]);
    key.public_key().verify(Scheme::EcdsaP256Sha256, Message::Bytes(&head), &body[12..]).unwrap();

    assert_eq!(signer.verify(&checkpoint(origin), &note), Ok(Some(TIME)));
    for changed in [
        resigned(&note, |line| line.signature[7] ^= 1),
        resigned(&note, |line| line.signature[8] = 5),
        resigned(&note, |line| line.signature[11] ^= 1),
        resigned(&note, |line| line.signature[30] ^= 1),
        resigned(&note, |line| line.signature.truncate(9)),
    ] {
        assert_eq!(signer.verify(&checkpoint(origin), &changed), Err(ForeignCheckpoint));
    }
    let larger = Checkpoint { size: TreeSize(6), ..checkpoint(origin) };
    assert_eq!(signer.verify(&larger, &note), Err(ForeignCheckpoint));
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let ed25519 = Arc::new(KeyPair::generate(KeyKind::Ed25519).unwrap());
    assert!(matches!(
        TreeHeadSigner::new("ct.test", ed25519),
        Err(UnsuitableKey { found: KeyKind::Ed25519, .. })
    ));
    let rsa = Arc::new(KeyPair::generate(KeyKind::Rsa { bits: 2048 }).unwrap());
    assert!(matches!(NoteSigner::new("a", "a", rsa), Err(UnsuitableKey { .. })));
}
