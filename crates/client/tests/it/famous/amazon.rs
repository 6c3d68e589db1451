//! Amazon: private and public registries.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::credentials::cloud::CloudKind;
use client::error::{FetchErrorKind, Unauthorized};

use super::{NOW, authorized, cloud, fetch, form, json, registry, shown};
use crate::internet::Internet;
use crate::server::{Reply, Server};
use crate::{OCI_MANIFEST, assert_kind, manifest};

pub(super) const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
pub(super) const ECR_API: &str = "api.ecr.eu-central-1.amazonaws.com";
pub(super) const ECR_IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/acme/app";

/// ECR with its API and STS. The API takes requests signed by `ASIA` or `AKIA`.
pub(super) async fn amazon() -> Internet {
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

pub(super) fn keys<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
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
