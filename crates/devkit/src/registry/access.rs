//! Who may do what: basic authentication, and bearer tokens with scopes.
//!
//! RFC 7617, RFC 6750, and the distribution project's "Token Authentication Specification" and
//! "OAuth2 Token Authentication" and "Token Scope Documentation". Tokens are opaque here and kept in
//! a list. The token endpoint has the `GET` form, with a password, and OAuth2's `POST` form, with a
//! password or a refresh token.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::behaviour::{Access, Credentials};
use super::reply::{ErrorCode, Refusal};
use super::route::Route;
use super::{Call, RegistryState, TOKEN_PATH, parse_query};

/// Tokens valid at once; the oldest makes room.
const TOKENS_MAX: usize = 4096;

/// Scopes read in one token request; the specification sets no limit.
const SCOPES_MAX: usize = 64;

/// Refresh tokens valid at once; the oldest makes room.
const REFRESH_TOKENS_MAX: usize = 256;

/// What the challenge calls this registry, and the token endpoint expects to be asked for.
const SERVICE: &str = "devkit-registry";

/// What the token endpoint says of a token's lifetime. Tokens live until they are revoked.
const TOKEN_LIFETIME_S: u32 = 300;

/// What can be done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Delete].into_iter().find(|action| action.text() == text)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// What a token allows, by repository name.
type Scopes = BTreeMap<String, Vec<Action>>;

/// The tokens given out, oldest first.
#[derive(Default)]
pub(super) struct Tokens {
    access: VecDeque<(String, Scopes)>,
    /// Each stands for the one account's password.
    refresh: VecDeque<String>,
}

impl Tokens {
    fn issue(&mut self, scopes: Scopes) -> String {
        if self.access.len() == TOKENS_MAX {
            self.access.pop_front();
        }
        let token = hex::encode(crypto::random::bytes::<16>());
        self.access.push_back((token.clone(), scopes));
        token
    }

    fn issue_refresh(&mut self) -> String {
        if self.refresh.len() == REFRESH_TOKENS_MAX {
            self.refresh.pop_front();
        }
        let token = hex::encode(crypto::random::bytes::<24>());
        self.refresh.push_back(token.clone());
        token
    }

    fn scopes(&self, token: &str) -> Option<&Scopes> {
        self.access.iter().find(|(known, _)| known == token).map(|(_, scopes)| scopes)
    }

    /// Forgets the access tokens; refresh tokens outlive them.
    pub(super) fn clear(&mut self) {
        self.access.clear();
    }
}

/// Whether the request may be made. `route` is `None` for a path that means nothing: it still needs
/// credentials, so that nothing can be learnt without.
pub(super) fn check(
    state: &RegistryState,
    call: &Call,
    route: Option<&Route>,
) -> Result<(), Refusal> {
    match &call.behaviour.access {
        Access::Open => Ok(()),
        Access::Basic(credentials) if shows(&call.parts.headers, credentials) => Ok(()),
        Access::Basic(_) => Err(unauthorized("wanted the user's password")
            .header("www-authenticate", r#"Basic realm="devkit", charset="UTF-8""#)),
        Access::Bearer { realm, .. } => {
            let needed = needed_scopes(call, route);
            let outcome = match bearer(&call.parts.headers) {
                None => Err(("wanted a token", "")),
                Some(token) => match state.tokens().scopes(token) {
                    None => Err(("the token is not valid", r#",error="invalid_token""#)),
                    Some(given) if covers(given, &needed) => Ok(()),
                    Some(_) => {
                        Err(("the token does not allow this", r#",error="insufficient_scope""#))
                    }
                },
            };
            outcome.map_err(|(message, error)| {
                let own = format!("{}{TOKEN_PATH}", state.url);
                let realm = realm.as_ref().unwrap_or(&own);
                let scope = match write_scopes(&needed) {
                    scope if scope.is_empty() => String::new(),
                    scope => format!(r#",scope="{scope}""#),
                };
                let challenge =
                    format!(r#"Bearer realm="{realm}",service="{SERVICE}"{scope}{error}"#);
                unauthorized(message).header("www-authenticate", &challenge)
            })
        }
    }
}

/// Answers `GET /token?service=…&scope=…`.
pub(super) async fn issue_token(
    State(state): State<Arc<RegistryState>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match try_issue_token(&state, &uri, &headers) {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    }
}

fn try_issue_token(
    state: &RegistryState,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let behaviour = state.behaviour();
    let Access::Bearer { credentials, anonymous_pull, .. } = &behaviour.access else {
        return Err(Refusal::of_status(StatusCode::NOT_FOUND));
    };
    let query = parse_query(uri)?;
    if !query.iter().any(|(name, value)| name == "service" && value == SERVICE) {
        return Err(Refusal::unsupported(format!("wanted the service `{SERVICE}`")));
    }
    let allowed: &[Action] = if shows(headers, credentials) {
        &[Action::Pull, Action::Push, Action::Delete]
    } else if headers.contains_key(AUTHORIZATION) || !anonymous_pull {
        return Err(unauthorized("wanted the user's password")
            .header("www-authenticate", r#"Basic realm="devkit-token", charset="UTF-8""#));
    } else {
        &[Action::Pull]
    };
    let asked =
        query.iter().filter(|(name, _)| name == "scope").flat_map(|(_, value)| value.split(' '));
    let scopes = grant(asked, allowed);
    let mut tokens = state.tokens();
    let token = tokens.issue(scopes);
    let offline = query.iter().any(|(name, value)| name == "offline_token" && value == "true");
    let refresh = (offline && shows(headers, credentials)).then(|| tokens.issue_refresh());
    // Both names, for both generations of clients.
    let mut answer =
        json!({ "token": token, "access_token": token, "expires_in": TOKEN_LIFETIME_S });
    if let Some(refresh) = refresh {
        answer["refresh_token"] = refresh.into();
    }
    Ok(([("cache-control", "no-store")], Json(answer)).into_response())
}

/// Answers `POST /token` with a form (OAuth2, RFC 6749 §4.3 and §6).
pub(super) async fn exchange_token(
    State(state): State<Arc<RegistryState>>,
    body: Bytes,
) -> Response {
    match try_exchange_token(&state, &body) {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    }
}

fn try_exchange_token(state: &RegistryState, body: &[u8]) -> Result<Response, Refusal> {
    let behaviour = state.behaviour();
    let Access::Bearer { credentials, .. } = &behaviour.access else {
        return Err(Refusal::of_status(StatusCode::NOT_FOUND));
    };
    // A form is written as a query is.
    let uri = std::str::from_utf8(body).ok().and_then(|form| format!("/?{form}").parse().ok());
    let form = parse_query(&uri.ok_or_else(|| Refusal::unsupported("the form cannot be read"))?)?;
    let field = |wanted: &str| {
        form.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
    };
    if field("service") != SERVICE || field("client_id").is_empty() {
        return Err(Refusal::unsupported(format!("wanted a client of the service `{SERVICE}`")));
    }
    let mut tokens = state.tokens();
    let known = match field("grant_type") {
        "password" => {
            field("username") == credentials.user && field("password") == credentials.password
        }
        "refresh_token" => tokens.refresh.iter().any(|known| known == field("refresh_token")),
        _ => return Err(Refusal::unsupported("wanted the grant `password` or `refresh_token`")),
    };
    if !known {
        return Err(unauthorized("wanted the user's password, or a refresh token made of it")
            .header("www-authenticate", r#"Basic realm="devkit-token", charset="UTF-8""#));
    }
    let scope = field("scope");
    let token =
        tokens.issue(grant(scope.split(' '), &[Action::Pull, Action::Push, Action::Delete]));
    let refresh = (field("access_type") == "offline").then(|| tokens.issue_refresh());
    let mut answer =
        json!({ "access_token": token, "expires_in": TOKEN_LIFETIME_S, "scope": scope });
    if let Some(refresh) = refresh {
        answer["refresh_token"] = refresh.into();
    }
    Ok(([("cache-control", "no-store")], Json(answer)).into_response())
}

/// The part of the scopes asked for that is allowed.
fn grant<'a>(asked: impl Iterator<Item = &'a str>, allowed: &[Action]) -> Scopes {
    let mut scopes = Scopes::new();
    for (name, actions) in asked.take(SCOPES_MAX).filter_map(read_scope) {
        let granted = actions.into_iter().filter(|action| allowed.contains(action));
        scopes.entry(name).or_default().extend(granted);
    }
    scopes
}

/// `repository:NAME:ACTION,ACTION`. Scopes of other kinds grant nothing here.
fn read_scope(text: &str) -> Option<(String, Vec<Action>)> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    Some((name.to_owned(), actions.split(',').filter_map(Action::parse).collect()))
}

fn write_scopes(scopes: &Scopes) -> String {
    let write = |(name, actions): (&String, &Vec<Action>)| {
        let actions: Vec<_> = actions.iter().map(|action| action.text()).collect();
        format!("repository:{name}:{}", actions.join(","))
    };
    scopes.iter().map(write).collect::<Vec<_>>().join(" ")
}

/// What the request needs: pulling for reading, also from the repository that a blob is mounted
/// from; pushing implies that what was pushed can be asked for.
fn needed_scopes(call: &Call, route: Option<&Route>) -> Scopes {
    let mut scopes = Scopes::new();
    let Some(name) = route.and_then(Route::repository) else { return scopes };
    let actions = match call.parts.method {
        Method::GET | Method::HEAD => vec![Action::Pull],
        Method::DELETE if !matches!(route, Some(Route::Upload(..))) => vec![Action::Delete],
        _ => vec![Action::Pull, Action::Push],
    };
    scopes.insert(name.to_string(), actions);
    if let (Some(Route::Uploads(_)), Some(_), Some(from)) =
        (route, call.parameter("mount"), call.parameter("from"))
    {
        scopes.entry(from.to_owned()).or_insert_with(|| vec![Action::Pull]);
    }
    scopes
}

fn covers(given: &Scopes, needed: &Scopes) -> bool {
    needed.iter().all(|(name, actions)| {
        let given = given.get(name).map(Vec::as_slice).unwrap_or_default();
        actions.iter().all(|action| given.contains(action))
    })
}

/// Whether the request shows these credentials. Compared in plain time: what is protected here is a
/// toy on loopback.
fn shows(headers: &HeaderMap, credentials: &Credentials) -> bool {
    let Some(encoded) = authorization(headers, "basic") else { return false };
    let wanted = format!("{}:{}", credentials.user, credentials.password);
    STANDARD.decode(encoded).is_ok_and(|shown| shown == wanted.as_bytes())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

/// The credential of an `Authorization` header with that scheme, whose case is free.
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (found, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(credential.trim())
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}
