//! Key files: written once, for their owner only, and read back; everything else is refused.

use crypto::key_file::{Existing, Readers, read_private, write};
use crypto::{KeyFileError, KeyPair, Signer};

use crate::key::KINDS;

#[test]
fn a_key_reads_back_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    for (number, kind) in KINDS.into_iter().enumerate() {
        let path = directory.path().join(format!("{number}.pem"));
        let pair = KeyPair::generate(kind).unwrap();
        pair.write_new(&path).unwrap();
        let again = KeyPair::read(&path).unwrap();
        assert_eq!(again.public_key(), pair.public_key());
        let signature = again.sign_bytes(b"message").unwrap();
        let scheme = pair.public_key().default_scheme();
        pair.public_key().verify(scheme, crypto::Message::Bytes(b"message"), &signature).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{kind}");
        assert_eq!(text, *pair.to_pem().unwrap());
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    KeyPair::generate(KINDS[0]).unwrap().write_new(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, "what was there").unwrap();
    let refused = KeyPair::generate(KINDS[0]).unwrap().write_new(&path).unwrap_err();
    let KeyFileError::Io { path: named, source } = refused else { panic!("{refused:?}") };
    assert_eq!((named, source.kind()), (path.clone(), std::io::ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was there");
    #[cfg(unix)]
    {
        // Not through a link either, even one that leads nowhere.
        let link = directory.path().join("link.pem");
        std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).unwrap();
        assert!(KeyPair::generate(KINDS[0]).unwrap().write_new(&link).is_err());
        assert!(!directory.path().join("nowhere").exists());
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let read = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        KeyPair::read(&path).unwrap_err()
    };
    assert!(matches!(read(b""), KeyFileError::NotPkcs8Pem));
    assert!(matches!(read(b"no PEM"), KeyFileError::NotPkcs8Pem));
    assert!(matches!(read(&vec![b'A'; 16 * 1024 + 1]), KeyFileError::TooLong { .. }));
    let pair = KeyPair::generate(KINDS[0]).unwrap();
    assert!(matches!(read(pair.public_key().to_pem().as_bytes()), KeyFileError::NotPkcs8Pem));
    let encrypted = pair.to_pem().unwrap().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(matches!(read(encrypted.as_bytes()), KeyFileError::NotPkcs8Pem));
    let old = pair.to_pem().unwrap().replace("PRIVATE KEY", "EC PRIVATE KEY");
    assert!(matches!(read(old.as_bytes()), KeyFileError::NotPkcs8Pem));
    let nonsense = crypto::pem::encode("PRIVATE KEY", b"no key");
    assert!(matches!(read(nonsense.as_bytes()), KeyFileError::UnsupportedKey));
    // X25519, with which nothing is signed.
    let agreement = hex::decode(format!("302e020100300506032b656e04220420{}", "11".repeat(32)));
    let agreement = crypto::pem::encode("PRIVATE KEY", &agreement.unwrap());
    assert!(matches!(read(agreement.as_bytes()), KeyFileError::UnsupportedKey));
    let absent = KeyPair::read(&directory.path().join("absent"));
    assert!(matches!(absent, Err(KeyFileError::Io { .. })));
    assert!(matches!(KeyPair::read(directory.path()), Err(KeyFileError::Io { .. })));
}

#[test]
fn a_file_is_kept_or_replaced_as_the_caller_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cosign.key");
    write(&path, b"first", Readers::Owner, Existing::Keep).unwrap();
    let refused = write(&path, b"second", Readers::Owner, Existing::Keep).unwrap_err();
    let KeyFileError::Io { source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    write(&path, b"third", Readers::Owner, Existing::Replace).unwrap();
    assert_eq!(*read_private(&path).unwrap(), b"third");
    // Nothing is left beside it, also when it cannot be replaced.
    let taken = directory.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    write(&taken, b"x", Readers::Owner, Existing::Replace).unwrap_err();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_private_key_is_its_owners_even_where_others_could_read_the_file_before() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().unwrap();
    let mode = |path: &std::path::Path| {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    };
    let path = directory.path().join("cosign.key");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    write(&path, b"new", Readers::Owner, Existing::Replace).unwrap();
    assert_eq!(mode(&path), 0o600);
    let public = directory.path().join("cosign.pub");
    write(&public, b"public", Readers::Everybody, Existing::Keep).unwrap();
    assert_eq!(mode(&public) & 0o600, 0o600);
    assert_eq!(mode(&public) & 0o022, 0);
    // A link is replaced, not followed.
    let elsewhere = directory.path().join("elsewhere");
    std::fs::write(&elsewhere, "untouched").unwrap();
    let link = directory.path().join("link.key");
    symlink(&elsewhere, &link).unwrap();
    write(&link, b"key", Readers::Owner, Existing::Replace).unwrap();
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"untouched");
    assert_eq!(std::fs::read(&link).unwrap(), b"key");
}

#[test]
fn a_private_keys_file_is_read_up_to_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, vec![b'A'; 16 * 1024]).unwrap();
    assert_eq!(read_private(&path).unwrap().len(), 16 * 1024);
    std::fs::write(&path, vec![b'A'; 16 * 1024 + 1]).unwrap();
    assert!(matches!(read_private(&path), Err(KeyFileError::TooLong { .. })));
    let absent = read_private(&directory.path().join("absent"));
    assert!(matches!(absent, Err(KeyFileError::Io { .. })));
}
