//! What a path asks for.
//!
//! OCI distribution specification v1.1, "Endpoints". Repository names have slashes and may contain
//! the words that separate them from the rest, so paths are read from their end.

use axum::http::StatusCode;
use evidence::Digest;

use super::name::RepositoryName;
use super::reply::{ErrorCode, Refusal};
use crate::beginning;

/// What a path asks for. References stay text: what is wrong with one depends on the method.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// end-1
    Base,
    /// end-2, end-10
    Blob(RepositoryName, Digest),
    /// end-4, end-11
    Uploads(RepositoryName),
    /// end-5, end-6, end-13, end-14
    Upload(RepositoryName, String),
    /// end-3, end-7, end-9
    Manifest(RepositoryName, String),
    /// end-8
    Tags(RepositoryName),
    /// end-12
    Referrers(RepositoryName, Digest),
}

impl Route {
    /// The repository, if the path names one.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base => None,
            Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

/// Reads a path as it was sent.
pub(super) fn parse(path: &str) -> Result<Route, Refusal> {
    let decoded = percent_decode(path).ok_or_else(not_found)?;
    if matches!(decoded.as_str(), "/v2" | "/v2/") {
        return Ok(Route::Base);
    }
    let segments: Vec<&str> =
        decoded.strip_prefix("/v2/").ok_or_else(not_found)?.split('/').collect();
    match segments.as_slice() {
        [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => {
            Ok(Route::Uploads(parse_name(name)?))
        }
        [name @ .., "blobs", "uploads", id] => {
            Ok(Route::Upload(parse_name(name)?, (*id).to_owned()))
        }
        [name @ .., "blobs", digest] => Ok(Route::Blob(parse_name(name)?, parse_digest(digest)?)),
        [name @ .., "manifests", reference] => {
            Ok(Route::Manifest(parse_name(name)?, (*reference).to_owned()))
        }
        [name @ .., "tags", "list"] => Ok(Route::Tags(parse_name(name)?)),
        [name @ .., "referrers", digest] => {
            Ok(Route::Referrers(parse_name(name)?, parse_digest(digest)?))
        }
        _ => Err(not_found()),
    }
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, "no such endpoint")
}

fn parse_name(segments: &[&str]) -> Result<RepositoryName, Refusal> {
    let text = segments.join("/");
    RepositoryName::parse(&text).ok_or_else(|| {
        let message = format!("wanted a repository name, found `{}`", beginning(&text));
        Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, message)
    })
}

/// Reads a digest that a request names.
pub(super) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error: evidence::digest::ParseDigestError| {
        Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, error.to_string())
    })
}

/// RFC 3986 §2.1; `None` for what is not UTF-8 or a broken escape.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
            digit(bytes.next()?)? * 16 + digit(bytes.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::{Route, parse, percent_decode};
    use crate::registry::name::RepositoryName;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_may_hold_the_words_that_end_them() {
        let name = |text| RepositoryName::parse(text).expect("a name");
        let digest = DIGEST.parse().expect("a digest");
        for (path, route) in [
            ("/v2/".to_owned(), Route::Base),
            ("/v2/a/tags/list".to_owned(), Route::Tags(name("a"))),
            ("/v2/tags/list/tags/list".to_owned(), Route::Tags(name("tags/list"))),
            ("/v2/a/blobs/uploads/".to_owned(), Route::Uploads(name("a"))),
            ("/v2/a/blobs/uploads/b".to_owned(), Route::Upload(name("a"), "b".to_owned())),
            ("/v2/a/manifests/b".to_owned(), Route::Manifest(name("a"), "b".to_owned())),
            (
                "/v2/manifests/manifests/manifests".to_owned(),
                Route::Manifest(name("manifests"), "manifests".to_owned()),
            ),
            (format!("/v2/a/blobs/blobs/{DIGEST}"), Route::Blob(name("a/blobs"), digest)),
            (format!("/v2/a/referrers/{DIGEST}"), Route::Referrers(name("a"), digest)),
            (format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A")), Route::Blob(name("a"), digest)),
        ] {
            assert_eq!(parse(&path).ok(), Some(route), "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "/",
            "/v1/",
            "/v2/a",
            "/v2/a/tags",
            "/v2/manifests/x",
            "/v2//manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2/a%2f%2e%2e/manifests/x",
            "/v2/a/blobs/sha256:00",
            "/v2/A/manifests/x",
            "/v2/%zz/manifests/x",
            "/v2/_catalog",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        assert_eq!(percent_decode("a%3Ab").as_deref(), Some("a:b"));
        for broken in ["%", "%3", "%3g", "%ff"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }
}
