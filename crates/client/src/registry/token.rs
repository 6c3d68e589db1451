//! Bearer tokens: whose token service is asked, for what, and for how long its answer serves.
//!
//! The distribution project's "Token Authentication Specification", "OAuth2 Token Authentication"
//! and "Token Scope Documentation". The realm is the registry's word and nobody else's, so it is
//! asked only where it is the registry itself, a token service that is publicly known to be its, or
//! one that the operator has named; a request to any other place would tell it what is looked at
//! here, and could be a request into a private network (CVE-2020-15157 and its kin).

use std::str::FromStr;
use std::time::Duration;

use evidence::{ImageRef, RegistryHost};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Registry;
use super::authorization::{self, BearerDemand};
use crate::address::{self, BadUrl, ServiceUrl};
use crate::credentials::Credential;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind, RealmProblem, TimeLimit, Unauthorized};
use crate::http::Request;
use crate::kept::Fresh;
use crate::secret::Secret;

/// Longest answer of a token service read, in bytes. The longest tokens, of services that list a
/// user's groups in them, have about 8 KiB.
const TOKEN_ANSWER_SIZE_MAX: u64 = 64 * 1024;

/// How long a token serves that does not say so: "for compatibility with older clients, a token
/// should never be returned with less than 60 seconds to live".
const LIFETIME_DEFAULT: Duration = Duration::from_secs(60);

/// Longest time that a token is kept, whatever it says.
const LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);

/// What this program calls itself to a token service (OAuth2 requires a name).
const CLIENT_ID: &str = "countersign";

/// Token services that answer for a registry on another host, each from its operator's own
/// documentation: a registry's endpoint and the origin of its service.
const KNOWN_REALMS: [(&str, &str); 3] = [
    // "Token Authentication Specification", whose example it is.
    ("registry-1.docker.io", "https://auth.docker.io"),
    // GitLab's token endpoint is part of GitLab itself, at `/jwt/auth`.
    ("registry.gitlab.com", "https://gitlab.com"),
    // hashicorp/terraform-provider-docker#243 quotes the challenge.
    ("docker.elastic.co", "https://docker-auth.elastic.co"),
];

/// What is about to be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// Nothing in particular: to see whether credentials are taken.
    Nothing,
    Pull,
    /// Reading what was written included.
    Push,
    Delete,
}

impl Access {
    /// The access that a request needs if it stands alone.
    pub(super) fn of(method: &Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Pull,
            "DELETE" => Self::Delete,
            _ => Self::Push,
        }
    }

    /// Pushing comes first: some token services look at the first action only.
    fn actions(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Pull => "pull",
            Self::Push => "push,pull",
            Self::Delete => "push,pull,delete",
        }
    }
}

/// What a request is allowed to do, in terms of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access: Access,
    /// Another repository of the same registry that is read from, for mounts.
    pub(super) from: Option<String>,
}

impl Scope {
    pub(super) fn of(method: &Method) -> Self {
        Self { access: Access::of(method), from: None }
    }

    /// The scopes to ask for. The one that is written to comes first, because some token services
    /// look at the first one only.
    fn texts(&self, image: &ImageRef, challenge: &BearerDemand) -> Vec<String> {
        if self.access == Access::Nothing {
            return Vec::new();
        }
        let own = format!("repository:{}:{}", image.repository(), self.access.actions());
        let mut scopes = vec![own];
        scopes.extend(self.from.iter().map(|from| format!("repository:{from}:pull")));
        let same = |one: &str, other: &str| {
            let sorted = |text: &str| {
                let (name, actions) = text.rsplit_once(':').unwrap_or((text, ""));
                let mut actions: Vec<_> = actions.split(',').map(str::to_owned).collect();
                actions.sort();
                (name.to_owned(), actions)
            };
            sorted(one) == sorted(other)
        };
        // What the registry says it needs, where that is something else: repositories may have
        // another name to its token service than in its URLs.
        for wanted in challenge.usable_scope().into_iter().flat_map(|scope| scope.split(' ')) {
            if !wanted.is_empty() && !scopes.iter().any(|scope| same(scope, wanted)) {
                scopes.push(wanted.to_owned());
            }
        }
        scopes
    }
}

/// A token service of another host that the operator vouches for: `HOST=https://REALM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRealm {
    /// The registry that may name it.
    pub registry: RegistryHost,
    /// Its scheme, host and port; a path says nothing.
    pub service: ServiceUrl,
}

/// Why text names no [`TokenRealm`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenRealmError {
    /// No `=`.
    #[error("wanted HOST=URL, such as `registry.example=https://auth.example`")]
    Syntax,
    /// No registry before the `=`.
    #[error("the registry")]
    Registry(#[from] evidence::image::ParseHostError),
    /// No URL of a service behind it.
    #[error("the token service")]
    Service(#[from] BadUrl),
}

impl FromStr for TokenRealm {
    type Err = ParseTokenRealmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (registry, service) = text.split_once('=').ok_or(ParseTokenRealmError::Syntax)?;
        Ok(Self { registry: registry.parse()?, service: service.parse()? })
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    access_token: Option<Secret>,
    #[serde(default)]
    expires_in: Option<Value>,
}

impl Registry {
    /// A token for a request, kept from an earlier one or new, and the name under which it is kept.
    pub(super) async fn token(
        &self,
        image: &ImageRef,
        demand: &BearerDemand,
        scope: &Scope,
        credential: Option<&Credential>,
        deadline: Deadline,
    ) -> Result<(Secret, String), FetchError> {
        let realm = self.realm(image, demand)?;
        let scopes = scope.texts(image, demand);
        // All that the token depends on, in one name: whom it is for, from whom, for what.
        let user = credential.map_or_else(String::new, Credential::fingerprint);
        let service = demand.service.as_deref().unwrap_or_default();
        let name = [image.registry().as_str(), realm.as_str(), service, &scopes.join(" "), &user]
            .join("\n");
        let request = token_request(realm, service, &scopes, credential);
        let late = || request.error(FetchErrorKind::TimedOut(TimeLimit::Operation));
        let fetch = self.fetch_token(&request, credential, deadline);
        Ok((self.tokens.get(&name, deadline, late, fetch).await?, name))
    }

    async fn fetch_token(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        deadline: Deadline,
    ) -> Result<Fresh<Secret>, FetchError> {
        let asked = Instant::now();
        let answer = self.http.send(request, deadline).await?;
        if matches!(answer.status.as_u16(), 401 | 403) && credential.is_none() {
            return Err(answer.error(Unauthorized::NoCredentials));
        }
        let answer = answer.wanted(&[200])?;
        let wanted = "a token";
        let malformed = |found: &str| answer.malformed(wanted, found);
        // What it says is not quoted: it may hold a token.
        let TokenAnswer { token, access_token, expires_in } = crate::json::parse(&answer.body)
            .map_err(|error| malformed(&format!("{:?} error in JSON", error.classify())))?;
        let there = |token: &Secret| !token.expose().is_empty();
        let token = token.filter(there).or(access_token.filter(there));
        let token = token.ok_or_else(|| malformed("an answer without one"))?;
        if token.to_authorization("Bearer").is_none() {
            return Err(malformed("one that cannot stand in a header"));
        }
        let said = expires_in.as_ref().and_then(Value::as_u64).map(Duration::from_secs);
        let lifetime = said.unwrap_or(LIFETIME_DEFAULT).clamp(LIFETIME_DEFAULT, LIFETIME_MAX);
        // A tenth is left for the way there, and for clocks that do not run alike.
        Ok(Fresh { value: token, until: Some(asked + lifetime.mul_f32(0.9)) })
    }

    /// The token service's URL, if it may be asked.
    fn realm(&self, image: &ImageRef, demand: &BearerDemand) -> Result<Url, FetchError> {
        let base = self.base(image)?;
        check_realm(&demand.realm, &base, image.registry(), &self.options.token_realms).map_err(
            |reason| {
                let refused = Unauthorized::RealmRefused { realm: demand.shown(), reason };
                Request::new(Method::GET, base).error(refused)
            },
        )
    }
}

/// The request for a token: `GET` with the password, if there is one, or OAuth2's `POST` with a
/// refresh token.
fn token_request(
    realm: Url,
    service: &str,
    scopes: &[String],
    credential: Option<&Credential>,
) -> Request {
    const WHAT: &str = "a token";
    let service = (!service.is_empty()).then_some(("service", service));
    if let Some(Credential::Identity { token }) = credential {
        let scopes = scopes.join(" ");
        let form = address::form(
            [("grant_type", "refresh_token"), ("client_id", CLIENT_ID)]
                .into_iter()
                .chain(service)
                .chain([("scope", scopes.as_str()), ("refresh_token", token.expose())]),
        );
        let encoding = HeaderValue::from_static("application/x-www-form-urlencoded");
        return Request::new(Method::POST, realm)
            .wanting(WHAT, TOKEN_ANSWER_SIZE_MAX)
            .repeatable()
            .header(CONTENT_TYPE, encoding)
            .body(form);
    }
    let mut url = realm;
    url.query_pairs_mut()
        .extend_pairs(service)
        .extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
    let password = match credential {
        Some(Credential::Basic(basic)) => Some(authorization::basic(basic)),
        _ => None,
    };
    Request::new(Method::GET, url)
        .wanting(WHAT, TOKEN_ANSWER_SIZE_MAX)
        .repeatable()
        .authorized(password)
}

/// Whether a realm may be asked: on the registry's own origin, or at one that is known or said to
/// belong to it. Never less secure than the registry.
fn check_realm(
    realm: &str,
    base: &Url,
    registry: &RegistryHost,
    vouched: &[TokenRealm],
) -> Result<Url, RealmProblem> {
    if realm.len() > address::URL_SIZE_MAX {
        return Err(RealmProblem::NotAUrl);
    }
    let url: Url = realm.parse().map_err(|_| RealmProblem::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.fragment().is_some() {
        return Err(RealmProblem::NotAUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RealmProblem::UserInfo);
    }
    if url.scheme() == "http" && base.scheme() == "https" {
        return Err(RealmProblem::PlainHttp);
    }
    if url.origin() == base.origin() {
        return Ok(url);
    }
    let origin = url.origin().ascii_serialization();
    let known = KNOWN_REALMS
        .iter()
        .any(|(endpoint, service)| *endpoint == registry.endpoint() && *service == origin);
    let vouched = vouched.iter().any(|realm| {
        realm.registry == *registry && realm.service.as_url().origin() == url.origin()
    });
    if known || vouched { Ok(url) } else { Err(RealmProblem::OtherHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms() {
        let vouched =
            ["registry.example=https://auth.example", "127.0.0.1:5000=http://127.0.0.1:5001"]
                .map(|text| text.parse().expect("a realm"));
        let cases = [
            ("ghcr.io", "https://ghcr.io/token", Ok(())),
            ("ghcr.io", "https://ghcr.io:443/token", Ok(())),
            ("docker.io", "https://auth.docker.io/token", Ok(())),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", Ok(())),
            ("registry.example", "https://auth.example/x?y=z", Ok(())),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/token", Ok(())),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token", Ok(())),
            ("ghcr.io", "https://auth.docker.io/token", Err(RealmProblem::OtherHost)),
            ("docker.io", "https://auth.docker.io.evil.example/", Err(RealmProblem::OtherHost)),
            ("docker.io", "https://auth.docker.io:8443/", Err(RealmProblem::OtherHost)),
            ("docker.io", "https://evil.example/auth.docker.io", Err(RealmProblem::OtherHost)),
            (
                "registry.gitlab.com",
                "https://gitlab.com.evil.example/",
                Err(RealmProblem::OtherHost),
            ),
            ("gitlab.example", "https://gitlab.com/jwt/auth", Err(RealmProblem::OtherHost)),
            ("ghcr.io", "https://ghcr.io:8443/token", Err(RealmProblem::OtherHost)),
            ("ghcr.io:5000", "https://ghcr.io/token", Err(RealmProblem::OtherHost)),
            ("127.0.0.1:5000", "http://127.0.0.1:5002/token", Err(RealmProblem::OtherHost)),
            ("127.0.0.1:5000", "http://169.254.169.254/", Err(RealmProblem::OtherHost)),
            ("ghcr.io", "https://169.254.169.254/", Err(RealmProblem::OtherHost)),
            ("ghcr.io", "http://ghcr.io/token", Err(RealmProblem::PlainHttp)),
            ("docker.io", "http://auth.docker.io/token", Err(RealmProblem::PlainHttp)),
            ("ghcr.io", "https://u:p@ghcr.io/token", Err(RealmProblem::UserInfo)),
            ("ghcr.io", "https://ghcr.io@evil.example/token", Err(RealmProblem::UserInfo)),
            ("ghcr.io", "https://ghcr.io/token#x", Err(RealmProblem::NotAUrl)),
            ("ghcr.io", "file:///etc/passwd", Err(RealmProblem::NotAUrl)),
            ("ghcr.io", "/token", Err(RealmProblem::NotAUrl)),
            ("ghcr.io", "", Err(RealmProblem::NotAUrl)),
        ];
        for (host, realm, wanted) in cases {
            let registry: RegistryHost = host.parse().expect("a registry");
            let base = address::of_registry(&registry).expect("a URL");
            let found = check_realm(realm, &base, &registry, &vouched).map(|_| ());
            assert_eq!(found, wanted, "{realm} for {host}");
        }
        let long = format!("https://ghcr.io/{}", "x".repeat(address::URL_SIZE_MAX));
        let registry: RegistryHost = "ghcr.io".parse().expect("a registry");
        let base = address::of_registry(&registry).expect("a URL");
        assert_eq!(check_realm(&long, &base, &registry, &[]), Err(RealmProblem::NotAUrl));
    }

    #[test]
    fn scopes() {
        let image: ImageRef = "ghcr.io/acme/app".parse().expect("an image");
        let texts = |access, from: Option<&str>, challenge: Option<&str>| {
            let demand =
                BearerDemand { scope: challenge.map(str::to_owned), ..BearerDemand::default() };
            Scope { access, from: from.map(str::to_owned) }.texts(&image, &demand)
        };
        let (pull, push) = ("repository:acme/app:pull", "repository:acme/app:push,pull");
        assert_eq!(texts(Access::Pull, None, None), [pull]);
        assert_eq!(texts(Access::Pull, None, Some(pull)), [pull]);
        assert_eq!(texts(Access::Push, None, Some("repository:acme/app:pull,push")), [push]);
        assert_eq!(
            texts(Access::Push, Some("acme/base"), None),
            [push, "repository:acme/base:pull"]
        );
        assert_eq!(
            texts(Access::Pull, None, Some("repository:docker-local/acme/app:pull")),
            [pull, "repository:docker-local/acme/app:pull"]
        );
        assert_eq!(texts(Access::Delete, None, None), ["repository:acme/app:push,pull,delete"]);
    }
}
