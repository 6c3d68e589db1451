//! What tokens say, and the hostile ones: each is wrong in the one way that its name says.

use crypto::{BadSignature, KeyKind, PublicKey};
use devkit::issuer::{
    Algorithm, Claimant, Claims, EmailUser, GithubWorkflow, GitlabEnvironment, GitlabJob,
    GoogleServiceAccount, Issuer, ReusableWorkflow, SignWith, TokenSpec,
};
use serde_json::{Value, json};

use crate::http::get;
use crate::jwt::{Token, published_key, published_keys, read};
use crate::{NOW, start_issuer};

const ISSUER: &str = "http://127.0.0.1:1";

fn workflow() -> GithubWorkflow {
    GithubWorkflow::new("octo-org", "app", ".github/workflows/release.yml", "refs/heads/main")
}

fn claims(claimant: &dyn Claimant) -> Claims {
    claimant.claims(ISSUER, "sigstore", NOW)
}

#[test]
fn a_github_workflow_claims_what_github_claims() {
    let now = NOW.seconds();
    let expected = json!({
        "iss": ISSUER, "aud": "sigstore", "iat": now, "nbf": now - 600, "exp": now + 300,
        "sub": "repo:octo-org/app:ref:refs/heads/main",
        "actor": "octocat", "actor_id": "583231", "base_ref": "", "head_ref": "",
        "check_run_id": "399444496", "event_name": "push",
        "job_workflow_ref": "octo-org/app/.github/workflows/release.yml@refs/heads/main",
        "job_workflow_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "ref": "refs/heads/main", "ref_protected": "true", "ref_type": "branch",
        "repository": "octo-org/app", "repository_id": "1296269",
        "repository_owner": "octo-org", "repository_owner_id": "9919",
        "repository_visibility": "public",
        "run_attempt": "1", "run_id": "30433642", "run_number": "562",
        "runner_environment": "github-hosted",
        "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "workflow": "Release",
        "workflow_ref": "octo-org/app/.github/workflows/release.yml@refs/heads/main",
        "workflow_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
    });
    assert_eq!(Value::Object(claims(&workflow())), expected);
}

#[test]
fn a_github_subject_depends_on_environment_and_event() {
    let subject = |workflow: GithubWorkflow| claims(&workflow)["sub"].clone();
    let environment = Some("prod:eu".to_owned());
    let deploys = GithubWorkflow { environment, ..workflow() };
    assert_eq!(claims(&deploys)["environment"], "prod:eu");
    assert_eq!(subject(deploys), "repo:octo-org/app:environment:prod%3Aeu");
    let event = "pull_request".to_owned();
    assert_eq!(subject(GithubWorkflow { event, ..workflow() }), "repo:octo-org/app:pull_request");
    let tagged = GithubWorkflow { reference: "refs/tags/v1".to_owned(), ..workflow() };
    assert_eq!(claims(&tagged)["ref_type"], "tag");
    assert_eq!(subject(tagged), "repo:octo-org/app:ref:refs/tags/v1");
}

#[test]
fn a_reusable_workflow_is_the_jobs_workflow_but_not_the_runs() {
    let reference = "shared/ci/.github/workflows/build.yml@refs/tags/v2".to_owned();
    let reusable = ReusableWorkflow { reference: reference.clone(), commit: "ab".repeat(20) };
    let calls = GithubWorkflow { reusable: Some(reusable), ..workflow() };
    let claims = claims(&calls);
    assert_eq!(claims["job_workflow_ref"], reference);
    assert_eq!(claims["job_workflow_sha"], "ab".repeat(20));
    let own = "octo-org/app/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(claims["workflow_ref"], own);
    assert_eq!(calls.certificate_identity(), format!("https://github.com/{reference}"));
    assert_eq!(workflow().certificate_identity(), format!("https://github.com/{own}"));
}

#[test]
fn a_gitlab_job_claims_what_gitlab_claims() {
    let now = NOW.seconds();
    let job = GitlabJob::new("my-group/sub", "app", "main");
    let expected = json!({
        "iss": ISSUER, "aud": "sigstore", "iat": now, "nbf": now - 5, "exp": now + 3600,
        "sub": "project_path:my-group/sub/app:ref_type:branch:ref:main",
        "ci_config_ref_uri": "gitlab.com/my-group/sub/app//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "groups_direct": ["my-group/sub"],
        "job_id": "302",
        "job_namespace_id": "72", "job_namespace_path": "my-group/sub",
        "job_project_id": "20", "job_project_path": "my-group/sub/app",
        "namespace_id": "72", "namespace_path": "my-group/sub",
        "pipeline_id": "574", "pipeline_source": "push",
        "project_id": "20", "project_path": "my-group/sub/app", "project_visibility": "public",
        "ref": "main", "ref_path": "refs/heads/main", "ref_protected": "true",
        "ref_type": "branch",
        "runner_environment": "gitlab-hosted", "runner_id": 12_270_835,
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "user_access_level": "developer", "user_email": "sample-user@example.com",
        "user_id": "1", "user_login": "sample-user",
    });
    assert_eq!(Value::Object(claims(&job)), expected);
    assert_eq!(
        job.certificate_identity(),
        "https://gitlab.com/my-group/sub/app//.gitlab-ci.yml@refs/heads/main"
    );
    let tagged = GitlabJob { reference_type: "tag".to_owned(), ..GitlabJob::new("g", "p", "v1") };
    assert_eq!(claims(&tagged)["ref_path"], "refs/tags/v1");
    assert_eq!(claims(&tagged)["sub"], "project_path:g/p:ref_type:tag:ref:v1");
}

#[test]
fn a_gitlab_environment_is_claimed_where_there_is_one() {
    let environment = GitlabEnvironment {
        name: "live".to_owned(),
        protected: true,
        tier: "production".to_owned(),
        action: "start".to_owned(),
    };
    let claims =
        claims(&GitlabJob { environment: Some(environment), ..GitlabJob::new("g", "p", "main") });
    assert_eq!(claims["environment"], "live");
    assert_eq!(claims["environment_protected"], "true");
    assert_eq!(claims["deployment_tier"], "production");
    assert_eq!(claims["environment_action"], "start");
}

#[test]
fn a_person_claims_a_mail_address() {
    let now = NOW.seconds();
    let mut person = EmailUser::new("a@example.com");
    let expected = json!({
        "iss": ISSUER, "aud": "sigstore", "iat": now, "exp": now + 60,
        "sub": person.subject, "email": "a@example.com", "email_verified": true,
    });
    assert_eq!(Value::Object(claims(&person)), expected);
    person.email_verified = false;
    person.connector = Some("https://accounts.google.com".to_owned());
    let claims = claims(&person);
    assert_eq!(claims["email_verified"], false);
    assert_eq!(claims["federated_claims"]["connector_id"], "https://accounts.google.com");
}

#[test]
fn a_service_account_claims_what_googles_claims() {
    let now = NOW.seconds();
    let number = "104029292853099978293";
    let expected = json!({
        "iss": ISSUER, "aud": "sigstore", "iat": now, "exp": now + 3600, "sub": number,
        "azp": number, "email": "7@cloudbuild.gserviceaccount.com", "email_verified": true,
    });
    let account = GoogleServiceAccount::cloud_build(7);
    assert_eq!(Value::Object(claims(&account)), expected);
    let machine = claims(&account.on_machine());
    assert_eq!(machine["google"]["compute_engine"]["instance_name"], "example");
}

#[tokio::test]
async fn discovery_lists_exactly_what_can_be_claimed() {
    let environment = || Some("e".to_owned());
    let gitlab_environment = GitlabEnvironment {
        name: String::new(),
        protected: false,
        tier: String::new(),
        action: String::new(),
    };
    let claimants: [&dyn Claimant; 4] = [
        &GithubWorkflow { environment: environment(), ..workflow() },
        &GitlabJob { environment: Some(gitlab_environment), ..GitlabJob::new("g", "p", "b") },
        &EmailUser { connector: environment(), ..EmailUser::new("a@example.com") },
        &GoogleServiceAccount::cloud_build(1).on_machine(),
    ];
    let mut claimed: Vec<_> = claimants
        .iter()
        .flat_map(|claimant| TokenSpec::new(claims(*claimant)).claims().clone())
        .map(|(name, _)| name)
        .collect();
    claimed.sort();
    claimed.dedup();
    let issuer = start_issuer(Algorithm::Es256).await;
    let discovery = get("/.well-known/openid-configuration").send(issuer.address()).await.json();
    assert_eq!(discovery["claims_supported"], json!(claimed));
}

#[tokio::test]
async fn every_token_has_an_identifier_of_its_own() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let [first, second] = [(); 2]
        .map(|()| read(&issuer.mint(&workflow(), "sigstore").unwrap()).claims["jti"].clone());
    assert_ne!(first, second);
    let text = first.as_str().unwrap();
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&text[14..15], "4");
    assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
}

#[tokio::test]
async fn claims_can_be_anything() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let spec = issuer.spec(&workflow(), "sigstore");
    let check = |spec: TokenSpec| {
        let token = read(&issuer.sign(&spec).unwrap());
        assert_eq!(token.claims, Value::Object(spec.claims().clone()));
        token.claims
    };
    assert_eq!(check(spec.clone().claim("exp", "soon"))["exp"], "soon");
    assert_eq!(check(spec.clone().claim("aud", json!(["a", "b"])))["aud"], json!(["a", "b"]));
    assert_eq!(check(spec.clone().without_claim("sub")).get("sub"), None);
    let before = spec.claims().clone();
    let expired = check(spec.shifted(-3600));
    for name in ["iat", "nbf", "exp"] {
        assert_eq!(expired[name].as_i64().unwrap(), before[name].as_i64().unwrap() - 3600);
    }
    assert!(expired["exp"].as_i64().unwrap() < NOW.seconds());
}

async fn hostile(issuer: &Issuer, sign_with: SignWith) -> Token {
    let spec = issuer.spec(&workflow(), "sigstore").signed_with(sign_with);
    read(&issuer.sign(&spec).unwrap())
}

#[tokio::test]
async fn an_unpublished_key_signs_under_the_published_name() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let issuer = start_issuer(algorithm).await;
        let token = hostile(&issuer, SignWith::UnpublishedKey).await;
        assert_eq!(token.header["alg"], algorithm.name());
        let key = published_key(&issuer, token.key_id()).await.unwrap();
        assert_eq!(token.verify(&key), Err(BadSignature));
    }
}

#[tokio::test]
async fn a_key_in_the_header_verifies_and_is_not_published() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let token = hostile(&issuer, SignWith::KeyInHeader).await;
    token.verify(&token.header["jwk"]).unwrap();
    assert_eq!(token.header["jwk"]["kid"], token.key_id());
    assert_eq!(published_key(&issuer, token.key_id()).await, None);
}

#[tokio::test]
async fn nobodys_token_has_an_empty_signature() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let token = hostile(&issuer, SignWith::Nobody).await;
    assert_eq!(token.header["alg"], "none");
    assert!(token.signature.is_empty());
}

#[tokio::test]
async fn an_hmac_of_the_public_key_is_what_a_careless_verifier_computes() {
    let issuer = start_issuer(Algorithm::Rs256).await;
    let token = hostile(&issuer, SignWith::HmacOfPublicKey).await;
    assert_eq!(token.header["alg"], "HS256");
    let [jwk] = published_keys(&issuer).await.try_into().unwrap();
    let member = |name: &str| {
        use base64::Engine;
        let text = Value::as_str(&jwk[name]).unwrap();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    let key = PublicKey::from_rsa_components(&member("n"), &member("e")).unwrap();
    assert_eq!(key.kind(), KeyKind::Rsa { bits: 2048 });
    // RFC 2104 with a key longer than the block, apart from the code under test.
    let mut block = [0; 64];
    block[..32].copy_from_slice(&crypto::sha256(key.to_pem().as_bytes()));
    let pad = |with: u8| block.map(|byte| byte ^ with).to_vec();
    let inner = crypto::sha256(&[&pad(0x36), token.signed_text().as_bytes()].concat());
    let expected = crypto::sha256(&[&pad(0x5c)[..], &inner].concat());
    assert_eq!(token.signature, expected);
}

#[tokio::test]
async fn the_header_can_be_anything() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let spec = issuer.spec(&workflow(), "sigstore");
    let header = |spec: TokenSpec| read(&issuer.sign(&spec).unwrap()).header;
    assert_eq!(header(spec.clone().header("kid", "other"))["kid"], "other");
    assert_eq!(header(spec.clone().without_header("kid")).get("kid"), None);
    assert_eq!(header(spec.clone().header("alg", "RS512"))["alg"], "RS512");
    let critical = spec.header("crit", json!(["b64"])).header("b64", false);
    assert_eq!(header(critical)["crit"], json!(["b64"]));
}
