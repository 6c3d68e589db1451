//! `import-key-pair`.

use std::io::IsTerminal;

use clap::Args;
use crypto::key_file::Existing;

use super::generate_key_pair;
use crate::arguments::keys;
use crate::exit::{Exit, Failure};
use crate::{runtime, ui};

/// Encrypt a private key that was made elsewhere: PEM of PKCS#8, PKCS#1 or SEC1; ECDSA, RSA or
/// Ed25519.
#[derive(Debug, Args)]
pub(crate) struct ImportKeyPair {
    /// The private key: a file, env://VARIABLE, or k8s://NAMESPACE/SECRET.
    #[arg(short, long, value_name = "KEY")]
    key: String,

    /// What the files are called before .key and .pub.
    #[arg(short, long, value_name = "NAME", default_value = "import-cosign")]
    output_key_prefix: String,

    /// Overwrite files that are there without asking.
    #[arg(short, long)]
    yes: bool,
}

impl ImportKeyPair {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let pair = runtime::block_on(keys::pair(&self.key))?;
        let taken = ["key", "pub"]
            .iter()
            .any(|end| std::path::Path::new(&format!("{}.{end}", self.output_key_prefix)).exists());
        let existing = match (taken, self.yes) {
            (false, _) => Existing::Keep,
            (true, true) => Existing::Replace,
            (true, false) if std::io::stdin().is_terminal() => {
                let question = format!("Overwrite {0}.key and {0}.pub?", self.output_key_prefix);
                match ui::confirm(&question)? {
                    true => Existing::Replace,
                    false => return Err(Failure::usage("nothing was overwritten")),
                }
            }
            (true, false) => Existing::Keep,
        };
        generate_key_pair::save(&pair, &self.output_key_prefix, existing)?;
        Ok(Exit::Success)
    }
}
