//! The one page that the browser comes back to, on this machine only.
//!
//! RFC 8252 §7.3. Just enough of HTTP/1.1 to read the target of a GET; everything else that comes is
//! answered and forgotten, a bounded number of times.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Login, LoginError, Objection};

const PATH: &str = "/auth/callback";

/// Longest request read, in bytes. Codes have some dozens, browsers' headers a few thousand.
const REQUEST_SIZE_MAX: usize = 32 * 1024;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests answered that are none of the login: icons, probes, other programs.
const OTHERS_MAX: usize = 64;

/// Waits for a browser.
pub(super) struct Listener {
    listener: TcpListener,
    /// As the issuer is told it.
    pub(super) redirect: String,
    path: String,
}

impl Listener {
    /// Listens where the login says, else at any free port.
    pub(super) async fn bind(login: &Login) -> Result<Self, LoginError> {
        let (port, path) = match &login.redirect {
            None => (0, PATH.to_owned()),
            Some(redirect) => {
                let url = redirect.as_url();
                if url.scheme() != "http" {
                    return Err(LoginError::Redirect { found: redirect.to_string() });
                }
                (url.port().unwrap_or(80), url.path().to_owned())
            }
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| LoginError::Listen { address: address.to_string(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let redirect = match &login.redirect {
            Some(redirect) => redirect.as_url().to_string(),
            // By name, because that is what Dex allows for public clients.
            None => {
                format!("http://localhost:{}{path}", listener.local_addr().map_err(failed)?.port())
            }
        };
        Ok(Self { listener, redirect, path })
    }

    /// The code that a browser brings for the login with this state.
    pub(super) async fn code(&self, state: &str) -> Result<String, LoginError> {
        let failed = |source| LoginError::Listen { address: self.redirect.clone(), source };
        for _ in 0..OTHERS_MAX {
            let (mut stream, _) = self.listener.accept().await.map_err(failed)?;
            let target = tokio::time::timeout(REQUEST_TIMEOUT, target(&mut stream)).await;
            let Ok(Some(target)) = target else { continue };
            let Some(url) = self.is_ours(&target) else {
                answer(&mut stream, "404 Not Found", "There is nothing here.").await;
                continue;
            };
            let outcome = outcome(&url, state);
            let (status, words) = match &outcome {
                Ok(_) => ("200 OK", "You are logged in. You can close this page."),
                Err(LoginError::OtherState) => ("400 Bad Request", "This is another login."),
                Err(_) => ("200 OK", "You are not logged in. You can close this page."),
            };
            answer(&mut stream, status, words).await;
            return outcome;
        }
        Err(LoginError::Disturbed)
    }

    /// The target as a URL, if it is the page that the issuer sends the browser to.
    fn is_ours(&self, target: &str) -> Option<Url> {
        let base: Url = "http://localhost".parse().expect("a URL");
        let url = base.join(target).ok()?;
        (url.path() == self.path && url.host_str() == Some("localhost")).then_some(url)
    }
}

/// What the issuer lets the browser say (RFC 6749 §4.1.2).
fn outcome(url: &Url, state: &str) -> Result<String, LoginError> {
    let one = |name: &str| {
        let mut values = url.query_pairs().filter(|(found, _)| found == name);
        let first = values.next().map(|(_, value)| value.into_owned());
        // Two of a kind are for someone who reads the other one.
        first.filter(|_| values.next().is_none())
    };
    if one("state").as_deref() != Some(state) {
        return Err(LoginError::OtherState);
    }
    if let Some(code) = one("error") {
        return Err(Objection::new(&code, one("error_description").as_deref()).into());
    }
    one("code").filter(|code| !code.is_empty()).ok_or(LoginError::NoCode(None))
}

/// The target of a GET; `None` for all else.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        if bytes.len() > REQUEST_SIZE_MAX || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let target = line.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    target.starts_with('/').then(|| target.to_owned())
}

async fn answer(stream: &mut TcpStream, status: &str, words: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>Countersign</title><p>{words}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Security-Policy: default-src 'none'\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    // A browser that is gone has seen enough.
    let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
