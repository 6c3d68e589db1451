//! Key files as people have them: private keys plain or encrypted, in every PEM form that OpenSSL,
//! Go and Cosign write, and files that are created for their owner alone.
//!
//! RFC 7468 §10–§13, RFC 5958 (PKCS#8), RFC 8017 §A.1 (PKCS#1), RFC 5915 (SEC 1). Whether a file
//! may be replaced, and with which password it opens, is the caller's to say.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::encrypted::{
    self, BadEncryptedKey, COSIGN_LABEL, EncryptedKey, Password, SIGSTORE_LABEL, WrongPassword,
};
use crate::pem::{self, PemError};
use crate::random;
use crate::signer::{KeyFileError, KeyPair};

/// Longest private key read, in bytes of PEM: RSA-4096, encrypted, takes about 4,700.
pub const PRIVATE_KEY_SIZE_MAX: usize = 16 * 1024;

/// A private key as it stands in a file.
#[derive(Debug)]
pub enum PrivateKeyPem {
    /// Readable by whoever reads the file.
    Plain(KeyPair),
    /// To be opened with a password.
    Encrypted(EncryptedKey),
}

/// Why a private key could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenKeyError {
    /// Longer than any key.
    #[error("a private key of {found} bytes is longer than the {PRIVATE_KEY_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not PEM.
    #[error("not a PEM block: {0}")]
    Pem(PemError),
    /// PEM, and not a private key.
    #[error("wanted a private key, found a PEM block `{found}`")]
    NotAPrivateKey {
        /// The block's label, cut to 64 characters.
        found: String,
    },
    /// Encrypted in OpenSSL's way.
    #[error("wanted a key that is plain or encrypted by Cosign, found an encrypted PKCS#8 key")]
    EncryptedPkcs8,
    /// The encrypted key is broken, or asks for what is not taken.
    #[error(transparent)]
    Broken(#[from] BadEncryptedKey),
    /// The password does not open it.
    #[error(transparent)]
    WrongPassword(#[from] WrongPassword),
    /// What is inside is no key of a supported kind.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

impl OpenKeyError {
    /// What somebody can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAPrivateKey { found } if found == "PUBLIC KEY" => {
                Some("this is the public half; signing needs the private one (`cosign.key`)")
            }
            Self::EncryptedPkcs8 => {
                Some("decrypt it with `openssl pkey -in KEY -out PLAIN`, then import that")
            }
            Self::WrongPassword(_) => {
                Some("check COSIGN_PASSWORD; if the password is right, the file was altered")
            }
            Self::Broken(BadEncryptedKey::Cost { .. }) => {
                Some("import the key anew, which encrypts it with the usual cost")
            }
            Self::Broken(_) => Some("the file is damaged: restore it from where it was kept"),
            _ => None,
        }
    }
}

impl PrivateKeyPem {
    /// Reads one private key: `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1), `EC PRIVATE KEY`
    /// (SEC 1, after OpenSSL's `EC PARAMETERS` or without), or one that Cosign encrypted.
    ///
    /// # Errors
    /// When it is none of them, or broken.
    pub fn parse(text: &[u8]) -> Result<Self, OpenKeyError> {
        if text.len() > PRIVATE_KEY_SIZE_MAX {
            return Err(OpenKeyError::TooLong { found: text.len() });
        }
        let (label, der) = pem::decode(past_parameters(text)).map_err(OpenKeyError::Pem)?;
        let der = Zeroizing::new(der);
        Ok(match label {
            "PRIVATE KEY" => Self::Plain(KeyPair::from_pkcs8_der(&der)?),
            "RSA PRIVATE KEY" => Self::Plain(KeyPair::from_pkcs1_der(&der)?),
            "EC PRIVATE KEY" => Self::Plain(KeyPair::from_sec1_der(&der)?),
            SIGSTORE_LABEL | COSIGN_LABEL => Self::Encrypted(EncryptedKey::parse(&der)?),
            "ENCRYPTED PRIVATE KEY" => return Err(OpenKeyError::EncryptedPkcs8),
            other => {
                let found = other.chars().take(64).collect();
                return Err(OpenKeyError::NotAPrivateKey { found });
            }
        })
    }

    /// The key, decrypted with what `password` gives, which is asked for encrypted keys only.
    ///
    /// # Errors
    /// When the password is not given or wrong, or no key of a supported kind is inside.
    pub fn open<E: From<OpenKeyError>>(
        self,
        password: impl FnOnce() -> Result<Password, E>,
    ) -> Result<KeyPair, E> {
        match self {
            Self::Plain(pair) => Ok(pair),
            Self::Encrypted(key) => {
                let pkcs8 = key.open(&password()?).map_err(OpenKeyError::from)?;
                Ok(KeyPair::from_pkcs8_der(&pkcs8).map_err(OpenKeyError::from)?)
            }
        }
    }
}

impl KeyPair {
    /// Reads a key file written by [`Self::write_new`] or by OpenSSL's `genpkey`.
    ///
    /// # Errors
    /// As [`Self::from_pem`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        Self::from_pem(&read_private(path)?)
    }

    /// Writes the key, readable by its owner only, to a file that must not exist yet, and returns
    /// once it is durable. The caller makes the *directory* durable.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        write(path, self.to_pem()?.as_bytes(), Readers::Owner, Existing::Keep)
    }

    /// The key encrypted as Cosign does: PEM `ENCRYPTED SIGSTORE PRIVATE KEY`. Takes 64 MiB and
    /// the time that scrypt is meant to take.
    ///
    /// # Errors
    /// When the backend cannot encode the key.
    pub fn to_encrypted_pem(&self, password: &Password) -> Result<String, KeyFileError> {
        let pkcs8 = self.to_pkcs8_der()?;
        Ok(pem::encode(SIGSTORE_LABEL, &encrypted::seal(&pkcs8, password)))
    }
}

/// Reads a private key's file, at most [`PRIVATE_KEY_SIZE_MAX`], into memory that is wiped.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    // Room for all of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(PRIVATE_KEY_SIZE_MAX + 1));
    let mut file = File::open(path).map_err(io)?.take(PRIVATE_KEY_SIZE_MAX as u64 + 1);
    file.read_to_end(&mut text).map_err(io)?;
    if text.len() > PRIVATE_KEY_SIZE_MAX {
        let (path, size_max) = (path.to_owned(), PRIVATE_KEY_SIZE_MAX);
        return Err(KeyFileError::TooLong { path, size_max });
    }
    Ok(text)
}

/// What becomes of a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced, at once and whole: somebody said so.
    Replace,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone: private keys.
    Owner,
    /// Everybody: public keys.
    Everybody,
}

/// Writes a key's file, and returns once it is durable. The caller makes the *directory* durable.
///
/// # Errors
/// When it exists and is to be kept ([`io::ErrorKind::AlreadyExists`]), or cannot be written.
pub fn write(
    path: &Path,
    content: &[u8],
    readers: Readers,
    existing: Existing,
) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    match existing {
        Existing::Keep => create(path, content, readers).map_err(io),
        Existing::Replace => {
            // Written aside and moved over it, so that a crash leaves one or the other, and a
            // file that others could read does not keep its mode, nor a link its target.
            let aside = aside(path);
            create(&aside, content, readers).map_err(io)?;
            fs::rename(&aside, path).map_err(|error| {
                // What went wrong before is what is told.
                drop(fs::remove_file(&aside));
                io(error)
            })
        }
    }
}

fn create(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(
        &mut options,
        match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o644,
        },
    );
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = options.open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is none, and would be in the way of whoever tries again.
        drop(fs::remove_file(path));
    }
    written
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_ne_bytes(random::bytes())));
    path.with_file_name(name)
}

/// What follows the block `EC PARAMETERS`, which OpenSSL's `ecparam -genkey` writes first: it only
/// repeats the curve that the key names itself.
fn past_parameters(text: &[u8]) -> &[u8] {
    const BEGIN: &[u8] = b"-----BEGIN EC PARAMETERS-----";
    const END: &[u8] = b"-----END EC PARAMETERS-----";
    if !text.trim_ascii_start().starts_with(BEGIN) {
        return text;
    }
    let end = text.windows(END.len()).position(|window| window == END);
    end.map_or(text, |end| &text[end + END.len()..])
}
