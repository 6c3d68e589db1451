//! What is for one host reaches no other.

use std::sync::Arc;

use client::credentials::cloud::CloudKind;
use client::error::{FetchErrorKind, Unauthorized};
use client::{Http, HttpOptions, Keychain, Registry};
use evidence::{Digest, ImageRef};

use super::amazon::{ECR, ECR_API, ECR_IMAGE, keys};
use super::{authorized, basic, cloud, fetch, fetch_by, given, shown};
use crate::internet::Internet;
use crate::server::{Received, Reply, Server};
use crate::{OCI_MANIFEST, ample, assert_kind, manifest};

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
