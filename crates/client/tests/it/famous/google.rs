//! Google: Artifact Registry.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::credentials::cloud::CloudKind;
use client::error::{FetchErrorKind, Unauthorized};
use crypto::{KeyKind, KeyPair, Signer};

use super::{NOW, authorized, basic, cloud, fetch, form, given, json, registry, shown};
use crate::assert_kind;
use crate::internet::Internet;
use crate::server::{Reply, Server};

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
