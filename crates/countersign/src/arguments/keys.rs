//! Keys as arguments: where they are read from, and the passwords that open them.

use std::path::Path;

use client::kubernetes::{KubernetesError, SecretRef};
use crypto::encrypted::Password;
use crypto::key_file::PRIVATE_KEY_SIZE_MAX;
use crypto::{KeyPair, PrivateKeyPem, PublicKey};
use zeroize::Zeroizing;

use super::kubernetes;
use crate::exit::Failure;
use crate::{machine, runtime, ui};

/// Variable that holds the password of private keys, as in Cosign.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";

/// Longest public key or certificate read, in bytes.
const PUBLIC_KEY_SIZE_MAX: usize = 64 * 1024;

/// Schemes of keys in services and devices, which no command here speaks to.
const ELSEWHERE: [&str; 8] =
    ["awskms", "gcpkms", "azurekms", "hashivault", "openbao", "pkcs11", "gitlab", "github"];

/// Where keys are read from.
const PLACES: &str = "give a file, env://VARIABLE, or k8s://NAMESPACE/SECRET";

/// The public key that a reference names: a file, `env://VARIABLE`, or `k8s://NAMESPACE/SECRET`. Not
/// for within the runtime: a cluster is asked before anything else is.
pub(crate) fn public(reference: &str) -> Result<PublicKey, Failure> {
    let text = match in_cluster(reference)? {
        Some(at) => runtime::block_on(kubernetes::public_key(&at))?,
        None => read(reference, "public key", PUBLIC_KEY_SIZE_MAX)?,
    };
    PublicKey::from_any_pem(&text).map_err(|error| {
        let failure = Failure::usage(format!("cannot use the public key {reference}"));
        let private = text.trim_ascii_start().starts_with(b"-----BEGIN")
            && text.windows(11).take(200).any(|window| window == b"PRIVATE KEY");
        let failure = failure.caused_by(error);
        match private {
            true => failure.hint(format!(
                "this is a private key: `countersign public-key --key {reference}` prints its \
                 public half"
            )),
            false => failure,
        }
    })
}

/// The key pair that a reference names, opened with the password.
pub(crate) async fn pair(reference: &str) -> Result<KeyPair, Failure> {
    let (text, kept) = match in_cluster(reference)? {
        Some(at) => kubernetes::private_key(&at).await?,
        None => (read(reference, "private key", PRIVATE_KEY_SIZE_MAX)?, None),
    };
    let unusable = |error: crypto::OpenKeyError| {
        let hint = error.hint();
        let failure =
            Failure::usage(format!("cannot use the private key {reference}")).caused_by(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let parsed = PrivateKeyPem::parse(&text).map_err(unusable)?;
    match parsed {
        PrivateKeyPem::Plain(pair) => Ok(pair),
        PrivateKeyPem::Encrypted(_) => {
            let password = match kept {
                Some(password) => password,
                None => password(&format!("Password for {reference}: "))?,
            };
            parsed.open(|| Ok::<_, crypto::OpenKeyError>(password)).map_err(unusable)
        }
    }
}

/// Where in a cluster a key is, if that is where the reference leads.
pub(crate) fn in_cluster(reference: &str) -> Result<Option<SecretRef>, Failure> {
    let Some(at) = reference.strip_prefix("k8s://") else { return Ok(None) };
    at.parse().map(Some).map_err(|error: KubernetesError| Failure::usage(error.to_string()))
}

/// The password of a key, from the variable or from whoever sits at the terminal.
pub(crate) fn password(prompt: &str) -> Result<Password, Failure> {
    let text = match std::env::var(PASSWORD_VARIABLE) {
        // An empty one is one that was chosen.
        Ok(text) => text,
        Err(_) => ui::ask_secret(prompt).map_err(|failure| {
            failure.hint(format!("set {PASSWORD_VARIABLE} where there is no terminal"))
        })?,
    };
    Ok(Password::new(text.into_bytes()))
}

/// A password for a new key that is kept beside it: nobody has to remember it.
pub(crate) fn new_password_to_keep() -> Zeroizing<Vec<u8>> {
    let text = std::env::var(PASSWORD_VARIABLE).unwrap_or_else(|_| {
        let random: [u8; 32] = crypto::random::bytes();
        hex::encode(random)
    });
    Zeroizing::new(text.into_bytes())
}

/// A password for a new key, asked for twice.
pub(crate) fn new_password() -> Result<Password, Failure> {
    if let Ok(text) = std::env::var(PASSWORD_VARIABLE) {
        warn_of_empty(&text);
        return Ok(Password::new(text.into_bytes()));
    }
    let hinted = |failure: Failure| {
        failure.hint(format!("set {PASSWORD_VARIABLE} where there is no terminal"))
    };
    let first = ui::ask_secret("Password for the private key: ").map_err(hinted)?;
    let again = ui::ask_secret("The same again: ").map_err(hinted)?;
    if first != again {
        return Err(Failure::usage("the passwords differ"));
    }
    warn_of_empty(&first);
    Ok(Password::new(first.into_bytes()))
}

/// An empty password may be chosen, but not by mistake.
fn warn_of_empty(password: &str) {
    if password.is_empty() {
        ui::warning(&format!(
            "the password is empty: whoever has the private key's file can sign with it \
             ({PASSWORD_VARIABLE} holds a password)"
        ));
    }
}

fn read(reference: &str, what: &str, size_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if reference.is_empty() {
        return Err(Failure::usage("--key is empty").hint(PLACES));
    }
    let text = match reference.split_once("://") {
        None => machine::read_some(Path::new(reference), what, size_max),
        Some(("env", name)) => {
            let text = machine::variable(name)
                .ok_or_else(|| Failure::usage(format!("the variable {name} has no {what}")))?;
            if text.len() > size_max {
                let message = format!("the {what} in {name} is longer than {size_max} bytes");
                return Err(Failure::usage(message));
            }
            Ok(text.into_bytes())
        }
        Some((scheme, _)) if ELSEWHERE.contains(&scheme) => {
            Err(Failure::usage(format!("keys of `{scheme}://` are not read yet")).hint(PLACES))
        }
        Some((scheme, _)) => {
            Err(Failure::usage(format!("`{scheme}://` names no {what}")).hint(PLACES))
        }
    };
    text.map(Zeroizing::new)
}
