//! Which Sigstore instance is meant: whom to believe, and whom to ask, as arguments.
//!
//! Files that are named decide. Else it is the instance of the TUF mirror that `initialize` or the
//! environment chose, and without such a choice the public one, of which the program brings a copy
//! along.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use client::mirror::{
    self, MAX_AGE, Material, Mirror, MirrorError, Origin, Refresh, Settings, Warning,
};
use client::trust_config::TRUST_CONFIG_SIZE_MAX;
use client::{ClientTrustConfig, Deadline, Http};
use verify::TrustRoot;

use super::named_trust::NamedTrust;
use super::network::http_client;
use crate::exit::{Exit, Failure};
use crate::{machine, runtime, ui};

/// The trust root to use.
#[derive(Clone, Debug, Args)]
#[group(id = "trust_root_source")]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustRootArguments {
    /// Trusted root (JSON) to use instead of the instance's own.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,

    /// Client trust configuration (JSON) of a private instance, whose trusted root to use.
    #[arg(
        long,
        value_name = "FILE",
        env = "COUNTERSIGN_TRUST_CONFIG",
        conflicts_with = "trusted_root"
    )]
    trust_config: Option<PathBuf>,

    /// Ask no TUF mirror: go by the copy that is kept, else by the one that is built in.
    #[arg(long)]
    offline: bool,
}

/// What of a trust root is needed beside the one that is named, and what stands in its place.
pub(crate) struct TrustNeeds {
    /// Whether an instance's is needed at all.
    pub(crate) instance: InstanceNeed,
    /// What is named certificate by certificate.
    pub(crate) named: NamedTrust,
}

/// Whether whom an instance trusts has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceNeed {
    /// It has.
    Needed,
    /// All that is demanded can be shown without: no mirror is asked for it, and nothing fails if
    /// none is known. What this machine knows counts all the same, so that no waiver lets through
    /// what a known log, CT log or timestamp authority is wronged by.
    NotNeeded,
}

impl TrustNeeds {
    /// All of an instance's trust root, and nothing in its place.
    fn all() -> Self {
        Self { instance: InstanceNeed::Needed, named: NamedTrust::default() }
    }

    /// This trust root, or one of nobody where there is none and none is needed.
    fn or_nobody(&self, root: Result<TrustRoot, Failure>) -> Result<TrustRoot, Failure> {
        match (root, self.instance) {
            (Err(failure), InstanceNeed::NotNeeded) => {
                ui::note(&format!(
                    "no log and no timestamp authority is known that could say otherwise: {}",
                    failure.full_message()
                ));
                Ok(TrustRoot::of_nobody())
            }
            (root, _) => root,
        }
    }
}

impl TrustRootArguments {
    /// The trust root as far as this machine knows it. No packet is sent.
    pub(crate) fn load(&self) -> Result<TrustRoot, Failure> {
        self.load_for(&TrustNeeds::all())
    }

    /// As [`Self::load`], with what stands in the place of its parts.
    pub(crate) fn load_for(&self, needs: &TrustNeeds) -> Result<TrustRoot, Failure> {
        let root = match self.named()? {
            Some(root) => root,
            None => needs.or_nobody(kept_trust_root())?,
        };
        self.over(root, needs)
    }

    /// The trust root; the instance's mirror is asked where what is kept of it is old.
    pub(crate) async fn load_fresh(&self, deadline: Deadline) -> Result<TrustRoot, Failure> {
        self.load_fresh_for(&TrustNeeds::all(), deadline).await
    }

    /// As [`Self::load_fresh`], with what stands in the place of its parts.
    pub(crate) async fn load_fresh_for(
        &self,
        needs: &TrustNeeds,
        deadline: Deadline,
    ) -> Result<TrustRoot, Failure> {
        let root = match self.named()? {
            Some(root) => root,
            None if self.offline || needs.instance == InstanceNeed::NotNeeded => {
                needs.or_nobody(kept_trust_root_among().await)?
            }
            None => trust_root_of(&material(&http_client()?, deadline).await?)?,
        };
        self.over(root, needs)
    }

    /// The trust root with what stands in the place of its parts, which is told of one that is named.
    fn over(&self, root: TrustRoot, needs: &TrustNeeds) -> Result<TrustRoot, Failure> {
        if let Some(file) = self.trust_config.as_ref().or(self.trusted_root.as_ref()) {
            needs.named.tell_replaced(file);
        }
        needs.named.over(root)
    }

    fn named(&self) -> Result<Option<TrustRoot>, Failure> {
        if let Some(path) = &self.trust_config {
            tracing::debug!("whom to trust: the trust root in {}", path.display());
            return Ok(Some(read_trust_config(path)?.trust_root));
        }
        let Some(path) = &self.trusted_root else { return Ok(None) };
        tracing::debug!("whom to trust: the trust root in {}", path.display());
        read_trusted_root(path).map(Some)
    }
}

/// Reads a trusted root that the user named.
pub(crate) fn read_trusted_root(path: &Path) -> Result<TrustRoot, Failure> {
    let size_max = verify::trust_root::TRUST_ROOT_SIZE_MAX;
    let json = machine::read(path, "trusted root", size_max)?;
    TrustRoot::pin(&json).map_err(|error| {
        Failure::usage(format!("cannot use the trusted root {}", path.display())).caused_by(error)
    })
}

/// What the mirror says, or said not long ago.
pub(crate) async fn material(http: &Arc<Http>, deadline: Deadline) -> Result<Material, Failure> {
    let mirror = mirror()?;
    let asked = mirror.material(http, Refresh::After(MAX_AGE), machine::now(), deadline).await;
    told(&mirror, asked)
}

/// What is kept of what the mirror said, else what is built in.
pub(crate) async fn kept_material() -> Result<Material, Failure> {
    let mirror = mirror()?;
    let kept = mirror.offline_material(machine::now()).await;
    told(&mirror, kept)
}

async fn kept_trust_root_among() -> Result<TrustRoot, Failure> {
    trust_root_of(&kept_material().await?)
}

fn kept_trust_root() -> Result<TrustRoot, Failure> {
    let settings = settings();
    let untouched = settings.mirror.is_none()
        && settings.root.is_none()
        && settings.folder.as_ref().is_none_or(|folder| !folder.exists());
    if untouched {
        tracing::debug!("whom to trust: the public Sigstore instance, as it is built in");
        return Ok(TrustRoot::public_good());
    }
    runtime::block_on_here(kept_trust_root_among())
}

fn trust_root_of(material: &Material) -> Result<TrustRoot, Failure> {
    material.trust_root().map_err(|error| {
        Failure::new(Exit::Unknown, "the instance's trusted root cannot be used").caused_by(error)
    })
}

/// Tells the warnings. That the built-in copy is used is none where nothing else was asked for.
fn told(mirror: &Mirror, material: Result<Material, MirrorError>) -> Result<Material, Failure> {
    let material = material.map_err(not_known)?;
    tracing::debug!("whom to trust: the instance of {}, {}", mirror.url(), age(material.origin()));
    for warning in material.warnings() {
        if !matches!(warning, Warning::Shipped) {
            ui::note(&warning.to_string());
        }
    }
    Ok(material)
}

/// From when it is.
fn age(origin: Origin) -> String {
    match origin {
        Origin::Mirror => "which was asked now".to_owned(),
        Origin::LastGood { fetched: Some(fetched) } => {
            let age_s = machine::now().seconds().saturating_sub(fetched.seconds());
            let age = Duration::from_secs(u64::try_from(age_s).unwrap_or_default());
            format!("which was asked {} ago, at {fetched}", humantime::format_duration(age))
        }
        Origin::LastGood { fetched: None } => "from a copy that another client left".to_owned(),
        Origin::Shipped => "as it is built in".to_owned(),
    }
}

/// Whom to believe is not known, so that nothing can be told.
pub(crate) fn not_known(error: MirrorError) -> Failure {
    let hint = error.hint();
    let failure = Failure::new(Exit::Unknown, "whom to trust cannot be known").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The mirror that the user chose.
pub(crate) fn mirror() -> Result<Mirror, Failure> {
    settings().resolve().map_err(settings_failed)
}

/// Why the mirror that the user chose cannot be used.
pub(crate) fn settings_failed(error: mirror::SettingsError) -> Failure {
    let hint = error.hint();
    let failure = Failure::usage("cannot use the TUF settings").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// `TUF_ROOT` (else `~/.sigstore/root`, as in Cosign), `TUF_MIRROR` and `TUF_ROOT_JSON`.
pub(crate) fn settings() -> Settings {
    let folder = machine::variable("TUF_ROOT").map(PathBuf::from);
    let home = || Some(PathBuf::from(machine::variable("HOME")?).join(".sigstore/root"));
    Settings {
        folder: folder.or_else(home),
        mirror: machine::variable("TUF_MIRROR"),
        root: machine::variable("TUF_ROOT_JSON").map(PathBuf::from),
    }
}

/// Reads a client trust configuration that the user named.
pub(crate) fn read_trust_config(path: &Path) -> Result<ClientTrustConfig, Failure> {
    let json = machine::read(path, "trust configuration", TRUST_CONFIG_SIZE_MAX)?;
    ClientTrustConfig::parse(&json).map_err(|error| {
        Failure::usage(format!("cannot use the trust configuration {}", path.display()))
            .caused_by(error)
            .hint("an instance writes it to DIR/public/trust_config.json")
    })
}
