//! Amazon's registries: keys from the environment, a web identity, a container or the machine,
//! made into a password for the registry by `GetAuthorizationToken`.
//!
//! "Private registry authentication" (ECR user guide), `GetAuthorizationToken` (ECR and ECR Public
//! API references), `AssumeRoleWithWebIdentity` (STS API reference), "Container credential
//! provider" and "IMDS credential provider" (AWS SDKs reference guide). Profiles in `~/.aws` are
//! not read: for people there is `docker-credential-ecr-login`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::RegistryHost;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::signature::{Keys, Signed};
use super::{ANSWER_SIZE_MAX, Context, fresh, get, post};
use crate::credentials::{Basic, Credential, NoOffer, Offer};
use crate::http::{Answer, Request};
use crate::secret::Secret;

/// Where ECR Public is, whose API is in one region only.
const PUBLIC_HOST: &str = "public.ecr.aws";
const PUBLIC_REGION: &str = "us-east-1";

const INSTANCE_METADATA: &str = "http://169.254.169.254";
const CONTAINER_METADATA: &str = "http://169.254.170.2";

/// Hosts that a container's credentials may be fetched from without TLS: loopback apart, Amazon's
/// own link-local ones for ECS and EKS.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// How long a session token of the machine's metadata service shall serve, in seconds.
const METADATA_SESSION_S: &str = "60";

const JSON_1_1: &str = "application/x-amz-json-1.1";

/// A registry of Amazon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    region: String,
    /// `amazonaws.com`, or what it is in the partition.
    domain: &'static str,
    public: bool,
    /// FIPS endpoints are other hosts.
    fips: bool,
}

impl Place {
    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com` in all its forms, or the public registry.
    pub(super) fn of(host: &RegistryHost) -> Option<Self> {
        let host = host.as_str();
        if host == PUBLIC_HOST {
            let region = PUBLIC_REGION.to_owned();
            return Some(Self { region, domain: "amazonaws.com", public: true, fips: false });
        }
        let (account, rest) = host.split_once(".dkr.")?;
        let (fips, rest) = match rest.strip_prefix("ecr-fips.") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix("ecr.")?),
        };
        let (region, domain) = rest.split_once('.')?;
        let domain =
            ["amazonaws.com", "amazonaws.com.cn"].into_iter().find(|ours| *ours == domain)?;
        let account_is_one =
            account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (account_is_one && is_region(region)).then(|| Self {
            region: region.to_owned(),
            domain,
            public: false,
            fips,
        })
    }

    fn api_host(&self) -> String {
        let (region, domain) = (&self.region, self.domain);
        match (self.public, self.fips) {
            (true, _) => format!("api.ecr-public.{region}.{domain}"),
            (false, false) => format!("api.ecr.{region}.{domain}"),
            (false, true) => format!("ecr-fips.{region}.{domain}"),
        }
    }
}

/// `us-east-1`, `us-gov-west-1`, `ap-southeast-4`.
fn is_region(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let parts: Vec<_> = text.split('-').collect();
    match parts.as_slice() {
        [area @ .., number] if area.len() >= 2 => {
            area.iter().all(|part| plain(part))
                && !number.is_empty()
                && number.len() <= 2
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: Secret,
    #[serde(default)]
    expires_at: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrivateAnswer {
    authorization_data: Vec<Authorization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicAnswer {
    authorization_data: Authorization,
}

/// Keys as the metadata services of machines and containers give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeysJson {
    access_key_id: String,
    secret_access_key: Secret,
    token: Secret,
}

pub(super) async fn offer(context: &Context<'_>, place: &Place) -> Result<Offer, NoOffer> {
    let Some(keys) = keys(context, place).await? else { return Ok(None) };
    let (service, target) = if place.public {
        ("ecr-public", "SpencerFrontendService.GetAuthorizationToken")
    } else {
        ("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
    };
    let (host, body) = (place.api_host(), "{}");
    let signed = Signed {
        host: &host,
        region: &place.region,
        service,
        headers: &[("content-type", JSON_1_1), ("x-amz-target", target)],
        body: body.as_bytes(),
    };
    let headers = signed
        .sign(&keys, context.now())
        .ok_or_else(|| context.unusable("keys that can stand in a header", "others"))?;
    let url = context.url("a region", &format!("https://{host}/"))?;
    let mut request = Request::new(Method::POST, url)
        .wanting("an authorization token", ANSWER_SIZE_MAX)
        .repeatable()
        .header(CONTENT_TYPE, HeaderValue::from_static(JSON_1_1))
        .header(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target))
        .body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = context.ask(request).await?;
    let wanted = "an authorization token";
    let authorization = if place.public {
        context.read::<PublicAnswer>(&answer, wanted)?.authorization_data
    } else {
        let answered = context.read::<PrivateAnswer>(&answer, wanted)?;
        let mut data = answered.authorization_data.into_iter();
        data.next().ok_or_else(|| answer.malformed(wanted, "an empty list"))?
    };
    let basic = password(&authorization.authorization_token)
        .ok_or_else(|| answer.malformed("base64 of `user:password` as token", "something else"))?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let left = authorization.expires_at.map(|end| end - context.now().seconds() as f64);
    let lifetime = left.map(|left| Duration::try_from_secs_f64(left).unwrap_or_default());
    Ok(Some(fresh(Credential::Basic(basic), lifetime)))
}

fn password(token: &Secret) -> Option<Basic> {
    let decoded = Zeroizing::new(STANDARD.decode(token.expose()).ok()?);
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) })
}

/// Keys from the first place that has some, in the order in which Amazon's own programs look.
async fn keys(context: &Context<'_>, place: &Place) -> Result<Option<Keys>, NoOffer> {
    if let (Some(id), Some(secret)) =
        (context.variable("AWS_ACCESS_KEY_ID"), context.secret("AWS_SECRET_ACCESS_KEY"))
    {
        let session = context.secret("AWS_SESSION_TOKEN").cloned();
        return Ok(Some(Keys { id: id.to_owned(), secret: secret.clone(), session }));
    }
    if let (Some(path), Some(role)) =
        (context.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), context.variable("AWS_ROLE_ARN"))
    {
        return assume_role(context, place, path, role).await.map(Some);
    }
    if let Some(url) = container_url(context)? {
        return container_keys(context, url).await.map(Some);
    }
    let disabled = context.variable("AWS_EC2_METADATA_DISABLED");
    if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    instance_keys(context).await
}

/// `AssumeRoleWithWebIdentity`, as EKS and CI systems with an OIDC issuer are set up for.
async fn assume_role(
    context: &Context<'_>,
    place: &Place,
    path: &str,
    role: &str,
) -> Result<Keys, NoOffer> {
    let token = context.file("a web identity token", path)?;
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let region =
        region.into_iter().find_map(|name| context.variable(name)).unwrap_or(&place.region);
    if !is_region(region) {
        return Err(context.unusable("a region in AWS_REGION", region));
    }
    let url = context.url("a region", &format!("https://sts.{region}.{}/", place.domain))?;
    let session = context.variable("AWS_ROLE_SESSION_NAME").unwrap_or("countersign");
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose()),
    ];
    let answer = context.ask(post(url, "keys of a role", form)).await?;
    let field = |name| {
        element(&answer.body, name)
            .ok_or_else(|| answer.malformed("keys of a role in XML", "something else"))
    };
    Ok(Keys {
        id: field("AccessKeyId")?,
        secret: Secret::new(field("SecretAccessKey")?),
        session: Some(Secret::new(field("SessionToken")?)),
    })
}

/// The text of the one element of that name. STS answers in XML; what is read of it are keys, which
/// are base64 and have no references in them.
fn element(xml: &[u8], name: &str) -> Option<String> {
    let xml = std::str::from_utf8(xml).ok()?;
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = xml.split_once(&begin)?;
    let (text, rest) = rest.split_once(&end)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.".contains(&byte);
    let text = text.trim();
    (!text.is_empty() && text.bytes().all(plain) && !rest.contains(&begin)).then(|| text.to_owned())
}

/// Where a container's credentials are, if it has any.
fn container_url(context: &Context<'_>) -> Result<Option<Url>, NoOffer> {
    let wanted = "a URL on loopback, of ECS or EKS, or with https";
    if let Some(path) = context.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        if !path.starts_with('/') {
            return Err(context.unusable("a path in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path));
        }
        return context.url(wanted, &format!("{CONTAINER_METADATA}{path}")).map(Some);
    }
    let Some(text) = context.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        return Ok(None);
    };
    let url = context.url(wanted, text)?;
    let plain = url.scheme() == "http"
        && (crate::address::is_loopback(&url)
            || url.host_str().is_some_and(|host| CONTAINER_HOSTS.contains(&host)));
    if plain || url.scheme() == "https" {
        return Ok(Some(url));
    }
    Err(context.unusable(wanted, text))
}

async fn container_keys(context: &Context<'_>, url: Url) -> Result<Keys, NoOffer> {
    let token = match context.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(context.file("a token of the container", path)?),
        None => context.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN").cloned(),
    };
    let mut request = get(url, "keys of the container");
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| context.unusable("a token of the container", "no header's text"))?;
        value.set_sensitive(true);
        request = request.authorized(Some(value));
    }
    let answer = context.ask(request).await?;
    read_keys(context, &answer)
}

/// The keys of the machine's role, by the second version of its metadata service.
async fn instance_keys(context: &Context<'_>) -> Result<Option<Keys>, NoOffer> {
    let base = context.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(INSTANCE_METADATA);
    let url = |path: &str| {
        let base = base.trim_end_matches('/');
        context.url("a URL in AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("{base}/latest/{path}"))
    };
    let ttl = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
    let start = Request::new(Method::PUT, url("api/token")?)
        .wanting("a session of the metadata service", ANSWER_SIZE_MAX)
        .header(ttl, HeaderValue::from_static(METADATA_SESSION_S));
    let Some(session) = context.ask_metadata(start).await? else { return Ok(None) };
    let mut token = HeaderValue::from_bytes(session.body.trim_ascii())
        .map_err(|_| session.malformed("a session of the metadata service", "no header's text"))?;
    token.set_sensitive(true);
    let header = HeaderName::from_static("x-aws-ec2-metadata-token");
    let request = |path: &str| {
        Ok::<_, NoOffer>(
            get(url(path)?, "keys of the machine").header(header.clone(), token.clone()),
        )
    };
    let roles = "meta-data/iam/security-credentials/";
    let Some(list) = context.ask_metadata(request(roles)?).await? else { return Ok(None) };
    let role = String::from_utf8_lossy(&list.body);
    let role = role.lines().next().unwrap_or_default().trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if role.is_empty() || role.len() > 64 || !role.bytes().all(plain) {
        return Err(list.malformed("the name of a role", role).into());
    }
    let Some(answer) = context.ask_metadata(request(&format!("{roles}{role}"))?).await? else {
        return Ok(None);
    };
    read_keys(context, &answer).map(Some)
}

fn read_keys(context: &Context<'_>, answer: &Answer) -> Result<Keys, NoOffer> {
    let KeysJson { access_key_id: id, secret_access_key: secret, token } =
        context.read(answer, "keys with a session token")?;
    Ok(Keys { id, secret, session: Some(token) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amazons_hosts_are_amazons() {
        let api = |host: &str| Some(Place::of(&host.parse().ok()?)?.api_host());
        let ours = [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "api.ecr.us-east-1.amazonaws.com"),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "ecr-fips.us-gov-west-1.amazonaws.com",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "api.ecr.cn-north-1.amazonaws.com.cn",
            ),
            ("public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com"),
        ];
        for (host, wanted) in ours {
            assert_eq!(api(host).as_deref(), Some(wanted), "{host}");
        }
        for host in [
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
            "12345678901a.dkr.ecr.us-east-1.amazonaws.com",
            "x.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:5000",
            "123456789012.dkr.ecr.us-east-1.amazonaws.org",
            "123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
            "123456789012.dkr.ecr.us.amazonaws.com",
            "123456789012.dkr.ecr.us-east-x.amazonaws.com",
            "123456789012.dkr.s3.us-east-1.amazonaws.com",
            "123456789012.dkrxecr.us-east-1.amazonaws.com",
            "evil-public.ecr.aws",
            "public.ecr.aws.evil.example",
            "ghcr.io",
        ] {
            assert_eq!(api(host), None, "{host}");
        }
    }

    #[test]
    fn elements_are_read_once_and_plainly() {
        let xml = b"<R><AccessKeyId>AKIA</AccessKeyId><SessionToken> a+/=\n</SessionToken></R>";
        assert_eq!(element(xml, "AccessKeyId").as_deref(), Some("AKIA"));
        assert_eq!(element(xml, "SessionToken").as_deref(), Some("a+/="));
        for bad in
            ["<R></R>", "<K></K>", "<K>a&amp;b</K>", "<K><x/></K>", "<K>a</K><K>b</K>", "<K>a"]
        {
            assert_eq!(element(bad.as_bytes(), "K"), None, "{bad}");
        }
    }
}
