//! Azure's registries: an Entra ID token of a service principal, a federated identity or the
//! machine, exchanged at the registry for a refresh token, which its token service takes.
//!
//! "Azure Container Registry integration with Azure Active Directory" (azure.github.io/acr), "The
//! OAuth 2.0 client credentials flow" (Microsoft identity platform), and the identity endpoint of
//! the instance metadata service.

use evidence::RegistryHost;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{Context, fresh, get, post};
use crate::credentials::{Credential, NoOffer, Offer};
use crate::secret::Secret;

const METADATA: &str = "http://169.254.169.254";

/// What a token is for that registries take even where those for the resource manager are refused.
const AUDIENCE: &str = "https://containerregistry.azure.net";

/// The hosts where Entra ID gives tokens: of the public cloud, and of the sovereign ones.
const AUTHORITIES: [&str; 4] = [
    "https://login.microsoftonline.com",
    "https://login.microsoftonline.us",
    "https://login.chinacloudapi.cn",
    "https://login.partner.microsoftonline.cn",
];

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether a host is one of Azure's registries: `NAME.azurecr.io` and its sovereign sisters.
pub(super) fn is_registry(host: &RegistryHost) -> bool {
    let name = [".azurecr.io", ".azurecr.us", ".azurecr.cn"]
        .into_iter()
        .find_map(|domain| host.as_str().strip_suffix(domain));
    // Names have 5 to 50 letters and digits, and since 2024 perhaps a hyphen and a hash.
    name.is_some_and(|name| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (5..=63).contains(&name.len()) && name.bytes().all(plain)
    })
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: Secret,
}

#[derive(Deserialize)]
struct RefreshToken {
    refresh_token: Secret,
}

pub(super) async fn offer(context: &Context<'_>, host: &RegistryHost) -> Result<Offer, NoOffer> {
    let tenant = context.variable("AZURE_TENANT_ID");
    let token = match (tenant, context.variable("AZURE_CLIENT_ID")) {
        (Some(tenant), Some(client)) => match proof(context)? {
            Some(proof) => Some(entra(context, tenant, client, &proof).await?),
            None => machine(context, Some(client)).await?,
        },
        (_, client) => machine(context, client).await?,
    };
    let Some(AccessToken { access_token }) = token else { return Ok(None) };
    let url = context.url("a registry", &format!("https://{host}/oauth2/exchange"))?;
    let form = [
        ("grant_type", "access_token"),
        ("service", host.as_str()),
        ("access_token", access_token.expose()),
    ];
    let form = form.into_iter().chain(tenant.map(|tenant| ("tenant", tenant)));
    let answer = context.ask(post(url, "a refresh token", form)).await?;
    let RefreshToken { refresh_token } = context.read(&answer, "a refresh token")?;
    // Refresh tokens serve for three hours; nothing in the answer says so.
    let lifetime = std::time::Duration::from_secs(60 * 60);
    Ok(Some(fresh(Credential::Identity { token: refresh_token }, Some(lifetime))))
}

/// What shows that we are the client.
enum Proof {
    Secret(Secret),
    Assertion(Secret),
}

fn proof(context: &Context<'_>) -> Result<Option<Proof>, NoOffer> {
    if let Some(secret) = context.secret("AZURE_CLIENT_SECRET") {
        return Ok(Some(Proof::Secret(secret.clone())));
    }
    if let Some(token) = context.secret("AZURE_FEDERATED_TOKEN") {
        return Ok(Some(Proof::Assertion(token.clone())));
    }
    let Some(path) = context.variable("AZURE_FEDERATED_TOKEN_FILE") else { return Ok(None) };
    Ok(Some(Proof::Assertion(context.file("a federated token", path)?)))
}

async fn entra(
    context: &Context<'_>,
    tenant: &str,
    client: &str,
    proof: &Proof,
) -> Result<AccessToken, NoOffer> {
    let authority = context.variable("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITIES[0]);
    let authority = authority.trim_end_matches('/');
    if !AUTHORITIES.contains(&authority) {
        return Err(context.unusable("a host of Entra ID in AZURE_AUTHORITY_HOST", authority));
    }
    // A UUID or a domain; it becomes a part of the path.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !tenant.bytes().all(plain) || tenant.starts_with('.') {
        return Err(context.unusable("a tenant in AZURE_TENANT_ID", tenant));
    }
    let url = context.url("a tenant", &format!("{authority}/{tenant}/oauth2/v2.0/token"))?;
    let scope = format!("{AUDIENCE}/.default");
    let form = [("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
    let shown: &[(&str, &str)] = match proof {
        Proof::Secret(secret) => &[("client_secret", secret.expose())],
        Proof::Assertion(token) => {
            &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.expose())]
        }
    };
    let request = post(url, "an access token", form.into_iter().chain(shown.iter().copied()));
    let answer = context.ask(request).await?;
    Ok(context.read(&answer, "an access token")?)
}

/// The machine's own identity, or the one of that client that it has been given.
async fn machine(
    context: &Context<'_>,
    client: Option<&str>,
) -> Result<Option<AccessToken>, NoOffer> {
    // The variable by which Azure's own libraries find a stand-in for the metadata service.
    let base = context.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA);
    let base = base.trim_end_matches('/');
    let mut url: Url = context.url(
        "a URL in AZURE_POD_IDENTITY_AUTHORITY_HOST",
        &format!("{base}/metadata/identity/oauth2/token"),
    )?;
    url.query_pairs_mut()
        .append_pair("api-version", "2018-02-01")
        .append_pair("resource", AUDIENCE)
        .extend_pairs(client.map(|client| ("client_id", client)));
    let request = get(url, "an access token")
        .header(HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
    let Some(answer) = context.ask_metadata(request).await? else { return Ok(None) };
    Ok(Some(context.read(&answer, "an access token")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_azures_hosts_are_azures() {
        let is = |host: &str| host.parse().is_ok_and(|host| is_registry(&host));
        for host in ["contoso.azurecr.io", "contoso2.azurecr.us", "contoso-a1b2.azurecr.cn"] {
            assert!(is(host), "{host}");
        }
        for host in [
            "azurecr.io",
            "abcd.azurecr.io",
            "contoso.azurecr.io.evil.example",
            "contoso.evil.azurecr.io",
            "contoso.azurecr.io:5000",
            "contosoazurecr.io",
            "contoso.xazurecr.io",
            "mcr.microsoft.com",
        ] {
            assert!(!is(host), "{host}");
        }
    }
}
