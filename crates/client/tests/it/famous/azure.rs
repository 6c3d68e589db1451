//! Azure: container registries.

use std::sync::{Arc, Mutex};

use client::credentials::cloud::CloudKind;
use client::error::{FetchErrorKind, Unauthorized};

use super::{cloud, fetch, form, json, registry};
use crate::assert_kind;
use crate::internet::Internet;
use crate::server::{Reply, Server};

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
