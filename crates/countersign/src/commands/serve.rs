//! `serve`: the private instance.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::authority::issuer::{IssuerKind, Issuers};
use ::authority::{Issuer, TokenVerifier};
use clap::{Args, ValueEnum};
use client::{Http, HttpOptions};
use tlog::intake::v2::DssePolicy;
use tokio::net::TcpListener;
use url::{Host, Url};

use crate::documents::Documents;
use crate::exit::{Exit, Failure};
use crate::http::{self, Intake, Room, Services};
use crate::instance::{Instance, Location};
use crate::{machine, runtime, ui};

/// Audience that tokens must be made for, unless told otherwise: every Sigstore client asks for it.
const CLIENT_ID: &str = "sigstore";

/// Between two fetches of the identity providers' keys beside the requests.
const PREFETCH_INTERVAL: Duration = Duration::from_secs(300);

/// Run a private Sigstore instance: certificate authority, CT log, transparency log (v1 and v2
/// APIs) and timestamp authority, in one process.
///
/// Everything is made at the first start: keys, certificates, logs. Clients need one file, which
/// stands in DIR/public/trust_config.json and at URL/trust_config.json. Stop it with Ctrl-C or
/// SIGTERM: what was promised is durable, and requests under way are finished.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Directory of keys, logs and files; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// File that holds what the logs have committed to. Keep it out of the data's backups: it is
    /// what notices that old data was restored. By default DIR.lock, beside the directory.
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8180")]
    listen: SocketAddr,

    /// URL under which clients reach it; its host names the logs for good. By default that of the
    /// listening address.
    #[arg(long, value_name = "URL")]
    external_url: Option<Url>,

    /// A proxy in front speaks TLS: allow plain HTTP beyond loopback.
    #[arg(long)]
    behind_proxy: bool,

    /// File to write the URL to once requests are answered, and to remove at the end; for scripts
    /// that wait for it, and must know the port.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// Identity provider to trust, as TYPE=URL; may be given several times. TYPE is
    /// `github-actions`, `gitlab` or `email`. By default GitHub Actions and GitLab.com.
    #[arg(long = "issuer", value_name = "TYPE=URL")]
    issuers: Vec<String>,

    /// Audience that identity tokens must be made for.
    #[arg(long, value_name = "ID", default_value = CLIENT_ID)]
    client_id: String,

    /// Stop when the standard input ends, as it does when the parent is gone.
    #[arg(long, hide = true)]
    stop_with_input: bool,

    /// Whether log v2 takes whole envelopes (`dsse` 0.0.2). The JavaScript client still sends them;
    /// the Go and Python clients do not verify them, and send a hash instead.
    #[arg(long, value_enum, default_value_t = LogDsse::Accept)]
    log_v2_dsse: LogDsse,
}

/// What log v2 does with envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogDsse {
    /// Takes them.
    Accept,
    /// Refuses them.
    Refuse,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        if !self.listen.ip().is_loopback() && !self.behind_proxy {
            return Err(Failure::usage(format!(
                "plain HTTP on {} could be read and changed on its way",
                self.listen
            ))
            .hint("listen on 127.0.0.1, or put a proxy that speaks TLS in front and say --behind-proxy"));
        }
        runtime::block_on(self.serve())
    }

    async fn serve(self) -> Result<Exit, Failure> {
        // One that was left behind by a process that was killed would be believed.
        let ready = ReadyFile::absent(self.ready_file.as_deref())?;
        let (listener, address) = bind(self.listen).await?;
        let issuers = self.trusted_issuers()?;
        let location = self.location(address)?;
        let clock: tlog::Clock = Arc::new(machine::now);
        let opened = location.clone();
        let instance = runtime::blocking(move || Instance::open(&opened, clock)).await??;
        let instance = Arc::new(instance);

        let options = HttpOptions::new(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        let client = Http::new(options)
            .map_err(|error| Failure::new(Exit::Failure, "cannot speak HTTP").caused_by(error))?;
        let tokens = TokenVerifier::new(issuers, Documents::new(Arc::new(client)));
        let log_v2_dsse = match self.log_v2_dsse {
            LogDsse::Accept => DssePolicy::Accept,
            LogDsse::Refuse => DssePolicy::Refuse,
        };
        let services = Services {
            instance: Arc::clone(&instance),
            tokens,
            log_v2_dsse,
            room: Room::new(),
            intake: Intake::new(),
        };
        let services = Arc::new(services);
        let prefetching = tokio::spawn(prefetch(Arc::clone(&services)));
        let stop = runtime::stop_asked_or_left(self.stop_with_input);
        ready.write(&location.url)?;
        ui::serve::started(&location, &self.issuer_texts());

        http::serve(listener, http::router(services), stop).await;
        ready.remove();
        prefetching.abort();
        runtime::blocking(move || instance.stop()).await?;
        ui::serve::stopped();
        Ok(Exit::Success)
    }

    fn location(&self, address: SocketAddr) -> Result<Location, Failure> {
        let url = match &self.external_url {
            Some(url) => url.clone(),
            None if address.ip().is_unspecified() => {
                return Err(Failure::usage(
                    "clients cannot reach an address that means all of them",
                )
                .hint("say with --external-url how they do"));
            }
            None => {
                let host = match address.ip() {
                    IpAddr::V4(ip) => ip.to_string(),
                    IpAddr::V6(ip) => format!("[{ip}]"),
                };
                Url::parse(&format!("http://{host}:{}", address.port())).map_err(|error| {
                    Failure::new(Exit::Failure, "the listening address is no URL").caused_by(error)
                })?
            }
        };
        let unusable = |why| {
            Failure::usage(format!("cannot use the external URL {url}: {why}"))
                .hint("give scheme and host only, such as https://sigstore.example.com")
        };
        let host = url.host_str().ok_or_else(|| unusable("it has no host"))?;
        let is_private = url.scheme() == "http" && (is_loopback(&url) || self.behind_proxy);
        if url.scheme() != "https" && !is_private {
            return Err(unusable("clients would not reach it over HTTPS"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            // Clients take a v2 log's name from the host alone, and look for tiles at its root.
            return Err(unusable("it is more than scheme, host and port"));
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        let lock = self.lock_file()?;
        let url = url.as_str().trim_end_matches('/').to_owned();
        Ok(Location { data: self.data.clone(), lock, url, host, logins: self.logins() })
    }

    /// Beside the data unless told otherwise, and never among them: a copy of the data must not
    /// bring an old lock along.
    fn lock_file(&self) -> Result<PathBuf, Failure> {
        let unusable = |path: &Path, error| {
            Failure::usage(format!("cannot use the path {}", path.display())).caused_by(error)
        };
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| unusable(path, e));
        let data = absolute(&self.data)?;
        let lock = match (&self.lock, data.file_name()) {
            (Some(lock), _) => absolute(lock)?,
            (None, Some(name)) => {
                let mut name = name.to_owned();
                name.push(".lock");
                data.with_file_name(name)
            }
            (None, None) => {
                let message = format!("there is no place beside {}", self.data.display());
                return Err(
                    Failure::usage(message).hint("say with --lock where the lock file goes")
                );
            }
        };
        // However the two are named: what counts is where they are.
        let (real_data, real_lock) = (machine::resolve(&data), machine::resolve(&lock));
        let real_data = real_data.map_err(|error| unusable(&data, error))?;
        let real_lock = real_lock.map_err(|error| unusable(&lock, error))?;
        if real_lock.starts_with(&real_data) {
            let (lock, data) = (lock.display(), data.display());
            return Err(Failure::usage(format!("the lock file {lock} is inside of {data}")).hint(
                "keep it elsewhere: a copy of the data would bring an old lock along, and going \
                 back to that copy would not be noticed",
            ));
        }
        Ok(lock)
    }

    fn issuer_texts(&self) -> Vec<String> {
        if !self.issuers.is_empty() {
            return self.issuers.clone();
        }
        vec![
            "github-actions=https://token.actions.githubusercontent.com".to_owned(),
            "gitlab=https://gitlab.com".to_owned(),
        ]
    }

    /// The identity providers of people.
    fn logins(&self) -> Vec<String> {
        let texts = self.issuers.iter();
        texts.filter_map(|text| text.strip_prefix("email=")).map(str::to_owned).collect()
    }

    fn trusted_issuers(&self) -> Result<Issuers, Failure> {
        let parsed =
            self.issuer_texts().iter().map(|text| self.issuer(text)).collect::<Result<_, _>>()?;
        Issuers::new(parsed)
            .map_err(|error| Failure::usage("cannot use these issuers").caused_by(error))
    }

    fn issuer(&self, text: &str) -> Result<Issuer, Failure> {
        let unusable = || {
            Failure::usage(format!("cannot use the issuer `{text}`")).hint(
                "write TYPE=URL with the type github-actions, gitlab or email, such as \
                 gitlab=https://gitlab.example.com",
            )
        };
        let (kind, url) = text.split_once('=').ok_or_else(unusable)?;
        let kind = match kind {
            "github-actions" => {
                IssuerKind::GitHub { instance_url: "https://github.com".to_owned() }
            }
            "gitlab" => IssuerKind::GitLab { instance_url: url.to_owned() },
            "email" => IssuerKind::Email,
            _ => return Err(unusable()),
        };
        Issuer::new(url, &self.client_id, kind).map_err(|error| unusable().caused_by(error))
    }
}

/// Listens, and says where.
pub(super) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error| {
        Failure::new(Exit::Failure, format!("cannot listen on {address}"))
            .caused_by(error)
            .hint("choose another --listen, or port 0 for a free one")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    }
}

/// The file that says that requests are answered, if one is wanted.
struct ReadyFile<'a>(Option<&'a Path>);

impl<'a> ReadyFile<'a> {
    /// Makes sure that there is none yet.
    fn absent(path: Option<&'a Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove the old ready file {}", path.display());
                Err(Failure::new(Exit::Failure, message).caused_by(error))
            }
            _ => Ok(Self(Some(path))),
        }
    }

    /// One line, which appears as a whole.
    fn write(&self, url: &str) -> Result<(), Failure> {
        let Some(path) = self.0 else { return Ok(()) };
        machine::replace(path, format!("{url}\n").as_bytes()).map_err(|error| {
            let message = format!("cannot write the ready file {}", path.display());
            Failure::new(Exit::Failure, message).caused_by(error)
        })
    }

    fn remove(&self) {
        let Some(path) = self.0 else { return };
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "could not remove the ready file");
        }
    }
}

/// Fetches the identity providers' keys beside the requests, so that few requests wait for them.
async fn prefetch(services: Arc<Services>) {
    let mut ticks = tokio::time::interval(PREFETCH_INTERVAL);
    loop {
        ticks.tick().await;
        for (issuer, error) in services.tokens.prefetch((services.instance.clock)()).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                issuer = issuer.url(),
                error,
                "the identity provider's keys cannot be had"
            );
        }
    }
}
