//! How a registry asks who we are (`WWW-Authenticate`, RFC 9110 §11.6.1), and our answer.
//!
//! Only the registry's own challenge is ever answered; the caller sees to that. The realm of a
//! Bearer challenge is chosen by the registry, so nothing is sent there that it does not already
//! know; at present nothing is sent there at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use crate::credentials::Basic;
use crate::error::{FetchError, Unauthorized, host_of, printable};
use crate::http::Answer;
use crate::secret::Secret;

/// Challenges looked at in one answer.
const CHALLENGES_MAX: usize = 8;

/// One way to authenticate.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String },
    Other { scheme: String },
}

/// Whether the answer asks for a user and password, among other ways perhaps.
///
/// # Errors
/// When it asks for something else.
pub(super) fn wants_basic(answer: &Answer) -> Result<(), FetchError> {
    let headers = answer.headers.get_all(WWW_AUTHENTICATE);
    let challenges: Vec<_> = headers
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(parse)
        .take(CHALLENGES_MAX)
        .collect();
    if challenges.contains(&Challenge::Basic) {
        return Ok(());
    }
    let realm = challenges.iter().find_map(|challenge| match challenge {
        Challenge::Bearer { realm } => Some(realm),
        _ => None,
    });
    Err(answer.error(match realm {
        Some(realm) => {
            let host = Url::parse(realm).map_or_else(|_| realm.clone(), |url| host_of(&url));
            Unauthorized::TokenUnsupported { realm: printable(&host, 128) }
        }
        None => {
            let schemes: Vec<_> = challenges
                .iter()
                .map(|challenge| match challenge {
                    Challenge::Other { scheme } => printable(scheme, 32),
                    Challenge::Basic | Challenge::Bearer { .. } => String::new(),
                })
                .collect();
            let none = schemes.is_empty();
            let found = if none { "none".to_owned() } else { schemes.join(", ") };
            Unauthorized::UnknownChallenge { found }
        }
    }))
}

/// The header that answers a challenge for a user and password (RFC 7617 §2).
pub(super) fn basic(basic: &Basic) -> HeaderValue {
    let pair = Zeroizing::new(format!("{}:{}", basic.user, basic.password.expose()));
    Secret::new(STANDARD.encode(pair.as_bytes()))
        .to_authorization("Basic")
        .expect("base64 can stand in a header")
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
                "bearer" => Challenge::Bearer { realm: String::new() },
                _ => Challenge::Other { scheme: word.to_owned() },
            });
            rest = after;
            continue;
        };
        let (value, after) = take_value(value.trim_start());
        if let Some(Challenge::Bearer { realm }) = challenges.last_mut()
            && word.eq_ignore_ascii_case("realm")
        {
            *realm = value;
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
        let bearer = |realm: &str| Challenge::Bearer { realm: realm.to_owned() };
        let other = |scheme: &str| Challenge::Other { scheme: scheme.to_owned() };
        let cases = [
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#,
                vec![bearer("https://auth.docker.io/token")],
            ),
            (r#"Bearer service="a, Basic realm=b" , realm="x\"y""#, vec![bearer(r#"x"y"#)]),
            (
                r#"Negotiate, Basic realm="a", Bearer realm=b"#,
                vec![other("Negotiate"), Challenge::Basic, bearer("b")],
            ),
            (r#"Bearer realm="unterminated"#, vec![bearer("unterminated")]),
            ("", vec![]),
            ("=,\"", vec![]),
        ];
        for (header, challenges) in cases {
            assert_eq!(parse(header), challenges, "{header}");
        }
    }
}
