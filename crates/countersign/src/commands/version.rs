//! `version`.

use crate::ui::terminal::println;
use clap::Args;
use serde_json::json;

use crate::exit::{Exit, Failure};

/// Print the version.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print JSON, with the names that Cosign's has.
    #[arg(long)]
    json: bool,
}

impl Version {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        const VERSION: &str = env!("CARGO_PKG_VERSION");
        let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        if self.json {
            println!("{:#}", json!({"gitVersion": format!("v{VERSION}"), "platform": platform}));
        } else {
            println!("countersign {VERSION} ({platform})");
        }
        Ok(Exit::Success)
    }
}
