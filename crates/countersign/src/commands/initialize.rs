//! `initialize`: chooses the Sigstore instance that is meant from now on.

use std::path::PathBuf;

use crate::ui::terminal::eprintln;
use clap::Args;
use client::documents::fetch_document;
use client::mirror::{self, Settings};
use client::{BadUrl, Mirror, ServiceUrl};
use url::Url;

use crate::arguments::instance;
use crate::arguments::network::http_client;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime};

/// Longest TUF root fetched, in bytes.
const ROOT_SIZE_MAX: u64 = 512 * 1024;

/// Choose the Sigstore instance to trust, by its TUF repository.
///
/// Without arguments it is the public instance, whose root is built in. What the repository says is
/// kept in $TUF_ROOT, else in ~/.sigstore/root, and refreshed by the commands that need it.
#[derive(Debug, Args)]
pub(crate) struct Initialize {
    /// The TUF repository.
    #[arg(long, value_name = "URL", conflicts_with = "staging")]
    mirror: Option<String>,

    /// Its first root that is to be believed: a file, or a URL together with --root-checksum.
    #[arg(long, value_name = "FILE_OR_URL", conflicts_with = "staging")]
    root: Option<String>,

    /// Checksum of that root: SHA-256 in hexadecimal.
    #[arg(long, value_name = "SHA256")]
    root_checksum: Option<String>,

    /// The public instance's rehearsal.
    #[arg(long)]
    staging: bool,
}

impl Initialize {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let folder = instance::settings().folder.ok_or_else(|| {
            Failure::usage("there is no place to keep what the repository says")
                .hint("set HOME, or name a directory in TUF_ROOT")
        })?;
        let checksum = self.root_checksum.as_deref().map(parse_checksum).transpose()?;
        runtime::block_on(async {
            let http = http_client()?;
            let mirror = self.mirror(&http, global).await?;
            let url = mirror.url().to_string();
            let now = machine::now();
            let material =
                mirror::initialize(mirror, checksum, &folder, &http, now, global.deadline())
                    .await
                    .map_err(|error| {
                        Failure::new(Exit::Failure, format!("{url} was not chosen"))
                            .caused_by(error)
                    })?;
            for warning in material.warnings() {
                crate::ui::note(&warning.to_string());
            }
            eprintln!("{url} is trusted from now on; what it says is kept in {}", folder.display());
            Ok(Exit::Success)
        })
    }

    async fn mirror(&self, http: &client::Http, global: &Global) -> Result<Mirror, Failure> {
        if self.staging {
            return Ok(Mirror::staging());
        }
        let url = self.mirror.as_deref().unwrap_or(mirror::PUBLIC_MIRROR);
        let Some(root) = &self.root else {
            let settings = Settings { mirror: Some(url.to_owned()), ..Settings::default() };
            return settings.resolve().map_err(instance::settings_failed);
        };
        let url: ServiceUrl = url.parse().map_err(|error: BadUrl| {
            Failure::usage(format!("cannot use the mirror {url}")).caused_by(error)
        })?;
        let bytes = match Url::parse(root) {
            Ok(address) if matches!(address.scheme(), "http" | "https") => {
                if self.root_checksum.is_none() {
                    return Err(Failure::usage("a root from elsewhere needs a --root-checksum")
                        .hint("ask the instance's operator for it, over another way"));
                }
                fetch_document(http, &address, ROOT_SIZE_MAX, global.deadline()).await.map_err(
                    |error| {
                        Failure::new(Exit::Failure, "the root was not fetched").caused_by(error)
                    },
                )?
            }
            _ => {
                let size_max = usize::try_from(ROOT_SIZE_MAX).unwrap_or(usize::MAX);
                machine::read(&PathBuf::from(root), "TUF root", size_max)?
            }
        };
        Mirror::new(url, bytes).map_err(|error| {
            Failure::usage(format!("cannot use the TUF root {root}"))
                .caused_by(error)
                .hint("give the first root of the repository, a file like `1.root.json`")
        })
    }
}

/// The 64 digits of a checksum, with or without the name of the function before them.
fn parse_checksum(text: &str) -> Result<&str, Failure> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(Failure::usage(format!("cannot use the --root-checksum `{}`", text.escape_debug()))
        .hint("wanted is SHA-256 in 64 hexadecimal digits, as `sha256sum root.json` prints it"))
}
