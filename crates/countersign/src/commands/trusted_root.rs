//! `trusted-root create`: whom to believe, composed from certificates and public keys.

mod parallel;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use crypto::PublicKey;
use evidence::Certificate;
use evidence::note::key_id;
use serde_json::{Value, json};
use verify::TrustRoot;

use crate::arguments::instance;
use crate::arguments::named_trust::read_certificates;
use crate::arguments::network::http_client;
use crate::arguments::specification::Specification;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::trust_documents::{self, TRUSTED_ROOT_MEDIA_TYPE, pretty};
use crate::{machine, runtime};
use parallel::ParallelFlags;

/// Longest file of a key read, in bytes.
const PEM_SIZE_MAX: usize = 256 * 1024;

/// The members of a trusted root that list services (`sigstore_trustroot.proto`, `TrustedRoot`).
const SERVICES: [&str; 4] = ["tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"];

/// Make trusted roots.
#[derive(Debug, Args)]
pub(crate) struct TrustedRoot {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(Create),
}

/// Compose a trusted root from certificates and public keys.
///
/// Each service is one flag of KEY=VALUE pairs with commas between them, and may be repeated. What
/// comes out is read back by the verifier before it is written.
#[derive(Debug, Args)]
struct Create {
    /// Certificate authority: url, certificate-chain (PEM file, from the issuing one to the root);
    /// optional start-time, end-time.
    #[arg(long, value_name = "KEY=VALUE,…")]
    fulcio: Vec<String>,

    /// Transparency log: url, public-key (PEM file), start-time; optional end-time, and for a v2
    /// log its origin.
    #[arg(long, value_name = "KEY=VALUE,…")]
    rekor: Vec<String>,

    /// Certificate transparency log: url, public-key (PEM file), start-time; optional end-time,
    /// origin.
    #[arg(long, value_name = "KEY=VALUE,…")]
    ctfe: Vec<String>,

    /// Timestamp authority: url, certificate-chain (PEM file, its own first); optional start-time,
    /// end-time.
    #[arg(long, value_name = "KEY=VALUE,…")]
    tsa: Vec<String>,

    /// Begin with the trusted root of the public Sigstore instance, or of the one that was chosen
    /// with `initialize`.
    #[arg(long)]
    with_default_services: bool,

    /// Leave the public certificate authorities out of it.
    #[arg(long, requires = "with_default_services")]
    no_default_fulcio: bool,

    /// Leave the public transparency logs out of it.
    #[arg(long, requires = "with_default_services")]
    no_default_rekor: bool,

    /// Leave the public certificate transparency logs out of it.
    #[arg(long, requires = "with_default_services")]
    no_default_ctfe: bool,

    /// Leave the public timestamp authorities out of it.
    #[arg(long, requires = "with_default_services")]
    no_default_tsa: bool,

    /// Where to write it; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    parallel: ParallelFlags,
}

impl TrustedRoot {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let Verb::Create(create) = self.verb;
        let root = create.compose(global)?;
        let has_service = |root: &Value| {
            SERVICES.iter().any(|name| root[*name].as_array().is_some_and(|it| !it.is_empty()))
        };
        if !has_service(&root) {
            // Whoever trusts nobody is told so here, and not by what is refused later.
            return Err(Failure::usage("no service is named, so nobody would be trusted").hint(
                "name some with --fulcio, --rekor, --ctfe or --tsa, or give --with-default-services",
            ));
        }
        let json = pretty(&root);
        TrustRoot::pin(&json).map_err(|error| {
            Failure::usage("these services make no trusted root").caused_by(error)
        })?;
        super::write_document(create.out.as_deref(), &json)?;
        Ok(Exit::Success)
    }
}

impl Create {
    fn compose(&self, global: &Global) -> Result<Value, Failure> {
        let base = self.base(global)?;
        let authorities = described("fulcio", &self.fulcio, AUTHORITY, self.parallel.fulcio()?)?;
        let logs = described("rekor", &self.rekor, LOG, self.parallel.rekor()?)?;
        let ct_logs = described("ctfe", &self.ctfe, LOG, self.parallel.ctfe()?)?;
        let stamps = described("tsa", &self.tsa, AUTHORITY, self.parallel.tsa()?)?;
        Ok(json!({
            "mediaType": TRUSTED_ROOT_MEDIA_TYPE,
            "tlogs": members(&base["tlogs"], self.no_default_rekor, logs.iter().map(log))?,
            "certificateAuthorities":
                members(&base["certificateAuthorities"], self.no_default_fulcio, authorities.iter().map(authority))?,
            "ctlogs": members(&base["ctlogs"], self.no_default_ctfe, ct_logs.iter().map(log))?,
            "timestampAuthorities":
                members(&base["timestampAuthorities"], self.no_default_tsa, stamps.iter().map(authority))?,
        }))
    }

    /// The trusted root of the instance that is meant.
    fn base(&self, global: &Global) -> Result<Value, Failure> {
        if !self.with_default_services {
            return Ok(Value::Null);
        }
        let material = runtime::block_on(async {
            instance::material(&http_client()?, global.deadline()).await
        })?;
        serde_json::from_slice(material.trusted_root_json()).map_err(|error| {
            Failure::new(Exit::Unknown, "the instance's trusted root cannot be used")
                .caused_by(error)
        })
    }
}

/// The keys that describe a service: those required, and those optional.
type Keys = (&'static [&'static str], &'static [&'static str]);

const AUTHORITY: Keys = (&["url", "certificate-chain"], &["start-time", "end-time"]);
const LOG: Keys = (&["url", "public-key", "start-time"], &["end-time", "origin"]);

/// The services of a flag, and those that parallel flags describe.
fn described<'a>(
    flag: &'static str,
    texts: &'a [String],
    (required, optional): Keys,
    parallel: Vec<Specification<'a>>,
) -> Result<Vec<Specification<'a>>, Failure> {
    let parsed = texts.iter().map(|text| Specification::parse(flag, text, required, optional));
    parsed.chain(parallel.into_iter().map(Ok)).collect()
}

/// Its URL: parallel flags need not give one, as in Cosign.
fn url<'a>(specification: &Specification<'a>) -> &'a str {
    specification.get("url").unwrap_or_default()
}

/// Those of the base, unless they are not wanted, and what the flags add.
fn members(
    base: &Value,
    without: bool,
    added: impl Iterator<Item = Result<Value, Failure>>,
) -> Result<Vec<Value>, Failure> {
    let kept = if without { None } else { base.as_array() };
    let mut members = kept.cloned().unwrap_or_default();
    for member in added {
        members.push(member?);
    }
    Ok(members)
}

fn authority(specification: &Specification<'_>) -> Result<Value, Failure> {
    let path = specification.required("certificate-chain")?;
    let unusable = || specification.unusable("the certificate chain cannot be read");
    let chain = read_certificates(Path::new(path), unusable)?;
    let mut period = specification.period()?;
    period.start = period.start.or(chain.last().map(Certificate::not_before));
    Ok(trust_documents::authority(url(specification), "", "", &chain, period))
}

fn log(specification: &Specification<'_>) -> Result<Value, Failure> {
    let path = Path::new(specification.required("public-key")?);
    let pem = machine::read(path, "public key", PEM_SIZE_MAX)?;
    let key = PublicKey::from_pem(&pem).map_err(|error| {
        specification.unusable("the public key cannot be read").caused_by(error)
    })?;
    // RFC 6962 §3.2; C2SP signed-note for a log with an origin, as in Rekor v2.
    let id = specification.get("origin").map_or_else(|| key.id(), |origin| key_id(origin, &key));
    let period = specification.period()?;
    trust_documents::log(url(specification), &key, id, period)
        .ok_or_else(|| specification.unusable(&format!("no log signs with {}", key.kind())))
}
