//! The registries of the field, each under its true name and answering as its documentation says:
//! who gets what, and that nobody else does.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use client::credentials::Basic;
use client::credentials::cloud::{CloudKind, Clouds};
use client::error::{FetchErrorKind, Unauthorized};
use client::{Credential, Environment, FetchError, Http, HttpOptions, Keychain, Registry, Secret};
use crypto::{KeyKind, KeyPair, Signer};
use evidence::{Digest, ImageRef, UnixTime};

use crate::internet::Internet;
use crate::server::{Received, Reply, Server};
use crate::{OCI_MANIFEST, ample, assert_kind, manifest};

const NOW: i64 = 1_700_000_000;

fn basic(user: &str, password: &str) -> Credential {
    let password = Secret::new(password.to_owned());
    Credential::Basic(Basic { user: user.to_owned(), password })
}

/// What `user:password` is in a header.
fn shown(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn authorized(request: &Received, wanted: &str) -> bool {
    request.header("authorization") == Some(wanted)
}

fn json(body: impl Into<Vec<u8>>) -> Reply {
    Reply::ok("application/json", body)
}

fn form(request: &Received) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

/// Fetches a manifest by its digest, as whoever the keychain says.
async fn fetch(internet: &Internet, image: &str, keychain: Keychain) -> Result<(), FetchError> {
    fetch_by(internet.http(), image, keychain).await
}

async fn fetch_by(http: Arc<Http>, image: &str, keychain: Keychain) -> Result<(), FetchError> {
    let image: ImageRef = image.parse().unwrap();
    let digest = manifest("app").1;
    Registry::new(http, keychain).fetch_manifest(&image, &digest, ample()).await.map(|_| ())
}

fn given(host: &str, credential: Credential) -> Keychain {
    Keychain::default().with_credential(host.parse().unwrap(), credential)
}

/// A cloud's keychain, in an environment of these variables.
fn cloud(kind: CloudKind, variables: &[(&str, &str)]) -> Keychain {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let clock: client::credentials::cloud::Clock = Arc::new(|| UnixTime::from_seconds(NOW));
    Keychain::default().with_clouds(Clouds::new([kind], Environment::new(variables), clock))
}

/// A registry that wants a token from `realm` for `service`, and knows the token `T`.
fn registry(request: &Received, realm: &str, service: &str) -> Reply {
    if authorized(request, "Bearer T") {
        return Reply::ok(OCI_MANIFEST, manifest("app").0);
    }
    let repository = request.path().split("/manifests/").next().unwrap().trim_start_matches("/v2/");
    let challenge = format!(
        r#"Bearer realm="{realm}",service="{service}",scope="repository:{repository}:pull""#
    );
    Reply::status(401).with("WWW-Authenticate", challenge)
}

#[tokio::test]
async fn docker_hub() {
    const HOSTS: [&str; 3] = ["registry-1.docker.io", "auth.docker.io", "docker.io"];
    let internet = Internet::of(&HOSTS, |host, request| match host {
        "registry-1.docker.io" => {
            registry(request, "https://auth.docker.io/token", "registry.docker.io")
        }
        "auth.docker.io" => json(r#"{"token":"T","access_token":"T","expires_in":300,"issued_at":"2026-11-01T00:00:00Z"}"#),
        _ => Reply::status(301),
    })
    .await;
    fetch(&internet, "nginx", Keychain::default()).await.unwrap();
    assert_eq!(
        internet.lines()[1],
        "auth.docker.io GET /token?service=registry.docker.io\
            &scope=repository%3Alibrary%2Fnginx%3Apull"
    );
    let anonymous = internet.to("auth.docker.io");
    assert_eq!(anonymous[0].header("authorization"), None);
    fetch(&internet, "nginx", given("docker.io", basic("ali", "pat"))).await.unwrap();
    let known = internet.to("auth.docker.io");
    assert_eq!(known[1].header("authorization"), Some(shown("ali", "pat").as_str()));
    assert!(internet.to("docker.io").is_empty());
}

#[tokio::test]
async fn github() {
    let internet = Internet::of(&["ghcr.io"], |_, request| match request.path() {
        "/token" if authorized(request, &shown("octocat", "ghs_x")) => json(r#"{"token":"T"}"#),
        "/token" => Reply::status(403).body(r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#),
        _ => registry(request, "https://ghcr.io/token", "ghcr.io"),
    })
    .await;
    let token = [("GITHUB_TOKEN", "ghs_x"), ("GITHUB_ACTOR", "octocat")];
    fetch(&internet, "ghcr.io/acme/app", cloud(CloudKind::GitHub, &token)).await.unwrap();
    let error = fetch(&internet, "ghcr.io/acme/app", Keychain::default()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
}

#[tokio::test]
async fn gitlab() {
    const HOSTS: [&str; 2] = ["registry.gitlab.com", "gitlab.com"];
    let internet = Internet::of(&HOSTS, |host, request| match host {
        "gitlab.com" if authorized(request, &shown("gitlab-ci-token", "job")) => {
            json(r#"{"token":"T"}"#)
        }
        "gitlab.com" => Reply::status(403)
            .body(r#"{"errors":[{"code":"DENIED","message":"access forbidden"}]}"#),
        _ => registry(request, "https://gitlab.com/jwt/auth", "container_registry"),
    })
    .await;
    let image = "registry.gitlab.com/acme/app";
    fetch(&internet, image, given("registry.gitlab.com", basic("gitlab-ci-token", "job")))
        .await
        .unwrap();
    assert!(internet.lines()[1].starts_with("gitlab.com GET /jwt/auth?service=container_registry"));
    let wrong = given("registry.gitlab.com", basic("gitlab-ci-token", "old"));
    let error = fetch(&internet, image, wrong).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Forbidden { .. });
}

/// Harbor and JFrog are their own token services; Quay too, under `/v2/auth`.
#[tokio::test]
async fn registries_that_are_their_own_token_services() {
    for (host, path, service) in [
        ("harbor.acme.example", "/service/token", "harbor-registry"),
        ("acme.jfrog.io", "/v2/token", "acme.jfrog.io"),
        ("quay.io", "/v2/auth", "quay.io"),
        ("nvcr.io", "/proxy_auth", ""),
    ] {
        let internet = Internet::of(&[host], move |_, request| {
            if request.path() == path {
                return json(r#"{"token":"T","expires_in":1800}"#);
            }
            registry(request, &format!("https://{host}{path}"), service)
        })
        .await;
        let image = format!("{host}/acme/app");
        fetch(&internet, &image, given(host, basic("robot$ci", "pass"))).await.unwrap();
        let asked = &internet.requests()[1];
        assert_eq!(asked.header("authorization"), Some(shown("robot$ci", "pass").as_str()));
        let service =
            if service.is_empty() { String::new() } else { format!("service={service}&") };
        let wanted = format!("{path}?{service}scope=repository%3Aacme%2Fapp%3Apull");
        assert_eq!(asked.target, wanted);
    }
}

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const ECR_API: &str = "api.ecr.eu-central-1.amazonaws.com";
const ECR_IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/acme/app";

/// ECR with its API and STS. The API takes requests signed by `ASIA` or `AKIA`.
async fn amazon() -> Internet {
    const HOSTS: [&str; 5] = [
        ECR,
        ECR_API,
        "sts.eu-central-1.amazonaws.com",
        "public.ecr.aws",
        "api.ecr-public.us-east-1.amazonaws.com",
    ];
    Internet::of(&HOSTS, |host, request| {
        let token = STANDARD.encode("AWS:pass");
        let end = NOW + 43_200;
        match host {
            "sts.eu-central-1.amazonaws.com" => Reply::ok(
                "text/xml",
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>session==</SessionToken>\
                <SecretAccessKey>secret/+</SecretAccessKey><Expiration>2026-11-01T00:00:00Z</Expiration>\
                <AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>\
                </AssumeRoleWithWebIdentityResponse>",
            ),
            ECR_API => json(format!(
                r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{end}.5,
                "proxyEndpoint":"https://{ECR}"}}]}}"#
            )),
            "api.ecr-public.us-east-1.amazonaws.com" => json(format!(
                r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":{end}}}}}"#
            )),
            "public.ecr.aws" if request.path() == "/token/" => json(r#"{"token":"T"}"#),
            "public.ecr.aws" => {
                registry(request, "https://public.ecr.aws/token/", "public.ecr.aws")
            }
            _ if authorized(request, &shown("AWS", "pass")) => {
                Reply::ok(OCI_MANIFEST, manifest("app").0)
            }
            _ => Reply::status(401).with(
                "WWW-Authenticate",
                format!(r#"Basic realm="https://{ECR}/",service="ecr.amazonaws.com""#),
            ),
        }
    })
    .await
}

fn keys<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    keys.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn amazon_with_keys_in_the_environment() {
    let internet = amazon().await;
    fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &keys(&[]))).await.unwrap();
    let asked = &internet.to(ECR_API)[0];
    assert_eq!(asked.line(), "POST /");
    assert_eq!(asked.body, b"{}");
    let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    assert_eq!(asked.header("x-amz-target"), Some(target));
    assert_eq!(asked.header("x-amz-date"), Some("20231114T221320Z"));
    let signed = asked.header("authorization").unwrap();
    let scope = "Credential=AKIA/20231114/eu-central-1/ecr/aws4_request, ";
    let headers = "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=";
    assert!(signed.starts_with(&format!("AWS4-HMAC-SHA256 {scope}{headers}")), "{signed}");
    assert_eq!(internet.trusted(), [ECR_API, ECR]);
}

#[tokio::test]
async fn amazon_with_a_web_identity() {
    let internet = amazon().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a.jwt\n").unwrap();
    let path = file.path().display().to_string();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci"),
        ("AWS_REGION", "eu-central-1"),
    ];
    fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &variables)).await.unwrap();
    let asked = form(&internet.to("sts.eu-central-1.amazonaws.com")[0]);
    assert!(
        asked.starts_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws")
    );
    assert!(asked.ends_with("&RoleSessionName=countersign&WebIdentityToken=a.jwt"), "{asked}");
    let signed = &internet.to(ECR_API)[0];
    assert!(signed.header("authorization").unwrap().contains("Credential=ASIA/"));
    assert_eq!(signed.header("x-amz-security-token"), Some("session=="));
}

#[tokio::test]
async fn amazon_on_a_machine_and_in_a_container() {
    const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"session","Expiration":"2026-11-01T00:00:00Z"}"#;
    let metadata = Server::start(|request| {
        match (request.line().as_str(), request.header("x-aws-ec2-metadata-token")) {
            ("PUT /latest/api/token", None)
                if request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() =>
            {
                Reply::ok("text/plain", "IMDS")
            }
            ("GET /latest/meta-data/iam/security-credentials/", Some("IMDS")) => {
                Reply::ok("text/plain", "role-1")
            }
            ("GET /latest/meta-data/iam/security-credentials/role-1", Some("IMDS")) => json(KEYS),
            ("GET /container", _) if request.header("authorization") == Some("container-token") => {
                json(KEYS)
            }
            _ => Reply::status(401),
        }
    })
    .await;
    let internet = amazon().await;
    let base = metadata.url("");
    let machine = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", base.as_str())];
    fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &machine)).await.unwrap();
    let url = metadata.url("/container");
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token"),
    ];
    fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &container)).await.unwrap();
    for asked in internet.to(ECR_API) {
        assert_eq!(asked.header("x-amz-security-token"), Some("session"));
    }
    let away = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/")];
    let error = fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &away)).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Cloud { .. }));
    // A machine that is not Amazon's has nothing, and that is no failure of its own.
    let nothing = Server::start(|_| Reply::status(404)).await;
    let url = nothing.url("");
    for elsewhere in [url.as_str(), "http://127.0.0.1:1"] {
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", elsewhere)];
        let error =
            fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &variables)).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    }
}

#[tokio::test]
async fn amazons_public_registry() {
    let internet = amazon().await;
    let image = "public.ecr.aws/acme/app";
    fetch(&internet, image, cloud(CloudKind::Amazon, &keys(&[]))).await.unwrap();
    let asked = &internet.to("api.ecr-public.us-east-1.amazonaws.com")[0];
    assert_eq!(asked.header("x-amz-target"), Some("SpencerFrontendService.GetAuthorizationToken"));
    assert!(asked.header("authorization").unwrap().contains("/us-east-1/ecr-public/aws4_request"));
    let tokens = internet.to("public.ecr.aws");
    assert_eq!(tokens[1].header("authorization"), Some(shown("AWS", "pass").as_str()));
    let off = [("AWS_EC2_METADATA_DISABLED", "true")];
    fetch(&internet, image, cloud(CloudKind::Amazon, &off)).await.unwrap();
}

const PKG: &str = "europe-west1-docker.pkg.dev";

async fn google() -> Internet {
    Internet::of(&[PKG, "gcr.io", "oauth2.googleapis.com"], |host, request| match host {
        "oauth2.googleapis.com" => {
            json(r#"{"access_token":"ya29","expires_in":3599,"token_type":"Bearer"}"#)
        }
        _ if request.path() == "/v2/token"
            && authorized(request, &shown("oauth2accesstoken", "ya29")) =>
        {
            json(r#"{"expires_in":43200,"token":"T"}"#)
        }
        _ if request.path() == "/v2/token" => Reply::status(403),
        host => registry(request, &format!("https://{host}/v2/token"), host),
    })
    .await
}

#[tokio::test]
async fn google_on_a_machine() {
    let metadata = Server::start(|request| {
        let ours = request.header("metadata-flavor") == Some("Google")
            && request.target == "/computeMetadata/v1/instance/service-accounts/default/token";
        let reply = if ours {
            json(r#"{"access_token":"ya29","expires_in":3599,"token_type":"Bearer"}"#)
        } else {
            Reply::status(403)
        };
        reply.with("Metadata-Flavor", "Google")
    })
    .await;
    let internet = google().await;
    let host = metadata.host();
    let machine = [("GCE_METADATA_HOST", host.as_str())];
    fetch(&internet, &format!("{PKG}/acme/app/x"), cloud(CloudKind::Google, &machine))
        .await
        .unwrap();
    fetch(&internet, "gcr.io/acme/app", cloud(CloudKind::Google, &machine)).await.unwrap();
    // Not the metadata service, whatever it says.
    let portal = Server::start(|_| json(r#"{"access_token":"ya29"}"#)).await;
    let portal_host = portal.host();
    let other = [("GCE_METADATA_HOST", portal_host.as_str())];
    let error = fetch(&internet, "gcr.io/acme/app", cloud(CloudKind::Google, &other)).await;
    assert_kind!(error.unwrap_err(), FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    assert_eq!(portal.requests().len(), 1);
}

#[tokio::test]
async fn google_with_a_key_file() {
    let internet = google().await;
    let key = KeyPair::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let write = |token_uri: &str| {
        let json = serde_json::json!({"type": "service_account", "client_email": "ci@acme.iam",
            "private_key_id": "k1", "private_key": key.to_pem().unwrap().as_str(),
            "token_uri": token_uri, "project_id": "acme"});
        std::fs::write(file.path(), json.to_string()).unwrap();
    };
    let keychain = || cloud(CloudKind::Google, &[("GOOGLE_APPLICATION_CREDENTIALS", &path)]);
    write("https://oauth2.googleapis.com/token");
    fetch(&internet, "gcr.io/acme/app", keychain()).await.unwrap();
    let asked = form(&internet.to("oauth2.googleapis.com")[0]);
    let assertion = asked
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let message = crypto::Message::Bytes(signed.as_bytes());
    key.public_key().verify(crypto::Scheme::RsaPkcs1Sha256, message, &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "ci@acme.iam");
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(NOW), Some(NOW + 600)));
    // A key file that names another token service gets no assertion.
    let before = internet.requests().len();
    write("https://evil.example/token");
    let error = fetch(&internet, "gcr.io/acme/app", keychain()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Cloud { found, .. })
        if found == "https://evil.example/token");
    assert_eq!(internet.requests().len(), before + 1, "the registry's challenge only");
    std::fs::write(file.path(), r#"{"type":"external_account","x":"hunter2"}"#).unwrap();
    let error = fetch(&internet, "gcr.io/acme/app", keychain()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
    // `_json_key` is a login like any other.
    let known = given("gcr.io", basic("_json_key", "{}"));
    assert_kind!(
        fetch(&internet, "gcr.io/acme/app", known).await.unwrap_err(),
        FetchErrorKind::Forbidden { .. }
    );
}

const ACR: &str = "contoso.azurecr.io";

/// A registry of Azure's and its authority; forms that were posted are kept.
async fn azure() -> (Internet, Arc<Mutex<Vec<String>>>) {
    let forms = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&forms);
    let internet = Internet::of(&[ACR, "login.microsoftonline.com"], move |host, request| {
        if request.method == "POST" {
            kept.lock().unwrap().push(format!("{host}{} {}", request.path(), form(request)));
        }
        match (host, request.path()) {
            ("login.microsoftonline.com", _) => json(r#"{"access_token":"aad","expires_in":3599}"#),
            (_, "/oauth2/exchange") => json(r#"{"refresh_token":"refresh"}"#),
            (_, "/oauth2/token") => json(r#"{"access_token":"T"}"#),
            _ => registry(request, "https://contoso.azurecr.io/oauth2/token", ACR),
        }
    })
    .await;
    (internet, forms)
}

const EXCHANGE: &str = "contoso.azurecr.io/oauth2/exchange grant_type=access_token\
    &service=contoso.azurecr.io&access_token=aad";
const TOKEN: &str = "contoso.azurecr.io/oauth2/token grant_type=refresh_token&client_id=countersign\
    &service=contoso.azurecr.io&scope=repository%3Aapp%3Apull&refresh_token=refresh";

#[tokio::test]
async fn azure_with_a_service_principal_or_a_federated_token() {
    let principal = [("AZURE_TENANT_ID", "t-1"), ("AZURE_CLIENT_ID", "c")];
    for (variable, value, proof) in [
        ("AZURE_CLIENT_SECRET", "s", "client_secret=s"),
        (
            "AZURE_FEDERATED_TOKEN",
            "j.w.t",
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                &client_assertion=j.w.t",
        ),
    ] {
        let (internet, forms) = azure().await;
        let variables: Vec<_> = principal.into_iter().chain([(variable, value)]).collect();
        fetch(&internet, "contoso.azurecr.io/app", cloud(CloudKind::Azure, &variables))
            .await
            .unwrap();
        let entra = format!(
            "login.microsoftonline.com/t-1/oauth2/v2.0/token grant_type=client_credentials\
            &client_id=c&scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default&{proof}"
        );
        assert_eq!(*forms.lock().unwrap(), [&entra, &format!("{EXCHANGE}&tenant=t-1"), TOKEN]);
    }
    let (internet, _) = azure().await;
    for (name, value) in [
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com.evil.example"),
        ("AZURE_TENANT_ID", "../evil"),
    ] {
        let mut variables = principal.to_vec();
        variables.retain(|(known, _)| *known != name);
        variables.extend([("AZURE_CLIENT_SECRET", "s"), (name, value)]);
        let error =
            fetch(&internet, "contoso.azurecr.io/app", cloud(CloudKind::Azure, &variables)).await;
        assert_kind!(error.unwrap_err(), FetchErrorKind::Unauthorized(Unauthorized::Cloud { .. }));
    }
    assert!(internet.to("login.microsoftonline.com").is_empty());
}

#[tokio::test]
async fn azure_on_a_machine() {
    let metadata = Server::start(|request| {
        let wanted = "/metadata/identity/oauth2/token?api-version=2018-02-01\
            &resource=https%3A%2F%2Fcontainerregistry.azure.net&client_id=c";
        match (request.target.as_str(), request.header("metadata")) {
            (target, Some("true")) if target == wanted => json(r#"{"access_token":"aad"}"#),
            _ => Reply::status(400),
        }
    })
    .await;
    let (internet, forms) = azure().await;
    let base = metadata.url("");
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", base.as_str()), ("AZURE_CLIENT_ID", "c")];
    fetch(&internet, "contoso.azurecr.io/app", cloud(CloudKind::Azure, &machine)).await.unwrap();
    assert_eq!(*forms.lock().unwrap(), [EXCHANGE, TOKEN]);
}

/// CVE-2026-59891 and CVE-2025-27403: no cloud is asked for another host's sake.
#[tokio::test]
async fn no_cloud_is_asked_for_another_host() {
    let metadata = Server::stranger().await;
    let (base, host) = (metadata.url(""), metadata.host());
    let everything = [
        ("GITHUB_TOKEN", "ghs_x"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", base.as_str()),
        ("GCE_METADATA_HOST", host.as_str()),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", base.as_str()),
    ];
    for host in [
        "cr.io",
        "ghcr.io.evil.example",
        "evil-ghcr.io",
        "gcr.io.evil.example",
        "evil.gcr.io",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        "contoso.azurecr.io.evil.example",
    ] {
        let challenge =
            |_: &str, _: &Received| Reply::status(401).with("WWW-Authenticate", "Basic realm=x");
        let internet = Internet::of(&[host], challenge).await;
        for kind in CloudKind::ALL {
            let error = fetch(&internet, &format!("{host}/app"), cloud(kind, &everything))
                .await
                .unwrap_err();
            assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
        }
        assert!(internet.trusted().is_empty(), "{host}");
    }
    assert_eq!(metadata.lines(), [""; 0]);
}

/// A cloud's failure is not "anonymous", and says whose it is.
#[tokio::test]
async fn a_cloud_that_fails_is_an_error() {
    const HOSTS: [&str; 2] = [ECR, ECR_API];
    let internet = Internet::of(&HOSTS, |host, _| match host {
        ECR_API => Reply::status(400).body(
            r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
        ),
        _ => Reply::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await;
    let error =
        fetch(&internet, ECR_IMAGE, cloud(CloudKind::Amazon, &keys(&[]))).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Rejected { message, .. } if message.contains("invalid"));
    assert_eq!(error.host(), ECR_API);
}

/// A mirror is another host: it gets its own credentials, and is believed about digests only.
#[tokio::test]
async fn mirrors() {
    const HOSTS: [&str; 3] = ["mirror.example", "registry.example", "down.example"];
    let internet = Internet::of(&HOSTS, |host, request| {
        let (bytes, digest) = manifest("app");
        match (host, request.method.as_str()) {
            ("mirror.example", _) if !authorized(request, &shown("mirror", "m")) => {
                Reply::status(401).with("WWW-Authenticate", "Basic realm=x")
            }
            ("registry.example", "HEAD") => {
                Reply::status(200).with("Docker-Content-Digest", digest.to_string())
            }
            ("mirror.example", _) if request.path().contains("lies") => {
                Reply::ok(OCI_MANIFEST, manifest("other").0)
            }
            ("mirror.example" | "registry.example", _) => Reply::ok(OCI_MANIFEST, bytes),
            _ => Reply::status(503),
        }
    })
    .await;
    let mirrored = |rules: &[&str]| {
        let mirrors = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let keychain = given("mirror.example", basic("mirror", "m"))
            .with_credential("registry.example".parse().unwrap(), basic("ours", "o"));
        let options = client::RegistryOptions { mirrors, ..Default::default() };
        Registry::with_options(internet.http(), keychain, options)
    };
    let digest: Digest = manifest("app").1;
    let image: ImageRef = "registry.example/app:v1".parse().unwrap();
    let to = |host: &str| internet.to(host).len();
    let rules = ["registry.example=down.example", "registry.example=mirror.example/prefix"];
    let by_mirror = mirrored(&rules);
    by_mirror.fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert!(
        internet.lines().iter().any(|line| line.starts_with("mirror.example GET /v2/prefix/app/"))
    );
    assert_eq!(to("registry.example"), 0);
    by_mirror.resolve(&image, ample()).await.unwrap();
    assert_eq!(to("registry.example"), 1, "what the tag means, and no more");
    let lies = mirrored(&["registry.example=mirror.example/lies"]);
    lies.fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert_eq!(to("registry.example"), 2, "what a mirror alters comes from the registry");
    // A mirror stands for the registry that was named, and for no other.
    let before = to("mirror.example");
    let elsewhere: ImageRef = "down.example/app".parse().unwrap();
    by_mirror.fetch_manifest(&elsewhere, &digest, ample()).await.unwrap_err();
    assert_eq!(to("mirror.example"), before);
    let believed = mirrored(&["registry.example=mirror.example/lies,tags"]);
    assert_eq!(believed.resolve(&image, ample()).await.unwrap().digest, manifest("other").1);
    for request in internet.requests() {
        let host = request.header("host").unwrap();
        if let Some(shown) = request.header("authorization") {
            assert_eq!((host, shown), ("mirror.example", self::shown("mirror", "m").as_str()));
        }
    }
}

/// Where the operator lets a host do without, and nowhere else.
#[tokio::test]
async fn waivers_are_for_one_host() {
    use client::{HostSecurity, HostTransport};
    let internet = Internet::of(&["a.example", "b.example"], |_, _| {
        Reply::ok(OCI_MANIFEST, manifest("app").0)
    })
    .await;
    let with = |security| {
        let transport = HostTransport { security, ..HostTransport::default() };
        let options = HttpOptions { tls_trust: client::TlsTrust::System, ..internet.options() };
        Arc::new(Http::new(options.with_host("a.example".parse().unwrap(), transport)).unwrap())
    };
    for (security, a) in [
        (HostSecurity::Verified, false),
        (HostSecurity::CertificateUnchecked, true),
        (HostSecurity::Anything, true),
    ] {
        let http = with(security);
        for (image, wanted) in
            [("a.example/app", a), ("b.example/app", false), ("a.example:444/app", false)]
        {
            let found = fetch_by(Arc::clone(&http), image, Keychain::default()).await;
            assert_eq!(found.is_ok(), wanted, "{security:?} {image}");
        }
    }
}
