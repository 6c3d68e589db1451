//! Ways in which a server can misbehave, armed by tests for the paths they name.
//!
//! Each fault is one that a hostile or broken server shows in the field; a client must meet all of
//! them with a clear error within its own deadline.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt};

/// Size of one piece of an endless body.
const FILLER: Bytes = Bytes::from_static(&[b' '; 16 * 1024]);

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this status and the server's usual error body, without doing what was asked.
    Status(StatusCode),
    /// Answers exactly this, without doing what was asked.
    Answer {
        /// The status.
        status: StatusCode,
        /// All headers; `Content-Length` is added.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// The body.
        body: Bytes,
    },
    /// Never answers. Ends when the client gives up or the server stops.
    Hang,
    /// Does what was asked, but changes one byte of the answer's body and nothing else. A digit is
    /// changed where there is one, so that JSON stays JSON and only a digest tells.
    WrongBytes,
    /// Does what was asked, but names another `Content-Type`.
    WrongContentType(HeaderValue),
    /// Does what was asked, but sets this header to a lie.
    WrongHeader(HeaderName, HeaderValue),
    /// Does what was asked, but the body never ends: spaces follow, so that a JSON parser waits too.
    EndlessBody,
    /// Does what was asked, but breaks the connection in the middle of the body.
    CutShort,
    /// Redirects (307) to this URL, for instance to another host.
    RedirectTo(HeaderValue),
    /// Does what was asked, but says that the next page is the one just asked for.
    LinkToItself,
}

/// A fault, and the requests it befalls.
#[derive(Clone, Debug)]
pub struct FaultRule {
    pattern: String,
    method: Option<Method>,
    /// Requests still to befall; `None` for all.
    left: Option<u32>,
    fault: Fault,
}

impl FaultRule {
    /// Befalls every request whose path, as sent and without its query, matches `pattern`, in which
    /// `*` stands for any characters, `/` included.
    #[must_use]
    pub fn new(pattern: impl Into<String>, fault: Fault) -> Self {
        Self { pattern: pattern.into(), method: None, left: None, fault }
    }

    /// Befalls requests with this method only.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Befalls the next `count` matching requests only; afterwards the server behaves again.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { left: Some(count), ..self }
    }
}

/// The first rule that the request meets, counted down.
pub(crate) fn take(rules: &mut [FaultRule], method: &Method, path: &str) -> Option<Fault> {
    let place = rules.iter().position(|rule| {
        rule.method.as_ref().is_none_or(|wanted| wanted == method)
            && matches_pattern(&rule.pattern, path)
            && rule.left != Some(0)
    })?;
    let rule = &mut rules[place];
    if let Some(left) = &mut rule.left {
        *left -= 1;
    }
    Some(rule.fault.clone())
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters, none included.
pub(crate) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(place) = rest.find(piece) else { return false };
        rest = &rest[place + piece.len()..];
    }
    rest.ends_with(last)
}

/// Spoils the honest answer to a request for `uri`.
pub(crate) async fn spoil(fault: Fault, uri: &Uri, answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let body = match fault {
        // These never reach the honest answer.
        Fault::Status(_) | Fault::Answer { .. } | Fault::Hang | Fault::RedirectTo(_) => body,
        Fault::WrongContentType(value) => {
            parts.headers.insert(CONTENT_TYPE, value);
            body
        }
        Fault::WrongHeader(name, value) => {
            parts.headers.insert(name, value);
            body
        }
        Fault::LinkToItself => {
            if let Ok(value) = HeaderValue::try_from(format!("<{uri}>; rel=\"next\"")) {
                parts.headers.insert(LINK, value);
            }
            body
        }
        Fault::WrongBytes => Body::from(change_one_byte(&whole(body).await)),
        Fault::EndlessBody => {
            parts.headers.remove(CONTENT_LENGTH);
            let start = whole(body).await;
            let pieces = stream::once(async { start }).chain(stream::repeat(FILLER));
            Body::from_stream(pieces.map(Ok::<_, std::convert::Infallible>))
        }
        Fault::CutShort => {
            let honest = whole(body).await;
            parts.headers.insert(CONTENT_LENGTH, honest.len().into());
            let half = honest.slice(..honest.len() / 2);
            // The pause lets the server send the first half before it hears of the end.
            let broken = async {
                tokio::task::yield_now().await;
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            };
            Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(broken)))
        }
    };
    Response::from_parts(parts, body)
}

/// A redirect that keeps the method (RFC 9110 §15.4.8).
pub(crate) fn redirect(location: HeaderValue) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// The body of an answer made here, which is in memory already.
async fn whole(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}

fn change_one_byte(honest: &[u8]) -> Vec<u8> {
    let mut changed = honest.to_vec();
    let digit = changed.iter().rposition(u8::is_ascii_digit);
    if let Some(byte) = digit.or(changed.len().checked_sub(1)).map(|place| &mut changed[place]) {
        // The lowest bit of an ASCII digit makes another digit: 0 ⇄ 1, 2 ⇄ 3, …, 8 ⇄ 9.
        *byte ^= 1;
    }
    changed
}
