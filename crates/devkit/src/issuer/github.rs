//! Tokens of GitHub Actions workflows.
//!
//! GitHub documentation, "OpenID Connect reference" (claims, and the forms of `sub`). Every custom
//! claim is a string there, numbers and truth values included.

use evidence::UnixTime;
use serde_json::json;

use super::claims::{Claimant, Claims, add_times, claims};

/// How long before its issue a token is valid already, in seconds: the documentation's example.
const VALID_BEFORE_S: i64 = 600;

/// How long a token lives, in seconds: the documentation's example.
const LIFETIME_S: i64 = 300;

/// A job of a workflow run on GitHub Actions.
#[derive(Clone, Debug)]
pub struct GithubWorkflow {
    /// User or organization that owns the repository.
    pub owner: String,
    /// Number of the owner.
    pub owner_id: u64,
    /// Name of the repository, without its owner.
    pub repository: String,
    /// Number of the repository.
    pub repository_id: u64,
    /// `public`, `internal` or `private`.
    pub visibility: String,
    /// The fully qualified git reference that the run is for, e.g. `refs/heads/main`.
    pub reference: String,
    /// Whether rules protect that reference.
    pub reference_protected: bool,
    /// The commit that the run is for.
    pub commit: String,
    /// Name of the workflow, as its file gives it.
    pub name: String,
    /// File of the workflow within the repository.
    pub file: String,
    /// The reusable workflow that the job is defined in, if it is not the workflow itself.
    pub reusable: Option<ReusableWorkflow>,
    /// What started the run, e.g. `push`.
    pub event: String,
    /// Number of the run among all runs.
    pub run_id: u64,
    /// Number of the run within its workflow.
    pub run_number: u64,
    /// How often the run was tried.
    pub run_attempt: u32,
    /// Number of the job's check run.
    pub check_run_id: u64,
    /// `github-hosted` or `self-hosted`.
    pub runner: String,
    /// Who started the run.
    pub actor: String,
    /// Number of that user.
    pub actor_id: u64,
    /// Target branch, for a pull request; else empty.
    pub base_reference: String,
    /// Source branch, for a pull request; else empty.
    pub head_reference: String,
    /// The deployment environment that the job names.
    pub environment: Option<String>,
}

/// A workflow in another repository, called by the one that runs.
#[derive(Clone, Debug)]
pub struct ReusableWorkflow {
    /// `owner/repository/file@reference`.
    pub reference: String,
    /// The commit of that reference.
    pub commit: String,
}

impl GithubWorkflow {
    /// A push to `reference` of a public repository that runs the workflow in `file`, on a hosted
    /// runner, without environment. All else is made up, and always the same.
    #[must_use]
    pub fn new(owner: &str, repository: &str, file: &str, reference: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            owner_id: 9919,
            repository: repository.to_owned(),
            repository_id: 1_296_269,
            visibility: "public".to_owned(),
            reference: reference.to_owned(),
            reference_protected: true,
            commit: "6dcb09b5b57875f334f61aebed695e2e4193db5e".to_owned(),
            name: "Release".to_owned(),
            file: file.to_owned(),
            reusable: None,
            event: "push".to_owned(),
            run_id: 30_433_642,
            run_number: 562,
            run_attempt: 1,
            check_run_id: 399_444_496,
            runner: "github-hosted".to_owned(),
            actor: "octocat".to_owned(),
            actor_id: 583_231,
            base_reference: String::new(),
            head_reference: String::new(),
            environment: None,
        }
    }

    /// `owner/name` of the repository.
    #[must_use]
    pub fn full_repository(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// `owner/name/file@reference` of the workflow.
    #[must_use]
    pub fn workflow_reference(&self) -> String {
        format!("{}/{}@{}", self.full_repository(), self.file, self.reference)
    }

    /// The same of the workflow that defines the job.
    #[must_use]
    pub fn job_workflow_reference(&self) -> String {
        match &self.reusable {
            Some(reusable) => reusable.reference.clone(),
            None => self.workflow_reference(),
        }
    }

    /// The subject alternative name that Fulcio's `github-workflow` gives to this job.
    #[must_use]
    pub fn certificate_identity(&self) -> String {
        format!("https://github.com/{}", self.job_workflow_reference())
    }

    /// The default form of `sub`: by environment if there is one, by event for pull requests, else
    /// by reference. A colon in an environment's name is written `%3A`.
    fn subject(&self) -> String {
        let repository = self.full_repository();
        match &self.environment {
            Some(name) => format!("repo:{repository}:environment:{}", name.replace(':', "%3A")),
            None if self.event == "pull_request" => format!("repo:{repository}:pull_request"),
            None => format!("repo:{repository}:ref:{}", self.reference),
        }
    }

    fn reference_type(&self) -> &'static str {
        if self.reference.starts_with("refs/tags/") { "tag" } else { "branch" }
    }
}

impl Claimant for GithubWorkflow {
    fn claims(&self, issuer: &str, audience: &str, now: UnixTime) -> Claims {
        let job_commit = self.reusable.as_ref().map_or(&self.commit, |called| &called.commit);
        let mut claims = claims([
            ("iss", json!(issuer)),
            ("sub", json!(self.subject())),
            ("aud", json!(audience)),
            ("actor", json!(self.actor)),
            ("actor_id", json!(self.actor_id.to_string())),
            ("base_ref", json!(self.base_reference)),
            ("check_run_id", json!(self.check_run_id.to_string())),
            ("event_name", json!(self.event)),
            ("head_ref", json!(self.head_reference)),
            ("job_workflow_ref", json!(self.job_workflow_reference())),
            ("job_workflow_sha", json!(job_commit)),
            ("ref", json!(self.reference)),
            ("ref_protected", json!(self.reference_protected.to_string())),
            ("ref_type", json!(self.reference_type())),
            ("repository", json!(self.full_repository())),
            ("repository_id", json!(self.repository_id.to_string())),
            ("repository_owner", json!(self.owner)),
            ("repository_owner_id", json!(self.owner_id.to_string())),
            ("repository_visibility", json!(self.visibility)),
            ("run_attempt", json!(self.run_attempt.to_string())),
            ("run_id", json!(self.run_id.to_string())),
            ("run_number", json!(self.run_number.to_string())),
            ("runner_environment", json!(self.runner)),
            ("sha", json!(self.commit)),
            ("workflow", json!(self.name)),
            ("workflow_ref", json!(self.workflow_reference())),
            ("workflow_sha", json!(self.commit)),
        ]);
        if let Some(environment) = &self.environment {
            claims.insert("environment".to_owned(), json!(environment));
        }
        add_times(&mut claims, now, VALID_BEFORE_S, LIFETIME_S);
        claims
    }

    /// The URL of the repository's owner.
    fn default_audience(&self, _issuer: &str) -> String {
        format!("https://github.com/{}", self.owner)
    }
}
