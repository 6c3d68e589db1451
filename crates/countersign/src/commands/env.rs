//! `env`: the variables that are read, and what they are set to.

use crate::ui::terminal::println;
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::machine;

/// A variable, what it does, and whether its value is secret.
struct Variable(&'static str, &'static str, bool);

/// Every variable that is read beside those of the flags.
const VARIABLES: &[Variable] = &[
    Variable("COSIGN_PASSWORD", "password of a private key", true),
    Variable("COSIGN_REPOSITORY", "repository that signatures are kept in", false),
    Variable("COUNTERSIGN_LOG", "what to log, as filters: `debug`, `client=trace`", false),
    Variable("COUNTERSIGN_TRUST_CONFIG", "client trust configuration of a private instance", false),
    Variable("TUF_ROOT", "directory that trust roots are kept in", false),
    Variable("TUF_MIRROR", "where trust roots are fetched from", false),
    Variable("TUF_ROOT_JSON", "first TUF root to believe", false),
    Variable("SIGSTORE_ID_TOKEN", "identity token to sign as", true),
    Variable("ACTIONS_ID_TOKEN_REQUEST_URL", "where GitHub Actions gives identity tokens", false),
    Variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "what GitHub Actions wants to see for one", true),
    Variable("BUILDKITE_AGENT_ACCESS_TOKEN", "what Buildkite wants to see for a token", true),
    Variable("BUILDKITE_AGENT_ENDPOINT", "where Buildkite gives identity tokens", false),
    Variable("BUILDKITE_JOB_ID", "the Buildkite job that the token is for", false),
    Variable("GOOGLE_SERVICE_ACCOUNT_NAME", "Google service account to sign as", false),
    Variable("SPIFFE_ENDPOINT_SOCKET", "socket of the SPIFFE Workload API", false),
    Variable("KUBECONFIG", "how to get to the cluster of k8s:// keys", false),
    Variable("DOCKER_CONFIG", "directory of Docker's configuration, with registry logins", false),
    Variable("REGISTRY_AUTH_FILE", "file of Podman's registry logins", false),
    Variable("GITHUB_TOKEN", "token for GitHub's registry", true),
    Variable("HTTPS_PROXY", "proxy for https", true),
    Variable("HTTP_PROXY", "proxy for http", true),
    Variable("NO_PROXY", "hosts that are asked without a proxy", false),
    Variable("NO_COLOR", "print without colour", false),
];

/// Print the variables that are read.
///
/// Beside them every flag has one: `COSIGN_` and its name in capitals, as `COSIGN_KEY` for `--key`.
#[derive(Debug, Args)]
pub(crate) struct Env {
    /// Say what each variable does.
    #[arg(
        long,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    show_descriptions: bool,

    /// Print secrets too.
    #[arg(long)]
    show_sensitive_values: bool,
}

impl Env {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        for Variable(name, description, secret) in VARIABLES {
            let value = match machine::variable(name) {
                Some(_) if *secret && !self.show_sensitive_values => "******".to_owned(),
                Some(value) => format!("{value:?}"),
                None => String::new(),
            };
            if self.show_descriptions {
                println!("# {name}: {description}");
            }
            println!("{name}={value}");
        }
        Ok(Exit::Success)
    }
}
