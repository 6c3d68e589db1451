//! HTTP/1.1 by hand over one connection a request: no more than the tests need, and nothing
//! between them and the bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Time for anything at all to come back.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer read, in bytes.
const ANSWER_SIZE_MAX: u64 = 64 << 20;

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The one header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The same, if it has that status.
    #[track_caller]
    pub(crate) fn wanted(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Checks that it is an error in the form of the APIs, and returns its message.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        let json = self.json();
        assert!(json["code"].is_u64(), "{json}");
        json["message"].as_str().unwrap().to_owned()
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Opens a connection.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request, and reads its answer to the end of the connection.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = connect(address)?;
    // Who is refused may be told before all was sent.
    let sent = stream.write_all(&request(method, path, headers, body));
    read_answer(&mut stream).map_err(|error| sent.err().unwrap_or(error))
}

/// Reads to the end of the connection.
pub(crate) fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let read = stream.take(ANSWER_SIZE_MAX).read_to_end(&mut bytes);
    match parse(&bytes) {
        Some(answer) => Ok(answer),
        None => Err(read.err().unwrap_or_else(|| {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            io::Error::new(io::ErrorKind::UnexpectedEof, format!("half an answer: {found:?}"))
        })),
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        })
        .collect::<Option<_>>()?;
    let answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
    let size = answer.header("content-length").map(|size| size.parse::<usize>().unwrap());
    // Nothing here streams: an answer without its length would be cut off unnoticed.
    (size.unwrap_or(0) == answer.body.len()).then_some(answer)
}
