//! `generate-key-pair`.

use std::path::{Path, PathBuf};

use clap::Args;
use crypto::key_file::{Existing, Readers, write};
use crypto::{KeyKind, KeyPair, Signer};

use crate::arguments::keys;
use crate::exit::{Exit, Failure};
use crate::ui::terminal::eprintln;

/// Make a key pair: NAME.key, encrypted with a password, and NAME.pub.
///
/// The password is taken from COSIGN_PASSWORD, or asked for. Consider signing without keys: what
/// does not exist cannot be stolen.
#[derive(Debug, Args)]
pub(crate) struct GenerateKeyPair {
    /// What the files are called before .key and .pub.
    #[arg(long, value_name = "NAME", default_value = "cosign")]
    output_key_prefix: String,
}

impl GenerateKeyPair {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let pair = KeyPair::generate(KeyKind::EcdsaP256)
            .map_err(|error| Failure::new(Exit::Failure, "no key was made").caused_by(error))?;
        save(&pair, &self.output_key_prefix, Existing::Keep)?;
        Ok(Exit::Success)
    }
}

/// Writes both halves. A file that is there already is lost only where that was asked for.
pub(super) fn save(pair: &KeyPair, prefix: &str, existing: Existing) -> Result<(), Failure> {
    let path = |end: &str| PathBuf::from(format!("{prefix}.{end}"));
    let (private, public) = (path("key"), path("pub"));
    if existing == Existing::Keep
        && let Some(taken) = [&private, &public].into_iter().find(|path| path.exists())
    {
        return Err(Failure::usage(format!("{} is there already", taken.display())).hint(
            "keys are not overwritten: move it away, or choose another --output-key-prefix",
        ));
    }
    let password = keys::new_password()?;
    let encrypted = pair.to_encrypted_pem(&password).map_err(|error| {
        Failure::new(Exit::Failure, "the key was not encrypted").caused_by(error)
    })?;
    put(&private, encrypted.as_bytes(), Readers::Owner, existing)?;
    put(&public, pair.public_key().to_pem().as_bytes(), Readers::Everybody, existing)?;
    eprintln!("private key  {}  (keep it, and its password)", private.display());
    eprintln!("public key   {}  (give it to whoever verifies)", public.display());
    Ok(())
}

fn put(path: &Path, content: &[u8], readers: Readers, existing: Existing) -> Result<(), Failure> {
    write(path, content, readers, existing)
        .map_err(|error| Failure::new(Exit::Failure, "the key was not written").caused_by(error))
}
