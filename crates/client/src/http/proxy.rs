//! Proxies, as the variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name them.
//!
//! There is no specification of these; this follows what Go's programs do, which is what users of
//! Cosign have set them up for. Loopback never goes through a proxy, and neither do link-local
//! addresses: there cloud instances are told who they are, which is nobody else's business.

use std::net::{IpAddr, Ipv6Addr};

use reqwest::Url;

use crate::environment::Environment;
use crate::secret::Secret;

/// Exemptions read from `NO_PROXY`.
const EXEMPTIONS_MAX: usize = 1000;

/// Which proxy a request goes through, if any.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For HTTPS URLs. Secret, because its URL may hold a password.
    https: Option<Secret>,
    http: Option<Secret>,
    exempt: Vec<Exemption>,
}

/// Why a proxy cannot be used. The URL is not quoted: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    /// No URL.
    #[error("{variable} is no URL of a proxy")]
    Url {
        /// The variable.
        variable: &'static str,
    },
    /// A kind of proxy that is not spoken.
    #[error("{variable}: wanted an http or https proxy, found `{found}`")]
    Scheme {
        /// The variable.
        variable: &'static str,
        /// The scheme.
        found: String,
    },
    /// A list out of all proportion.
    #[error("NO_PROXY has more than {EXEMPTIONS_MAX} entries")]
    TooManyExemptions,
}

/// A host that is reached directly.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exemption {
    host: ExemptHost,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ExemptHost {
    All,
    Network(IpAddr, u8),
    /// A name, and whether it stands for itself or only for those below it.
    Name {
        name: String,
        itself: bool,
    },
}

impl Proxies {
    /// Reads the variables, of which the upper-case form wins.
    ///
    /// # Errors
    /// When a proxy is none. What `NO_PROXY` has that makes no sense is passed over, as everywhere.
    pub fn from_environment(environment: &Environment) -> Result<Self, BadProxy> {
        let either = |upper: &str, lower: &str| environment.get(upper).or(environment.get(lower));
        let proxy =
            |secret: Option<&Secret>, variable| secret.map(|s| parse(s, variable)).transpose();
        // In CGI programs `HTTP_PROXY` is the request header `Proxy`, which anybody sends.
        let cgi = environment.get("REQUEST_METHOD").is_some();
        let http = either("HTTP_PROXY", "http_proxy").filter(|_| !cgi);
        let exempt = either("NO_PROXY", "no_proxy").map_or("", Secret::expose);
        let exempt: Vec<_> = exempt.split(',').filter_map(Exemption::parse).collect();
        if exempt.len() > EXEMPTIONS_MAX {
            return Err(BadProxy::TooManyExemptions);
        }
        Ok(Self {
            https: proxy(either("HTTPS_PROXY", "https_proxy"), "HTTPS_PROXY")?,
            http: proxy(http, "HTTP_PROXY")?,
            exempt,
        })
    }

    /// One proxy for everything but loopback and metadata services; `name` says in errors where it is named.
    pub(crate) fn through(proxy: &str, name: &'static str) -> Result<Self, BadProxy> {
        let proxy = parse(&Secret::new(proxy.to_owned()), name)?;
        Ok(Self { https: Some(proxy.clone()), http: Some(proxy), exempt: Vec::new() })
    }

    /// The proxy for a URL.
    pub(super) fn of(&self, url: &Url) -> Option<&str> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default();
        let address = host.parse::<IpAddr>().ok();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let near = loopback || is_metadata(url);
        let exempt = near || self.exempt.iter().any(|one| one.covers(host, address, port));
        proxy.as_ref().filter(|_| !exempt).map(Secret::expose)
    }

    pub(super) fn is_none(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }
}

/// `proxy.example:3128` means plain HTTP to the proxy, as everywhere.
fn parse(proxy: &Secret, variable: &'static str) -> Result<Secret, BadProxy> {
    let text = proxy.expose().trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url = text.parse().map_err(|_| BadProxy::Url { variable })?;
    if !matches!(url.scheme(), "http" | "https") {
        let found = url.scheme().chars().take(32).collect();
        return Err(BadProxy::Scheme { variable, found });
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(BadProxy::Url { variable });
    }
    Ok(Secret::new(text))
}

/// Whether a URL leads to where cloud instances are told who they are: link-local addresses, and
/// what else Amazon and Google use.
pub(super) fn is_metadata(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    if host == "metadata.google.internal" {
        return true;
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
                || within(address.into(), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0).into(), 32)
        }
        Err(_) => false,
    }
}

impl Exemption {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Self { host: ExemptHost::All, port: None });
        }
        if let Some((network, length)) = text.split_once('/') {
            let (network, length) = (network.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?);
            let host = ExemptHost::Network(network, length);
            return (length <= width(network)).then_some(Self { host, port: None });
        }
        let whole = |address: IpAddr| ExemptHost::Network(address, width(address));
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self { host: whole(address), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self { host: whole(address), port });
        }
        // `*.example` is how some write `.example`.
        let below = host.strip_prefix("*.").or(host.strip_prefix('.'));
        let name = below.unwrap_or(host).to_owned();
        let host = ExemptHost::Name { itself: below.is_none(), name };
        (!matches!(&host, ExemptHost::Name { name, .. } if name.is_empty()))
            .then_some(Self { host, port })
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: Option<u16>) -> bool {
        let here = match &self.host {
            ExemptHost::All => true,
            ExemptHost::Network(network, length) => {
                address.is_some_and(|address| within(address, *network, *length))
            }
            ExemptHost::Name { name, itself } => {
                let below = host.strip_suffix(name.as_str());
                below.is_some_and(|below| below.is_empty() && *itself || below.ends_with('.'))
            }
        };
        here && (self.port.is_none() || self.port == port)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether an address has the first `length` bits of a network.
fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    let mask = if length == 0 { 0 } else { u128::MAX << (128 - u32::from(length)) };
    address.is_ipv4() == network.is_ipv4() && (bits(address) ^ bits(network)) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, BadProxy> {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Proxies::from_environment(&Environment::new(variables))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = proxies(&[
            ("HTTPS_PROXY", "http://one.example:3128"),
            ("https_proxy", "http://two.example"),
            ("http_proxy", "three.example:8080"),
        ])
        .expect("proxies");
        let of = |url: &str| proxies.of(&url.parse().expect("a URL")).map(str::to_owned);
        assert_eq!(of("https://ghcr.io/v2/").as_deref(), Some("http://one.example:3128"));
        assert_eq!(of("http://ghcr.io/v2/").as_deref(), Some("http://three.example:8080"));
        for near in [
            "http://localhost:5000/",
            "https://127.0.0.2/",
            "https://[::1]:5000/",
            "http://169.254.169.254/latest/",
            "http://[fd00:ec2::254]/latest/",
            "http://[fe80::1]/",
        ] {
            assert_eq!(of(near), None, "{near}");
        }
    }

    #[test]
    fn exemptions() {
        let cases = [
            ("*", "https://ghcr.io/", true),
            ("ghcr.io", "https://ghcr.io/", true),
            (" GHCR.io ,x", "https://ghcr.io/", true),
            ("ghcr.io", "https://a.ghcr.io/", true),
            ("ghcr.io", "https://xghcr.io/", false),
            (".ghcr.io", "https://ghcr.io/", false),
            (".ghcr.io", "https://a.ghcr.io/", true),
            ("*.ghcr.io", "https://a.ghcr.io/", true),
            ("ghcr.io:443", "https://ghcr.io/", true),
            ("ghcr.io:5000", "https://ghcr.io/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.0.0.0/8", "https://10.example/", false),
            ("10.0.0.1", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:80", "https://10.0.0.1:5000/", false),
            ("fd00::/8", "https://[fd00::1]/", true),
            ("::/0", "https://10.0.0.1/", false),
            ("0.0.0.0/0", "https://10.0.0.1/", true),
            ("[fd00::1]:5000", "https://[fd00::1]:5000/", true),
            ("10.0.0.0/33,.,:80", "https://10.0.0.1/", false),
            ("", "https://ghcr.io/", false),
        ];
        for (exempt, url, direct) in cases {
            let proxies =
                proxies(&[("HTTPS_PROXY", "p.example"), ("NO_PROXY", exempt)]).expect("proxies");
            let found = proxies.of(&url.parse().expect("a URL"));
            assert_eq!(found.is_none(), direct, "{exempt} for {url}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_an_error_that_keeps_its_password() {
        let bad = |text: &str| proxies(&[("HTTPS_PROXY", text)]).expect_err("no proxy");
        let scheme =
            |found: &str| BadProxy::Scheme { variable: "HTTPS_PROXY", found: found.to_owned() };
        assert_eq!(bad("socks5://p.example"), scheme("socks5"));
        let error = bad("http://ali:open sesame@:x");
        assert_eq!(error, BadProxy::Url { variable: "HTTPS_PROXY" });
        let proxies = proxies(&[("HTTPS_PROXY", "http://ali:sesame@p.example")]).expect("a proxy");
        assert!(!format!("{error:?} {error} {proxies:?}").contains("sesame"));
    }

    /// CVE-2016-5385 and its kin ("httpoxy").
    #[test]
    fn a_request_header_is_no_proxy() {
        let proxies = proxies(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil.example")]);
        assert!(proxies.expect("none").is_none());
    }
}
