//! How a registry asks who we are (`WWW-Authenticate`, RFC 9110 §11.6.1), and our answer.
//!
//! Only the registry's own challenge is ever answered; the caller sees to that. What it asks for is
//! read here into a [`Demand`]; what a Bearer challenge leads to is in `token`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use crate::credentials::Basic;
use crate::error::{FetchError, Unauthorized, printable};
use crate::http::Answer;
use crate::secret::Secret;

/// Challenges looked at in one answer.
const CHALLENGES_MAX: usize = 8;

/// Longest scope of a challenge that is passed on, in bytes: a repository of 255, several times.
const SCOPE_SIZE_MAX: usize = 2048;

/// What a registry would accept: at least one of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// A user and a password.
    pub(super) basic: bool,
    /// A token of a token service.
    pub(super) bearer: Option<BearerDemand>,
}

/// Where to get a token, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BearerDemand {
    /// The token service's URL, as the registry names it.
    pub(super) realm: String,
    /// What the token service calls this registry.
    pub(super) service: Option<String>,
    /// What the refused request would have needed.
    pub(super) scope: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer(BearerDemand),
    Other { scheme: String },
}

/// What an answer asks for.
///
/// # Errors
/// When it asks for nothing that is known.
pub(super) fn demand(answer: &Answer) -> Result<Demand, FetchError> {
    let headers = answer.headers.get_all(WWW_AUTHENTICATE);
    let challenges = headers.iter().filter_map(|header| header.to_str().ok()).flat_map(parse);
    let mut demand = Demand::default();
    let mut others = Vec::new();
    for challenge in challenges.take(CHALLENGES_MAX) {
        match challenge {
            Challenge::Basic => demand.basic = true,
            Challenge::Bearer(bearer) => {
                demand.bearer.get_or_insert(bearer);
            }
            Challenge::Other { scheme } => others.push(printable(&scheme, 32)),
        }
    }
    if demand != Demand::default() {
        return Ok(demand);
    }
    let found = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    Err(answer.error(Unauthorized::UnknownChallenge { found }))
}

/// The header that answers a challenge for a user and password (RFC 7617 §2).
pub(crate) fn basic(basic: &Basic) -> HeaderValue {
    let pair = Zeroizing::new(format!("{}:{}", basic.user, basic.password.expose()));
    Secret::new(STANDARD.encode(pair.as_bytes()))
        .to_authorization("Basic")
        .expect("base64 can stand in a header")
}

impl BearerDemand {
    /// The challenge's scope, if it is one that can be passed on.
    pub(super) fn usable_scope(&self) -> Option<&str> {
        let fits = |scope: &&str| {
            !scope.is_empty()
                && scope.len() <= SCOPE_SIZE_MAX
                && scope.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        self.scope.as_deref().filter(fits)
    }

    /// The host of the token service for people to read, or the realm itself where there is none.
    pub(super) fn shown(&self) -> String {
        let host = |url: Url| crate::error::host_of(&url);
        let shown = Url::parse(&self.realm).ok().map(host).filter(|host| !host.is_empty());
        printable(&shown.unwrap_or_else(|| self.realm.clone()), 128)
    }
}

/// Splits a header into its challenges. A word that is followed by `=` is a parameter of the
/// challenge before it; any other word begins a challenge.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header;
    while let Some((word, after)) = take_word(rest) {
        let Some(value) = after.trim_start().strip_prefix('=') else {
            challenges.push(match word.to_ascii_lowercase().as_str() {
                "basic" => Challenge::Basic,
                "bearer" => Challenge::Bearer(BearerDemand::default()),
                _ => Challenge::Other { scheme: word.to_owned() },
            });
            rest = after;
            continue;
        };
        let (value, after) = take_value(value.trim_start());
        if let Some(Challenge::Bearer(bearer)) = challenges.last_mut() {
            match word.to_ascii_lowercase().as_str() {
                "realm" => bearer.realm = value,
                "service" => bearer.service = Some(value),
                "scope" => bearer.scope = Some(value),
                _ => {}
            }
        }
        rest = after;
    }
    challenges
}

/// The next word and what follows it.
fn take_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    // A quote or an equals sign out of place ends the reading: what follows has no meaning.
    (end > 0).then(|| text.split_at(end))
}

/// A parameter's value, quoted or not, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_apart() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
            let realm = realm.to_owned();
            Challenge::Bearer(BearerDemand { realm, service, scope })
        };
        let other = |scheme: &str| Challenge::Other { scheme: scheme.to_owned() };
        let cases = [
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (
                r#"Bearer service="a, Basic realm=b" , realm="x\"y""#,
                vec![bearer(r#"x"y"#, Some("a, Basic realm=b"), None)],
            ),
            (
                r#"Negotiate, Basic realm="a", Bearer realm=b"#,
                vec![other("Negotiate"), Challenge::Basic, bearer("b", None, None)],
            ),
            (
                r#"Bearer Realm="a", error="invalid_token", SCOPE=c"#,
                vec![bearer("a", None, Some("c"))],
            ),
            ("Bearer", vec![bearer("", None, None)]),
            (r#"Bearer realm="unfinished"#, vec![bearer("unfinished", None, None)]),
            (r#"="x" Basic"#, vec![]),
            (r#"realm="x", Basic"#, vec![Challenge::Basic]),
            ("", vec![]),
            (" , ,\t", vec![]),
        ];
        for (header, challenges) in cases {
            assert_eq!(parse(header), challenges, "{header}");
        }
    }

    #[test]
    fn a_scope_that_cannot_be_passed_on_is_left_out() {
        let usable = |scope: &str| {
            let demand = BearerDemand { scope: Some(scope.to_owned()), ..BearerDemand::default() };
            demand.usable_scope().is_some()
        };
        assert!(usable("repository:a:pull repository:b:pull"));
        for scope in ["", "a\u{7f}", "a\tb", "ä", &"x".repeat(SCOPE_SIZE_MAX + 1)] {
            assert!(!usable(scope), "{scope}");
        }
    }

    #[test]
    fn passwords_are_encoded_as_rfc_7617_says() {
        let password = Secret::new("open sesame".to_owned());
        let header = basic(&Basic { user: "Aladdin".to_owned(), password });
        assert_eq!(header.to_str().ok(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert!(header.is_sensitive());
    }
}
