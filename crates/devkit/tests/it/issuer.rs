//! Discovery, keys, and the token endpoint of a CI job.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use devkit::DevkitError;
use devkit::issuer::{Algorithm, GithubWorkflow, GitlabJob, Issuer, Job};
use serde_json::{Value, json};

use crate::http::{Answer, get, post};
use crate::jwt::{published_key, published_keys, read};
use crate::{NOW, start_issuer};

fn workflow() -> GithubWorkflow {
    GithubWorkflow::new("octo-org", "app", ".github/workflows/release.yml", "refs/heads/main")
}

#[tokio::test]
async fn discovery_names_the_issuer_itself() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let issuer = start_issuer(algorithm).await;
        let answer = get("/.well-known/openid-configuration").send(issuer.address()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.json();
        assert_eq!(document["issuer"], issuer.url());
        assert_eq!(issuer.url(), format!("http://{}", issuer.address()));
        assert_eq!(document["id_token_signing_alg_values_supported"], json!([algorithm.name()]));
    }
}

#[tokio::test]
async fn tokens_verify_with_the_published_key() {
    for (algorithm, key_type) in [(Algorithm::Es256, "EC"), (Algorithm::Rs256, "RSA")] {
        let issuer = start_issuer(algorithm).await;
        let token = read(&issuer.mint(&workflow(), "sigstore").unwrap());
        assert_eq!(token.header["alg"], algorithm.name());
        assert_eq!(token.header["typ"], "JWT");
        let key = published_key(&issuer, token.key_id()).await.unwrap();
        assert_eq!(key["kty"], key_type);
        assert_eq!(key["alg"], algorithm.name());
        assert_eq!(key["use"], "sig");
        token.verify(&key).unwrap();
        assert_eq!(token.claims["iss"], issuer.url());
        assert_eq!(token.claims["aud"], "sigstore");
        assert_eq!(token.claims["iat"], NOW.seconds());
    }
}

#[tokio::test]
async fn keys_are_named_by_their_thumbprint() {
    for (algorithm, members) in [
        (Algorithm::Es256, ["crv", "kty", "x", "y"].as_slice()),
        (Algorithm::Rs256, &["e", "kty", "n"]),
    ] {
        let issuer = start_issuer(algorithm).await;
        let [key] = published_keys(&issuer).await.try_into().unwrap();
        // RFC 7638 §3.3, written out by hand.
        let members: Vec<_> =
            members.iter().map(|name| format!(r#""{name}":{}"#, key[name])).collect();
        let text = format!("{{{}}}", members.join(","));
        let thumbprint = URL_SAFE_NO_PAD.encode(crypto::sha256(text.as_bytes()));
        assert_eq!(key["kid"], thumbprint);
        assert_eq!(issuer.key_id(), thumbprint);
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "the private member {private} is published");
        }
    }
}

#[tokio::test]
async fn rotation_keeps_old_tokens_valid_until_old_keys_are_retired() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let old = read(&issuer.mint(&workflow(), "sigstore").unwrap());
    issuer.rotate(Algorithm::Rs256).unwrap();
    let new = read(&issuer.mint(&workflow(), "sigstore").unwrap());
    assert_ne!(old.key_id(), new.key_id());
    assert_eq!(new.header["alg"], "RS256");
    old.verify(&published_key(&issuer, old.key_id()).await.unwrap()).unwrap();
    new.verify(&published_key(&issuer, new.key_id()).await.unwrap()).unwrap();
    let discovery = get("/.well-known/openid-configuration").send(issuer.address()).await.json();
    assert_eq!(discovery["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));

    issuer.retire_old_keys();
    assert_eq!(published_key(&issuer, old.key_id()).await, None);
    new.verify(&published_key(&issuer, new.key_id()).await.unwrap()).unwrap();
}

#[tokio::test]
async fn published_keys_are_bounded() {
    let issuer = start_issuer(Algorithm::Es256).await;
    for _ in 0..20 {
        issuer.rotate(Algorithm::Es256).unwrap();
    }
    let keys = published_keys(&issuer).await;
    assert_eq!(keys.len(), 8);
    assert_eq!(keys.last().unwrap()["kid"], issuer.key_id());
}

/// Asks as clients do: the audience is appended to a query that is there already.
async fn ask(issuer: &Issuer, job: &Job, query: &str, bearer: &str) -> Answer {
    let target = job.request_url.strip_prefix(issuer.url()).unwrap();
    assert!(target.contains('?'), "clients append `&audience=`: {target}");
    let asked = get(format!("{target}{query}"));
    asked.header("Authorization", bearer).send(issuer.address()).await
}

fn token_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    read(answer.json()["value"].as_str().unwrap()).claims
}

#[tokio::test]
async fn a_job_gets_a_token_for_the_audience_it_names() {
    let issuer = start_issuer(Algorithm::Rs256).await;
    let job = issuer.open_job(workflow()).unwrap();
    // Clients write the scheme in lower case here.
    let bearer = format!("bearer {}", job.request_token);
    let claims = token_of(&ask(&issuer, &job, "&audience=sigstore", &bearer).await);
    assert_eq!(claims["aud"], "sigstore");
    assert_eq!(claims["repository"], "octo-org/app");
    let claims = token_of(&ask(&issuer, &job, "&audience=https%3A%2F%2Fa.example", &bearer).await);
    assert_eq!(claims["aud"], "https://a.example");
    let claims = token_of(&ask(&issuer, &job, "", &bearer).await);
    assert_eq!(claims["aud"], "https://github.com/octo-org");
}

#[tokio::test]
async fn a_job_gets_only_its_own_tokens() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let github = issuer.open_job(workflow()).unwrap();
    let gitlab = issuer.open_job(GitlabJob::new("my-group", "app", "main")).unwrap();
    assert_ne!(github.request_token, gitlab.request_token);
    let bearer = format!("Bearer {}", gitlab.request_token);
    let claims = token_of(&ask(&issuer, &github, "", &bearer).await);
    assert_eq!(claims["project_path"], "my-group/app");
    assert_eq!(claims["aud"], issuer.url());
}

#[tokio::test]
async fn who_is_no_job_gets_no_token() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let job = issuer.open_job(workflow()).unwrap();
    let right = &job.request_token;
    for wrong in [
        "bearer ".to_owned(),
        "bearer 00".to_owned(),
        format!("basic {right}"),
        right.clone(),
        format!("bearer {right}0"),
    ] {
        assert_eq!(ask(&issuer, &job, "&audience=sigstore", &wrong).await.status, 401, "{wrong}");
    }
    assert_eq!(get("/token?audience=sigstore").send(issuer.address()).await.status, 401);
}

#[tokio::test]
async fn audiences_are_bounded() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let job = issuer.open_job(workflow()).unwrap();
    let bearer = format!("bearer {}", job.request_token);
    let two = ask(&issuer, &job, "&audience=a&audience=b", &bearer).await;
    assert_eq!(two.status, 400);
    let long = ask(&issuer, &job, &format!("&audience={}", "a".repeat(1025)), &bearer).await;
    assert_eq!(long.status, 400);
    let longest = ask(&issuer, &job, &format!("&audience={}", "a".repeat(1024)), &bearer).await;
    assert_eq!(longest.status, 200);
}

#[tokio::test]
async fn jobs_are_bounded() {
    let issuer = start_issuer(Algorithm::Es256).await;
    for _ in 0..1024 {
        issuer.open_job(workflow()).unwrap();
    }
    let outcome = issuer.open_job(workflow());
    assert!(matches!(outcome, Err(DevkitError::TooManyJobs { max: 1024 })), "{outcome:?}");
}

#[tokio::test]
async fn a_job_is_told_what_github_tells_it_and_keeps_its_secret() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let job = issuer.open_job(workflow()).unwrap();
    let [flag, url, token] = job.environment();
    assert_eq!(flag, ("GITHUB_ACTIONS", "true".to_owned()));
    assert_eq!(url, ("ACTIONS_ID_TOKEN_REQUEST_URL", job.request_url.clone()));
    assert_eq!(token, ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", job.request_token.clone()));
    assert!(!format!("{job:?}").contains(&job.request_token));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let issuer = start_issuer(Algorithm::Es256).await;
    for path in ["/", "/authorize", "/.well-known/openid-configuration/", "/jwks"] {
        assert_eq!(get(path).send(issuer.address()).await.status, 404, "{path}");
    }
    for path in ["/token", "/.well-known/jwks", "/.well-known/openid-configuration"] {
        assert_eq!(post(path).send(issuer.address()).await.status, 405, "{path}");
    }
}
