//! A client of a few lines: HTTP/1.1 over a socket, one request a connection, nothing followed,
//! nothing forgiven.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer here takes longer unless something is broken.
const DEADLINE: Duration = Duration::from_secs(20);

/// Most that is read of an answer.
const ANSWER_SIZE_MAX: u64 = 16 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its announced end.
    pub(crate) complete: bool,
}

pub(crate) fn request(method: &str, target: impl Into<String>) -> Request {
    let method = method.to_owned();
    Request { method, target: target.into(), headers: Vec::new(), body: None, chunked: false }
}

pub(crate) fn get(target: impl Into<String>) -> Request {
    request("GET", target)
}

pub(crate) fn head(target: impl Into<String>) -> Request {
    request("HEAD", target)
}

pub(crate) fn post(target: impl Into<String>) -> Request {
    request("POST", target).body([])
}

pub(crate) fn put(target: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    request("PUT", target).body(body)
}

pub(crate) fn patch(target: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    request("PATCH", target).body(body)
}

pub(crate) fn delete(target: impl Into<String>) -> Request {
    request("DELETE", target)
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {encoded}"))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the body without telling its length first.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    pub(crate) async fn send(self, to: SocketAddr) -> Answer {
        let is_head = self.method == "HEAD";
        let exchange = async {
            let mut stream = self.open(to).await;
            let mut received = Vec::new();
            // A reset in the middle of an answer is an end like any other.
            let _ = (&mut stream).take(ANSWER_SIZE_MAX).read_to_end(&mut received).await;
            received
        };
        let received = tokio::time::timeout(DEADLINE, exchange).await.expect("an answer in time");
        parse(&received, is_head)
    }

    /// Sends the request and returns the connection, for tests that read the answer themselves.
    pub(crate) async fn open(&self, to: SocketAddr) -> TcpStream {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        head += &format!("Host: {to}\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = match &self.body {
            Some(body) if self.chunked => {
                head += "Transfer-Encoding: chunked\r\n";
                let mut encoded = Vec::new();
                for chunk in body.chunks(4096) {
                    encoded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    encoded.extend_from_slice(chunk);
                    encoded.extend_from_slice(b"\r\n");
                }
                encoded.extend_from_slice(b"0\r\n\r\n");
                encoded
            }
            Some(body) => {
                head += &format!("Content-Length: {}\r\n", body.len());
                body.clone()
            }
            None => Vec::new(),
        };
        head += "\r\n";
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may refuse by the head alone and close; then the answer is what counts.
        let _ = stream.write_all(&body).await;
        stream
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a refusal in OCI's form, whose form is checked on the way.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        let [error] = body["errors"].as_array().unwrap().as_slice() else {
            panic!("wanted one error, found {body}");
        };
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(error.get("detail").is_some());
        error["code"].as_str().unwrap().to_owned()
    }

    /// Status and code, for refusals.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The target of a `Link` to the next page.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let target = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
        Some(target.to_owned())
    }
}

pub(crate) fn parse(received: &[u8], is_head: bool) -> Answer {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&received[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new(), complete: true };
    let rest = &received[end + 4..];
    if is_head || status == 204 || status == 304 {
        assert!(rest.is_empty(), "an answer that has no body has {} bytes", rest.len());
    } else if answer.header("transfer-encoding") == Some("chunked") {
        (answer.body, answer.complete) = dechunk(rest);
    } else {
        let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
        answer.complete = rest.len() == announced;
        answer.body = rest.to_vec();
    }
    answer
}

/// RFC 9112 §7.1; the second value tells whether the last chunk came.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            body.extend_from_slice(rest);
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
