//! What a token says, and the trait of those it can speak of.

use evidence::UnixTime;
use serde_json::{Map, Value};

/// The claims of a token (RFC 7519 §4), as JSON.
pub type Claims = Map<String, Value>;

/// Someone or something that a token can speak of.
pub trait Claimant: Send + Sync {
    /// Everything that a token issued at `now` says, but `jti`, which is different in each.
    fn claims(&self, issuer: &str, audience: &str, now: UnixTime) -> Claims;

    /// The audience of a token for which none was asked.
    fn default_audience(&self, issuer: &str) -> String;
}

/// What discovery says may be claimed: the union of what the claimants here do claim.
pub(crate) const SUPPORTED: &[&str] = &[
    "actor",
    "actor_id",
    "aud",
    "azp",
    "base_ref",
    "check_run_id",
    "ci_config_ref_uri",
    "ci_config_sha",
    "deployment_tier",
    "email",
    "email_verified",
    "environment",
    "environment_action",
    "environment_protected",
    "event_name",
    "exp",
    "federated_claims",
    "google",
    "groups_direct",
    "head_ref",
    "iat",
    "iss",
    "job_id",
    "job_namespace_id",
    "job_namespace_path",
    "job_project_id",
    "job_project_path",
    "job_workflow_ref",
    "job_workflow_sha",
    "jti",
    "namespace_id",
    "namespace_path",
    "nbf",
    "pipeline_id",
    "pipeline_source",
    "project_id",
    "project_path",
    "project_visibility",
    "ref",
    "ref_path",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "run_attempt",
    "run_id",
    "run_number",
    "runner_environment",
    "runner_id",
    "sha",
    "sub",
    "user_access_level",
    "user_email",
    "user_id",
    "user_login",
    "workflow",
    "workflow_ref",
    "workflow_sha",
];

/// Claims from pairs of names and JSON values.
pub(super) fn claims<const N: usize>(pairs: [(&str, Value); N]) -> Claims {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Adds the time claims (RFC 7519 §4.1.4–6).
pub(super) fn add_times(claims: &mut Claims, now: UnixTime, before_s: i64, lifetime_s: i64) {
    for (name, moment) in
        [("iat", now), ("nbf", now.plus_seconds(-before_s)), ("exp", now.plus_seconds(lifetime_s))]
    {
        claims.insert(name.to_owned(), moment.seconds().into());
    }
}
