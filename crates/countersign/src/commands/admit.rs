//! `admit`: the Kubernetes admission webhook.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use admission::{Admission, NoMatch};
use clap::{Args, ValueEnum};
use policy::cluster_image_policy::{self, ImagePolicy};
use policy::{ClusterImagePolicy, Problems};

use super::serve::bind;
use crate::arguments::images;
use crate::arguments::instance::TrustRootArguments;
use crate::exit::{Exit, Failure};
use crate::http::admission::{Door, RegistryImages};
use crate::http::tls;
use crate::{http, machine, runtime, ui};

/// Where policy-controller runs, and the only namespace whose secrets its policies may name.
const CONTROLLER_NAMESPACE: &str = "cosign-system";

/// Longest time for a review, in seconds: what Kubernetes allows a webhook (`timeoutSeconds`).
const TIMEOUT_MAX_S: u64 = 30;

/// Admit to a Kubernetes cluster only images that its policies accept.
///
/// Answers AdmissionReviews (admission.k8s.io/v1): /mutate pins the tags of Pods to the digests they
/// stand for, /validate judges every image by its digest and refuses a tag, naming the digest to
/// write. Images that no policy covers, or a static rule decides, cause no request to a registry.
/// Health is at /healthz and /readyz.
#[derive(Debug, Args)]
pub(crate) struct Admit {
    /// File of ClusterImagePolicies, YAML or JSON; may be given several times. A policy of which any
    /// part is not carried out is refused, never applied in part.
    #[arg(long = "policy", value_name = "FILE", required = true, num_args = 1..)]
    policies: Vec<PathBuf>,

    /// Certificate of the webhook and what chains it to the caBundle (PEM).
    #[arg(long, value_name = "FILE")]
    tls_cert: PathBuf,

    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,

    /// Certificates of the authorities of those who may ask (PEM). Without a certificate by one of
    /// them nobody gets past the handshake, health checks included. Give the API server one in the
    /// kubeconfig of its admission configuration.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// What to do with images that no policy covers.
    #[arg(long, value_enum, default_value_t = Uncovered::Allow)]
    no_match: Uncovered,

    /// Longest time for a review. Where the API server says how long it waits, it is a tenth less
    /// than that. What is not known by then is refused under a policy that enforces.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 9,
        value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_MAX_S)
    )]
    deadline: u64,

    /// Stop when the standard input ends, as it does when the parent is gone.
    #[arg(long, hide = true)]
    stop_with_input: bool,

    #[command(flatten)]
    trust_root: TrustRootArguments,
}

/// What to do with images that no policy covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Uncovered {
    /// Admit them.
    Allow,
    /// Admit them with a warning.
    Warn,
    /// Refuse them, as policy-controller does by default.
    Deny,
}

impl Admit {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let policies = self.load_policies()?;
        let security = tls::load(&self.tls_cert, &self.tls_key, self.client_ca.as_deref())?;
        runtime::block_on(async {
            let (listener, address) = bind(self.listen).await?;
            let names: Vec<_> = policies.iter().map(|policy| policy.name().to_owned()).collect();
            let no_match = match self.no_match {
                Uncovered::Allow => NoMatch::Allow,
                Uncovered::Warn => NoMatch::Warn,
                Uncovered::Deny => NoMatch::Deny,
            };
            let registry = RegistryImages(images::registry()?);
            let admission = Admission::new(policies, registry, no_match);
            let door = Door::new(admission, Duration::from_secs(self.deadline), machine::now);
            let stop = runtime::stop_asked_or_left(self.stop_with_input);
            ui::admit::started(&address, &names);
            let routes = http::admission::router(Arc::new(door));
            http::serve_over(listener, security, routes, stop).await;
            ui::admit::stopped();
            Ok(Exit::Success)
        })
    }

    fn load_policies(&self) -> Result<Vec<ImagePolicy>, Failure> {
        let mut policies = Vec::new();
        for path in &self.policies {
            policies.extend(load(path)?);
        }
        let roots = Arc::new(self.trust_root.load()?);
        cluster_image_policy::lower(&policies, &roots)
            .map_err(|problems| unusable("the policies", problems))
    }
}

fn load(path: &Path) -> Result<Vec<ClusterImagePolicy>, Failure> {
    let what = format!("the policy file {}", path.display());
    let bytes = machine::read(path, "policy file", policy::TEXT_SIZE_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::usage(format!("cannot use {what}")).caused_by(error))?;
    let parsed = cluster_image_policy::parse(&text, CONTROLLER_NAMESPACE)
        .map_err(|problems| unusable(&what, problems))?;
    for remark in parsed.remarks {
        ui::admit::remark(path, &remark);
    }
    Ok(parsed.policies)
}

fn unusable(what: &str, problems: Problems) -> Failure {
    Failure::usage(format!("cannot use {what}")).caused_by(problems)
}
