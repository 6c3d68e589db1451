//! The claims of GitHub Actions and GitLab CI, as Fulcio's `config/identity/config.yaml` maps them.

use evidence::certificate::{FulcioExtension as X, SubjectName};

use super::uri::canonical;
use super::{IdentityError, cut};
use crate::token::VerifiedToken;

type Mapped = (SubjectName, Vec<(X, String)>);

/// A claim that must be there, as text.
fn required(token: &VerifiedToken, claim: &'static str) -> Result<String, IdentityError> {
    optional(token, claim).ok_or(IdentityError::MissingClaim { claim })
}

/// A claim that may be absent, null or empty.
fn optional(token: &VerifiedToken, claim: &'static str) -> Option<String> {
    token.claim_text(claim).filter(|text| !text.is_empty())
}

pub(super) fn github(token: &VerifiedToken, url: &str) -> Result<Mapped, IdentityError> {
    let claim = |name| required(token, name);
    let under = |name| claim(name).map(|path| format!("{url}/{path}"));
    let (event, sha, reference) = (claim("event_name")?, claim("sha")?, claim("ref")?);
    let repository = claim("repository")?;
    let signer = under("job_workflow_ref")?;
    let run = format!(
        "{url}/{repository}/actions/runs/{}/attempts/{}",
        claim("run_id")?,
        claim("run_attempt")?
    );
    let mut extensions = vec![
        (X::WorkflowTrigger, event.clone()),
        (X::WorkflowSha, sha.clone()),
        (X::WorkflowName, claim("workflow")?),
        (X::WorkflowRepository, repository.clone()),
        (X::WorkflowRef, reference.clone()),
        (X::BuildSignerUri, signer.clone()),
        (X::BuildSignerDigest, claim("job_workflow_sha")?),
        (X::RunnerEnvironment, claim("runner_environment")?),
        (X::SourceRepositoryUri, format!("{url}/{repository}")),
        (X::SourceRepositoryDigest, sha),
        (X::SourceRepositoryRef, reference),
        (X::SourceRepositoryIdentifier, claim("repository_id")?),
        (X::SourceRepositoryOwnerUri, under("repository_owner")?),
        (X::SourceRepositoryOwnerIdentifier, claim("repository_owner_id")?),
        (X::BuildConfigUri, under("workflow_ref")?),
        (X::BuildConfigDigest, claim("workflow_sha")?),
        (X::BuildTrigger, event),
        (X::RunInvocationUri, run),
        (X::SourceRepositoryVisibilityAtSigning, claim("repository_visibility")?),
    ];
    extensions.extend(optional(token, "environment").map(|name| (X::DeploymentEnvironment, name)));
    Ok((SubjectName::Uri(canonical(&signer)?), extensions))
}

pub(super) fn gitlab(token: &VerifiedToken, url: &str) -> Result<Mapped, IdentityError> {
    let claim = |name| required(token, name);
    let under = |name| claim(name).map(|path| format!("{url}/{path}"));
    let config = format!("https://{}", claim("ci_config_ref_uri")?);
    let ref_type = claim("ref_type")?;
    let kind = match ref_type.as_str() {
        "branch" => "heads",
        "tag" => "tags",
        found => {
            return Err(IdentityError::BadClaim {
                claim: "ref_type",
                found: cut(found),
                wanted: "`branch` or `tag`",
            });
        }
    };
    let project = under("project_path")?;
    let mut extensions = vec![
        (X::BuildSignerUri, config.clone()),
        (X::RunnerEnvironment, claim("runner_environment")?),
        (X::SourceRepositoryUri, project.clone()),
        (X::SourceRepositoryDigest, claim("sha")?),
        (X::SourceRepositoryRef, format!("refs/{kind}/{}", claim("ref")?)),
        (X::SourceRepositoryIdentifier, claim("project_id")?),
        (X::SourceRepositoryOwnerUri, under("namespace_path")?),
        (X::SourceRepositoryOwnerIdentifier, claim("namespace_id")?),
        (X::BuildConfigUri, config.clone()),
        (X::BuildTrigger, claim("pipeline_source")?),
        (X::RunInvocationUri, format!("{project}/-/jobs/{}", claim("job_id")?)),
        (X::SourceRepositoryVisibilityAtSigning, claim("project_visibility")?),
    ];
    // GitLab leaves this null when the configuration is not in the project. Fulcio then writes
    // the text `<nil>`; saying nothing is the honest form.
    if let Some(digest) = optional(token, "ci_config_sha") {
        extensions.push((X::BuildSignerDigest, digest.clone()));
        extensions.push((X::BuildConfigDigest, digest));
    }
    extensions.extend(optional(token, "environment").map(|name| (X::DeploymentEnvironment, name)));
    Ok((SubjectName::Uri(canonical(&config)?), extensions))
}
