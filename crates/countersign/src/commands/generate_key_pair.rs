//! `generate-key-pair`.

use std::path::{Path, PathBuf};

use clap::Args;
use client::kubernetes::{KeyEntries, SecretRef};
use crypto::encrypted::Password;
use crypto::key_file::{Existing, Readers, write};
use crypto::{KeyFileError, KeyKind, KeyPair, Signer};

use crate::arguments::{keys, kubernetes};
use crate::exit::{Exit, Failure};
use crate::ui::terminal::eprintln;
use crate::{machine, runtime};

/// Make a key pair: NAME.key, encrypted with a password, and NAME.pub.
///
/// The password is taken from COSIGN_PASSWORD, or asked for. Consider signing without keys: what
/// does not exist cannot be stolen.
#[derive(Debug, Args)]
pub(crate) struct GenerateKeyPair {
    /// Keep the private key in a Kubernetes cluster, as k8s://NAMESPACE/SECRET, with its password
    /// beside it: whoever may read the Secret may sign.
    #[arg(value_name = "SECRET")]
    secret: Option<String>,

    /// What the files are called before .key and .pub.
    #[arg(long, value_name = "NAME", default_value = "cosign")]
    output_key_prefix: String,
}

impl GenerateKeyPair {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let pair = KeyPair::generate(KeyKind::EcdsaP256)
            .map_err(|error| Failure::new(Exit::Failure, "no key was made").caused_by(error))?;
        match &self.secret {
            None => save(&pair, &self.output_key_prefix, Existing::Keep)?,
            Some(reference) => {
                let at = keys::in_cluster(reference)?.ok_or_else(|| {
                    Failure::usage(format!("`{reference}` is no place to keep a key in"))
                        .hint("name a Secret as k8s://NAMESPACE/SECRET, or none for files")
                })?;
                keep(&pair, &at, &self.output_key_prefix)?;
            }
        }
        Ok(Exit::Success)
    }
}

/// Keeps both halves in a cluster, and writes the public one beside.
fn keep(pair: &KeyPair, at: &SecretRef, prefix: &str) -> Result<(), Failure> {
    let public = PathBuf::from(format!("{prefix}.pub"));
    not_taken(&[&public])?;
    let password = keys::new_password_to_keep();
    let encrypted = encrypt(pair, &Password::new(password.to_vec()))?;
    let public_pem = pair.public_key().to_pem();
    let entries = KeyEntries {
        private_key: encrypted.as_bytes(),
        public_key: public_pem.as_bytes(),
        password: &password,
    };
    runtime::block_on(kubernetes::store(at, &entries))?;
    eprintln!("private key  {at}  (whoever may read the Secret may sign)");
    put(&public, public_pem.as_bytes(), Readers::Everybody, Existing::Keep).map_err(|failure| {
        failure.hint(format!("`countersign public-key --key {at}` prints it"))
    })?;
    eprintln!("public key   {}  (give it to whoever verifies)", public.display());
    Ok(())
}

fn not_taken(files: &[&Path]) -> Result<(), Failure> {
    match files.iter().find(|path| path.exists()) {
        None => Ok(()),
        Some(taken) => Err(Failure::usage(format!("{} is there already", taken.display()))
            .hint("keys are not overwritten: move it away, or choose another --output-key-prefix")),
    }
}

fn encrypt(pair: &KeyPair, password: &Password) -> Result<String, Failure> {
    pair.to_encrypted_pem(password)
        .map_err(|error| Failure::new(Exit::Failure, "the key was not encrypted").caused_by(error))
}

/// Writes both halves. A file that is there already is lost only where that was asked for.
pub(super) fn save(pair: &KeyPair, prefix: &str, existing: Existing) -> Result<(), Failure> {
    let path = |end: &str| PathBuf::from(format!("{prefix}.{end}"));
    let (private, public) = (path("key"), path("pub"));
    if existing == Existing::Keep {
        not_taken(&[&private, &public])?;
    }
    let encrypted = encrypt(pair, &keys::new_password()?)?;
    put(&private, encrypted.as_bytes(), Readers::Owner, existing)?;
    put(&public, pair.public_key().to_pem().as_bytes(), Readers::Everybody, existing).inspect_err(
        |_| {
            if existing == Existing::Keep {
                // One half without the other would be in the way of whoever tries again.
                drop(std::fs::remove_file(&private));
            }
        },
    )?;
    eprintln!("private key  {}  (keep it, and its password)", private.display());
    eprintln!("public key   {}  (give it to whoever verifies)", public.display());
    Ok(())
}

fn put(path: &Path, content: &[u8], readers: Readers, existing: Existing) -> Result<(), Failure> {
    write(path, content, readers, existing).map_err(|error| match error {
        KeyFileError::Io { path, source } => machine::cannot_write(&path, source),
        error => Failure::new(Exit::Failure, "the key was not written").caused_by(error),
    })
}
