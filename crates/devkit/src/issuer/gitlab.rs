//! Tokens of GitLab CI/CD jobs (`id_tokens`).
//!
//! GitLab documentation, "OpenID Connect (OIDC) authentication using ID tokens", as of 18.4, which
//! brought the `job_project_*` and `job_namespace_*` claims. `job_source` and `job_config` (18.9) are
//! left out. Every custom claim is a string, but `runner_id` and `groups_direct`.

use evidence::UnixTime;
use serde_json::json;

use super::claims::{Claimant, Claims, add_times, claims};

/// How long before its issue a token is valid already, in seconds: the documentation's example.
const VALID_BEFORE_S: i64 = 5;

/// How long a token lives, in seconds: the default timeout of a job.
const LIFETIME_S: i64 = 3600;

/// A job of a pipeline on GitLab.
#[derive(Clone, Debug)]
pub struct GitlabJob {
    /// Host of the instance, e.g. `gitlab.com`: `ci_config_ref_uri` begins with it, not with the
    /// issuer.
    pub host: String,
    /// Path of the group or user.
    pub namespace_path: String,
    /// Its number.
    pub namespace_id: u64,
    /// Name of the project within it.
    pub project: String,
    /// Its number.
    pub project_id: u64,
    /// `public`, `internal` or `private`.
    pub visibility: String,
    /// Number of the user who started the pipeline.
    pub user_id: u64,
    /// Name of that user.
    pub user_login: String,
    /// Mail address of that user.
    pub user_email: String,
    /// Role of that user in the project, e.g. `developer`.
    pub user_access_level: String,
    /// Groups that the user is a direct member of.
    pub groups_direct: Vec<String>,
    /// Number of the pipeline.
    pub pipeline_id: u64,
    /// What started it, e.g. `push`.
    pub pipeline_source: String,
    /// Number of the job.
    pub job_id: u64,
    /// Short name of the branch or tag.
    pub reference: String,
    /// `branch` or `tag`.
    pub reference_type: String,
    /// Whether the branch or tag is protected.
    pub reference_protected: bool,
    /// The commit that the pipeline is for.
    pub commit: String,
    /// File of the pipeline's definition within the project.
    pub config_file: String,
    /// Number of the runner.
    pub runner_id: u64,
    /// `gitlab-hosted` or `self-hosted`.
    pub runner: String,
    /// The deployment environment that the job names.
    pub environment: Option<GitlabEnvironment>,
}

/// A deployment environment on GitLab.
#[derive(Clone, Debug)]
pub struct GitlabEnvironment {
    /// Its name.
    pub name: String,
    /// Whether it is protected.
    pub protected: bool,
    /// Its tier, e.g. `production`.
    pub tier: String,
    /// What the job does to it, e.g. `start`.
    pub action: String,
}

impl GitlabJob {
    /// A push to the branch `branch` of a public project on gitlab.com, on a hosted runner, without
    /// environment. All else is made up, and always the same.
    #[must_use]
    pub fn new(namespace_path: &str, project: &str, branch: &str) -> Self {
        Self {
            host: "gitlab.com".to_owned(),
            namespace_path: namespace_path.to_owned(),
            namespace_id: 72,
            project: project.to_owned(),
            project_id: 20,
            visibility: "public".to_owned(),
            user_id: 1,
            user_login: "sample-user".to_owned(),
            user_email: "sample-user@example.com".to_owned(),
            user_access_level: "developer".to_owned(),
            groups_direct: vec![namespace_path.to_owned()],
            pipeline_id: 574,
            pipeline_source: "push".to_owned(),
            job_id: 302,
            reference: branch.to_owned(),
            reference_type: "branch".to_owned(),
            reference_protected: true,
            commit: "714a629c0b401fdce83e847fc9589983fc6f46bc".to_owned(),
            config_file: ".gitlab-ci.yml".to_owned(),
            runner_id: 12_270_835,
            runner: "gitlab-hosted".to_owned(),
            environment: None,
        }
    }

    /// `namespace/project`.
    #[must_use]
    pub fn project_path(&self) -> String {
        format!("{}/{}", self.namespace_path, self.project)
    }

    /// The fully qualified git reference.
    #[must_use]
    pub fn reference_path(&self) -> String {
        let kind = if self.reference_type == "tag" { "tags" } else { "heads" };
        format!("refs/{kind}/{}", self.reference)
    }

    /// `ci_config_ref_uri`: the pipeline's definition, without a scheme.
    #[must_use]
    pub fn config_uri(&self) -> String {
        let Self { host, config_file, .. } = self;
        format!("{host}/{}//{config_file}@{}", self.project_path(), self.reference_path())
    }

    /// The subject alternative name that Fulcio's `gitlab-pipeline` gives to this job.
    #[must_use]
    pub fn certificate_identity(&self) -> String {
        format!("https://{}", self.config_uri())
    }
}

impl Claimant for GitlabJob {
    fn claims(&self, issuer: &str, audience: &str, now: UnixTime) -> Claims {
        let project_path = self.project_path();
        let subject = format!(
            "project_path:{project_path}:ref_type:{}:ref:{}",
            self.reference_type, self.reference
        );
        let mut all = claims([
            ("iss", json!(issuer)),
            ("sub", json!(subject)),
            ("aud", json!(audience)),
            ("ci_config_ref_uri", json!(self.config_uri())),
            ("ci_config_sha", json!(self.commit)),
            ("groups_direct", json!(self.groups_direct)),
            ("job_id", json!(self.job_id.to_string())),
            ("job_namespace_id", json!(self.namespace_id.to_string())),
            ("job_namespace_path", json!(self.namespace_path)),
            ("job_project_id", json!(self.project_id.to_string())),
            ("job_project_path", json!(project_path)),
            ("namespace_id", json!(self.namespace_id.to_string())),
            ("namespace_path", json!(self.namespace_path)),
            ("pipeline_id", json!(self.pipeline_id.to_string())),
            ("pipeline_source", json!(self.pipeline_source)),
            ("project_id", json!(self.project_id.to_string())),
            ("project_path", json!(project_path)),
            ("project_visibility", json!(self.visibility)),
            ("ref", json!(self.reference)),
            ("ref_path", json!(self.reference_path())),
            ("ref_protected", json!(self.reference_protected.to_string())),
            ("ref_type", json!(self.reference_type)),
            ("runner_environment", json!(self.runner)),
            ("runner_id", json!(self.runner_id)),
            ("sha", json!(self.commit)),
            ("user_access_level", json!(self.user_access_level)),
            ("user_email", json!(self.user_email)),
            ("user_id", json!(self.user_id.to_string())),
            ("user_login", json!(self.user_login)),
        ]);
        if let Some(environment) = &self.environment {
            all.append(&mut claims([
                ("environment", json!(environment.name)),
                ("environment_protected", json!(environment.protected.to_string())),
                ("deployment_tier", json!(environment.tier)),
                ("environment_action", json!(environment.action)),
            ]));
        }
        add_times(&mut all, now, VALID_BEFORE_S, LIFETIME_S);
        all
    }

    /// The URL of the instance.
    fn default_audience(&self, issuer: &str) -> String {
        issuer.to_owned()
    }
}
