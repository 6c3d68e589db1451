//! The whole claim sets of real providers, as they document them, get certificates with the right
//! names: nothing in them is in the way, and nothing more is needed.

use std::sync::Arc;

use authority::Identity;
use authority::issue::proof::{Applicant, Proof, SigningAlgorithm};
use authority::issuer::{Issuer, IssuerKind, Issuers};
use authority::token::{TokenVerifier, VerifiedToken};
use crypto::{KeyKind, KeyPair, Signer};
use devkit::issuer::{
    Claimant, EmailUser, GithubWorkflow, GitlabEnvironment, GitlabJob, GoogleServiceAccount,
    ReusableWorkflow,
};
use evidence::Certificate;
use evidence::certificate::SubjectName;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::world::{CLIENT, Documents, NOW, TokenKey, github, issuing_authority, serial};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GITLAB: &str = "https://gitlab.com";
const GOOGLE: &str = "https://accounts.google.com";
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// The token of a claimant, verified with the issuer's published key.
fn verified(issuer: Issuer, keys: &str, claimant: &dyn Claimant) -> VerifiedToken {
    let key = TokenKey::new(KeyKind::Rsa { bits: 2048 }, "first", "RS256");
    let claims = Value::Object(claimant.claims(issuer.url(), CLIENT, NOW));
    let documents = Arc::new(Documents::default());
    let discovery = json!({"issuer": issuer.url(), "jwks_uri": keys});
    documents.put(&format!("{}/.well-known/openid-configuration", issuer.url()), &discovery);
    documents.put(keys, &json!({"keys": [key.jwk()]}));
    let verifier = TokenVerifier::new(Issuers::new(vec![issuer]).unwrap(), documents);
    block_on(verifier.verify(&key.token(&claims), NOW)).unwrap()
}

/// The certificate for a token, asked for with proof over the text that clients sign.
fn certificate(token: &VerifiedToken) -> Certificate {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let challenge = token.verified_email().unwrap_or(token.subject());
    let signature = key.sign_bytes(challenge.as_bytes()).unwrap();
    let public_key = key.public_key().spki_der();
    let proof = Proof::Signature { public_key, signature: &signature };
    let identity = Identity::of(token).unwrap();
    let applicant = Applicant::prove(identity, proof, &SigningAlgorithm::ALL).unwrap();
    let issued = block_on(issuing_authority().issue(&applicant, serial(9), NOW)).unwrap();
    issued.certificate().clone()
}

fn uri(text: &str) -> SubjectName {
    SubjectName::Uri(text.to_owned())
}

fn of_github(workflow: &GithubWorkflow) -> Certificate {
    let issuer = Issuer::new(GITHUB, CLIENT, github()).unwrap();
    let keys = format!("{GITHUB}/.well-known/jwks");
    certificate(&verified(issuer, &keys, workflow))
}

#[test]
fn github_actions() {
    let file = ".github/workflows/release.yml";
    let plain = GithubWorkflow::new("octo-org", "octo-repo", file, "refs/heads/main");
    let name =
        "https://github.com/octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(plain.certificate_identity(), name);
    let issued = of_github(&plain);
    assert_eq!(issued.names(), [uri(name)]);
    assert_eq!(issued.fulcio().issuer(), Some(GITHUB));
    let reusable = ReusableWorkflow {
        reference: "octo-org/octo-automation/.github/workflows/oidc.yml@refs/tags/v1".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
    };
    let called = GithubWorkflow {
        reusable: Some(reusable),
        environment: Some("prod:eu".to_owned()),
        visibility: "private".to_owned(),
        event: "workflow_dispatch".to_owned(),
        ..plain.clone()
    };
    let signer =
        "https://github.com/octo-org/octo-automation/.github/workflows/oidc.yml@refs/tags/v1";
    assert_eq!(of_github(&called).names(), [uri(signer)]);
    let asked = GithubWorkflow {
        event: "pull_request".to_owned(),
        reference: "refs/pull/7/merge".to_owned(),
        base_reference: "main".to_owned(),
        head_reference: "topic".to_owned(),
        ..plain
    };
    assert_eq!(of_github(&asked).names(), [uri(&asked.certificate_identity())]);
}

fn of_gitlab(job: &GitlabJob) -> Certificate {
    let kind = IssuerKind::GitLab { instance_url: GITLAB.to_owned() };
    let issuer = Issuer::new(GITLAB, CLIENT, kind).unwrap();
    certificate(&verified(issuer, &format!("{GITLAB}/oauth/discovery/keys"), job))
}

#[test]
fn gitlab_ci() {
    let plain = GitlabJob::new("my-group/sub", "my-project", "feature-branch-1");
    let name =
        "https://gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/feature-branch-1";
    let issued = of_gitlab(&plain);
    assert_eq!(issued.names(), [uri(name)]);
    assert_eq!(issued.fulcio().issuer(), Some(GITLAB));
    let environment = GitlabEnvironment {
        name: "production".to_owned(),
        protected: true,
        tier: "production".to_owned(),
        action: "start".to_owned(),
    };
    let tagged = GitlabJob {
        reference: "v1.0".to_owned(),
        reference_type: "tag".to_owned(),
        runner: "self-hosted".to_owned(),
        environment: Some(environment),
        ..plain
    };
    let name = "https://gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/tags/v1.0";
    assert_eq!(of_gitlab(&tagged).names(), [uri(name)]);
}

/// Cloud Build, machines, and accounts that others act for: by address, with keys on another host.
#[test]
fn googles_service_accounts() {
    let build = GoogleServiceAccount::cloud_build(123_456_789_012);
    let robot = GoogleServiceAccount::new("signer@my-project.iam.gserviceaccount.com");
    for account in [build, robot.clone(), robot.on_machine()] {
        let issuer = Issuer::new(GOOGLE, CLIENT, IssuerKind::Email).unwrap();
        let issuer = issuer.with_key_set_url(GOOGLE_KEYS).unwrap();
        let token = verified(issuer, GOOGLE_KEYS, &account);
        assert_eq!(token.subject(), account.unique_id);
        let issued = certificate(&token);
        assert_eq!(issued.names(), [SubjectName::Email(account.email.clone())]);
        assert_eq!(issued.fulcio().issuer(), Some(GOOGLE));
    }
}

#[test]
fn people_behind_dex() {
    let issuer =
        Issuer::new("https://oauth2.sigstore.dev/auth", CLIENT, IssuerKind::Email).unwrap();
    let connector = Some("https://github.com/login/oauth".to_owned());
    let person = EmailUser { connector, ..EmailUser::new("jane.doe@example.com") };
    let issued = certificate(&verified(issuer, "https://oauth2.sigstore.dev/auth/keys", &person));
    assert_eq!(issued.names(), [SubjectName::Email("jane.doe@example.com".to_owned())]);
}
