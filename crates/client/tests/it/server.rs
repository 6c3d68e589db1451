//! A loopback server that says exactly what a test tells it to, rules of HTTP or not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// Method and target, for short comparisons.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// Answers properly.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes, and then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// The same, and counts how many bytes the client let us send.
    Counted(Vec<u8>, Vec<u8>, Arc<AtomicU64>),
    /// Sends these bytes and then nothing more, without closing.
    Hang(Vec<u8>),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).with("Content-Type", content_type).body(body)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }

    pub(crate) fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = bytes.into();
        }
        self
    }
}

/// Serves until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, reply) = (Arc::clone(&requests), Arc::new(reply));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                connections.spawn(async move {
                    // A client that goes away in the middle is part of some tests.
                    let _ = serve(stream, &seen, &*reply).await;
                });
            }
        });
        Self { address, requests, task }
    }

    /// A server that must never be asked; [`Server::requests`] shows whether it was.
    pub(crate) async fn stranger() -> Self {
        Self::start(|_| Reply::status(200)).await
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Received::line).collect()
    }

    /// The credentials that any request brought here.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.requests()
            .iter()
            .filter_map(|request| request.header("authorization").map(str::to_owned))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request on a connection, and notes it.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Received>>,
    reply: &(impl Fn(&Received) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
    seen.lock().unwrap().push(request.clone());
    match reply(&request) {
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
            for (name, value) in &headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).await?;
            if request.method != "HEAD" {
                stream.write_all(&body).await?;
            }
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Endless(head, piece) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Reply::Counted(head, piece, sent) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&piece).await?;
                sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
        }
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await?;
            // The client hangs up first; until then there is nothing more to read.
            let mut rest = [0];
            let _ = stream.read(&mut rest).await?;
        }
    }
    stream.shutdown().await
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        // Who is greeted in TLS and does not speak it hangs up.
        if !bytes[0].is_ascii_uppercase() {
            return Ok(None);
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Received { method, target, headers, body: bytes.split_off(end) };
    let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    while request.body.len() < length {
        stream.read_buf(&mut request.body).await?;
    }
    Ok(Some(request))
}
