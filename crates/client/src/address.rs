//! Which URLs may be asked at all: HTTPS anywhere, plain HTTP on loopback only.

use std::fmt;
use std::str::FromStr;

use evidence::RegistryHost;
use reqwest::Url;

/// Longest URL taken, in bytes: longer ones do not pass common servers and proxies.
pub const URL_SIZE_MAX: usize = 8 * 1024;

/// Why a URL is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Longer than [`URL_SIZE_MAX`].
    #[error("a URL of {found} bytes is longer than {URL_SIZE_MAX}")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// No URL at all.
    #[error("not a URL: {0}")]
    Syntax(String),
    /// Another scheme than HTTP and HTTPS.
    #[error("wanted an https URL, found the scheme `{found}`")]
    Scheme {
        /// The scheme found.
        found: String,
    },
    /// Plain HTTP to a host that is not loopback.
    #[error("plain http is spoken on loopback only, not to {host}")]
    PlainHttp {
        /// The host named.
        host: String,
    },
    /// A user or password in the URL.
    #[error("the URL holds user information")]
    UserInfo,
    /// A query or fragment where a base URL is wanted.
    #[error("a base URL has no query and no fragment")]
    QueryOrFragment,
}

/// The base URL of a service: checked, without a slash at its end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// The URL of a path below this one.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    /// The URL itself.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for ServiceUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadUrl::QueryOrFragment);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses a URL that may be asked.
pub(crate) fn parse(text: &str) -> Result<Url, BadUrl> {
    if text.len() > URL_SIZE_MAX {
        return Err(BadUrl::TooLong { found: text.len() });
    }
    let url: Url = text.parse().map_err(|error| BadUrl::Syntax(format!("{error}")))?;
    check(&url)?;
    Ok(url)
}

/// Whether a URL may be asked.
pub(crate) fn check(url: &Url) -> Result<(), BadUrl> {
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
        "http" => {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(BadUrl::PlainHttp { host });
        }
        found => return Err(BadUrl::Scheme { found: found.chars().take(32).collect() }),
    }
    if url.username().is_empty() && url.password().is_none() {
        Ok(())
    } else {
        Err(BadUrl::UserInfo)
    }
}

/// The URL below which a registry answers: plain HTTP on loopback, but for the port of HTTPS.
/// `None` for an international name (`xn--…`) that is none.
pub(crate) fn of_registry(host: &RegistryHost) -> Option<Url> {
    let endpoint = host.endpoint();
    let secure = !host.is_loopback() || endpoint.ends_with(":443");
    let scheme = if secure { "https" } else { "http" };
    // All other names that a registry may have mean themselves in a URL.
    format!("{scheme}://{endpoint}/v2/").parse().ok()
}

/// Names and values as forms write them (`application/x-www-form-urlencoded`).
pub(crate) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    // A query is written the same way; the host is never asked.
    let mut url: Url = "https://form.invalid/".parse().expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    // The URL standard has already made one form of every address.
    let Some(host) = url.host_str() else { return false };
    host == "localhost"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_have_urls() {
        let cases = [
            ("docker.io", Some("https://registry-1.docker.io/v2/")),
            ("ghcr.io", Some("https://ghcr.io/v2/")),
            ("ghcr.io:5000", Some("https://ghcr.io:5000/v2/")),
            ("ghcr.io:80", Some("https://ghcr.io:80/v2/")),
            ("10.0.0.1:5000", Some("https://10.0.0.1:5000/v2/")),
            ("localhost", Some("http://localhost/v2/")),
            ("localhost:5000", Some("http://localhost:5000/v2/")),
            ("localhost:443", Some("https://localhost/v2/")),
            ("127.1.2.3:5000", Some("http://127.1.2.3:5000/v2/")),
            ("[::1]:5000", Some("http://[::1]:5000/v2/")),
            ("[2001:db8::1]:5000", Some("https://[2001:db8::1]:5000/v2/")),
            ("xn--n3h.com", Some("https://xn--n3h.com/v2/")),
            ("xn--a.example", None),
        ];
        for (host, wanted) in cases {
            let url = of_registry(&host.parse().expect("a registry"));
            assert_eq!(url.as_ref().map(Url::as_str), wanted, "{host}");
        }
    }
}
