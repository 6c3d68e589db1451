//! The instance's private keys and certificate chains, as PEM files in one directory.
//!
//! They are made together and appear together: a directory under another name is renamed once it
//! is whole and durable. The roots' keys sign once and are kept apart, to be taken off the machine.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use authority::{CertificateAuthority, SerialNumber, TimestampAuthority};
use crypto::{KeyKind, KeyPair};
use evidence::{Certificate, UnixTime};

use super::{Settings, cannot};
use crate::exit::{Exit, Failure};
use crate::machine;

/// Longest file of certificates read, in bytes.
const CHAIN_FILE_SIZE_MAX: usize = 256 * 1024;
/// The organization named in the certificates.
const ORGANIZATION: &str = "Countersign";

/// Keys and chains, the issuing or signing certificate first.
pub(super) struct Keys {
    pub(super) ca: KeyPair,
    pub(super) ca_chain: Vec<Certificate>,
    pub(super) tsa: KeyPair,
    pub(super) tsa_chain: Vec<Certificate>,
    pub(super) ct: KeyPair,
    pub(super) log_v1: KeyPair,
    pub(super) log_v2: KeyPair,
}

impl Keys {
    /// Reads them; makes them first, if the instance is being made and has none yet.
    pub(super) fn open_or_create(
        directory: &Path,
        settings: &Settings,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        if !directory.exists() {
            if !settings.unfinished {
                return Err(cannot("find the keys in", directory).hint(
                    "put them back from a backup: what was signed with them names them, and new \
                     ones would not do",
                ));
            }
            create(directory, settings.start().min(now))?;
        }
        let key = |name: &str| {
            let path = directory.join(name);
            KeyPair::read(&path).map_err(|error| cannot("read the key", &path).caused_by(error))
        };
        Ok(Self {
            ca: key("ca.pem")?,
            ca_chain: read_chain(&directory.join("ca-chain.pem"))?,
            tsa: key("tsa.pem")?,
            tsa_chain: read_chain(&directory.join("tsa-chain.pem"))?,
            ct: key("ct.pem")?,
            log_v1: key("log-v1.pem")?,
            log_v2: key("log-v2.pem")?,
        })
    }
}

fn create(directory: &Path, now: UnixTime) -> Result<(), Failure> {
    let partial = directory.with_extension("new");
    let io = |error| cannot("make the keys in", directory).caused_by(error);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let offline = partial.join("offline");
    fs::create_dir_all(&offline).map_err(io)?;
    restrict(&partial).map_err(io)?;

    let generate = |kind| {
        KeyPair::generate(kind)
            .map_err(|error| Failure::new(Exit::Failure, "cannot make a key").caused_by(error))
    };
    let write = |key: &KeyPair, path: &Path| {
        key.write_new(path).map_err(|error| cannot("write the key", path).caused_by(error))
    };
    // P-384 for certificates, as the public instance has; P-256 where clients expect it for CT and
    // v1; Ed25519 for v2, which is the one that witnesses cosign.
    let (ca_root, ca) = (generate(KeyKind::EcdsaP384)?, generate(KeyKind::EcdsaP384)?);
    let (tsa_root, tsa) = (generate(KeyKind::EcdsaP384)?, generate(KeyKind::EcdsaP384)?);
    let serials = || {
        [
            SerialNumber::from_random(crypto::random::bytes()),
            SerialNumber::from_random(crypto::random::bytes()),
        ]
    };
    let not_made = |error| Failure::new(Exit::Failure, "cannot make certificates").caused_by(error);
    let ca_chain = CertificateAuthority::create(&ca_root, &ca, ORGANIZATION, serials(), now)
        .map_err(not_made)?;
    let tsa_chain = TimestampAuthority::create(&tsa_root, &tsa, ORGANIZATION, serials(), now)
        .map_err(not_made)?;
    write(&ca_root, &offline.join("ca-root.pem"))?;
    write(&tsa_root, &offline.join("tsa-root.pem"))?;
    write(&ca, &partial.join("ca.pem"))?;
    write(&tsa, &partial.join("tsa.pem"))?;
    write(&generate(KeyKind::EcdsaP256)?, &partial.join("ct.pem"))?;
    write(&generate(KeyKind::EcdsaP256)?, &partial.join("log-v1.pem"))?;
    write(&generate(KeyKind::Ed25519)?, &partial.join("log-v2.pem"))?;
    for (name, chain) in [("ca-chain.pem", &ca_chain), ("tsa-chain.pem", &tsa_chain)] {
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        let mut file = File::create_new(partial.join(name)).map_err(io)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    }
    for made in [&offline, &partial] {
        machine::sync_directory(made).map_err(io)?;
    }
    fs::rename(&partial, directory).map_err(io)?;
    machine::sync_directory(directory.parent().unwrap_or(directory)).map_err(io)
}

/// Only the owner may look into a directory of keys.
fn restrict(directory: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn read_chain(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem = machine::read(path, "certificates", CHAIN_FILE_SIZE_MAX)?;
    let text = String::from_utf8(pem)
        .map_err(|error| cannot("read the certificates", path).caused_by(error))?;
    const END: &str = "-----END CERTIFICATE-----";
    text.split_inclusive(END)
        .filter(|block| block.contains(END))
        .map(|block| {
            let (_, der) = crypto::pem::decode(block.as_bytes())
                .map_err(|error| cannot("read the certificates", path).caused_by(error))?;
            Certificate::parse(&der)
                .map_err(|error| cannot("read the certificates", path).caused_by(error))
        })
        .collect()
}
