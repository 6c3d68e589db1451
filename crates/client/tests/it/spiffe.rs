//! The agent of SPIFFE is asked as its standard says, and its answers are bounded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use client::Deadline;
use client::oidc::{GrpcStatus, ParseTokenError, Provider, TokenError, Unsafe, WorkloadApiError};
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use prost::Message;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::oidc::{Here, ours, token};

/// The messages as `workload.proto` defines them, whole.
#[derive(Clone, PartialEq, Message)]
struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    audience: Vec<String>,
    #[prost(string, tag = "2")]
    spiffe_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct JwtSvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<JwtSvid>,
}

#[derive(Clone, PartialEq, Message)]
struct JwtSvid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(string, tag = "2")]
    svid: String,
    #[prost(string, tag = "3")]
    hint: String,
}

/// What an agent does with a call that carries what it has to.
#[derive(Clone)]
enum Says {
    /// These bytes, and this status behind them.
    Message(Bytes, u32),
    /// The status alone, in the headers.
    Status(u32, &'static str),
    /// An answer that is not gRPC.
    Http(u16, &'static str),
    /// The message without a status.
    NoStatus(Bytes),
    /// Megabytes.
    Endless,
    /// Nothing, ever.
    Nothing,
}

fn framed(message: &impl Message) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.encoded_len() as u32);
    message.encode(&mut framed).unwrap();
    framed.freeze()
}

fn svids(tokens: &[&str]) -> Bytes {
    let svid = |token: &&str| JwtSvid {
        spiffe_id: "spiffe://example.org/ci".to_owned(),
        svid: (*token).to_owned(),
        hint: "internal".to_owned(),
    };
    framed(&JwtSvidResponse { svids: tokens.iter().map(svid).collect() })
}

type Calls = Arc<Mutex<Vec<(Request<()>, JwtSvidRequest)>>>;

/// An agent on a socket of its own.
struct Agent {
    socket: PathBuf,
    _folder: TempDir,
    calls: Calls,
    task: JoinHandle<()>,
}

impl Agent {
    fn start(says: Says) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, says.clone(), Arc::clone(&seen)));
            }
        });
        Self { socket, _folder: folder, calls, task }
    }

    fn uri(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    async fn error(&self) -> WorkloadApiError {
        error_at(&self.uri()).await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn error_at(address: &str) -> WorkloadApiError {
    match Here::new().find(&[("SPIFFE_ENDPOINT_SOCKET", address)]).await.unwrap_err() {
        TokenError::WorkloadApi(error) => error,
        error => panic!("{address}: {error:?}"),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, says: Says, calls: Calls) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (says, calls) = (says.clone(), Arc::clone(&calls));
        // A client that goes away in the middle is part of some tests.
        tokio::spawn(async move { answer(request, respond, says, &calls).await.ok() });
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    says: Says,
    calls: &Calls,
) -> Result<(), h2::Error> {
    let (parts, mut body) = request.into_parts();
    let mut sent = BytesMut::new();
    while let Some(piece) = body.data().await {
        sent.extend_from_slice(&piece?);
    }
    let whole = sent.len() == 5 + sent[1..5].iter().fold(0, |n, b| n << 8 | usize::from(*b));
    assert!(sent[0] == 0 && whole, "one message that is not compressed");
    let message = JwtSvidRequest::decode(&sent[5..]).unwrap();
    let guarded = parts.headers.get("workload.spiffe.io").is_some_and(|value| value == "true");
    calls.lock().unwrap().push((Request::from_parts(parts, ()), message));
    // Workload Endpoint §6.
    let says = if guarded { says } else { Says::Status(3, "security header missing") };
    let grpc = || Response::builder().header("content-type", "application/grpc");
    let with_status = |status: u32| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.into());
        trailers
    };
    match says {
        Says::Status(status, message) => {
            let head = grpc().header("grpc-status", status).header("grpc-message", message);
            respond.send_response(head.body(()).unwrap(), true)?;
        }
        Says::Http(status, kind) => {
            let head = Response::builder().status(status).header("content-type", kind);
            respond.send_response(head.body(()).unwrap(), true)?;
        }
        Says::Message(bytes, status) => {
            let mut body = respond.send_response(grpc().body(()).unwrap(), false)?;
            body.send_data(bytes, false)?;
            body.send_trailers(with_status(status))?;
        }
        Says::NoStatus(bytes) => {
            let mut body = respond.send_response(grpc().body(()).unwrap(), false)?;
            body.send_data(bytes, true)?;
        }
        Says::Endless => {
            let mut body = respond.send_response(grpc().body(()).unwrap(), false)?;
            // More than a client may buffer; what it does not take stays here.
            for _ in 0..64 {
                body.send_data(Bytes::from(vec![0; 64 * 1024]), false)?;
            }
            std::future::pending::<()>().await;
        }
        Says::Nothing => std::future::pending::<()>().await,
    }
    Ok(())
}

#[tokio::test]
async fn the_agent_is_asked_as_the_standard_says() {
    let mine = ours("spiffe://example.org/ci");
    let agent = Agent::start(Says::Message(svids(&[mine.expose(), "another"]), 0));
    let path = agent.socket.display().to_string();
    // As the standard writes it, in both forms of RFC 3986, and as Cosign takes it.
    for address in [format!("unix://{path}"), format!("unix:{path}"), path] {
        let here = Here::new();
        let found = here.find(&[("SPIFFE_ENDPOINT_SOCKET", &address)]).await.unwrap();
        assert_eq!(found.subject(), "spiffe://example.org/ci");
    }
    let calls = agent.calls.lock().unwrap();
    assert_eq!(calls.len(), 3);
    for (head, message) in &*calls {
        assert_eq!(head.method(), "POST");
        assert_eq!(head.uri().path(), "/SpiffeWorkloadAPI/FetchJWTSVID");
        let header = |name| head.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("application/grpc"));
        assert_eq!(header("te"), Some("trailers"));
        let time = header("grpc-timeout").unwrap().strip_suffix('m').unwrap();
        assert!((1..=20_000).contains(&time.parse::<u32>().unwrap()), "{time}");
        assert_eq!(message.audience, ["sigstore"]);
        assert_eq!(message.spiffe_id, "");
    }
}

#[tokio::test]
async fn an_agent_may_listen_on_this_machines_own_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let says = Says::Message(svids(&[ours("me").expose()]), 0);
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, says, Calls::default()).await;
    });
    let found = Here::new().find(&[("SPIFFE_ENDPOINT_SOCKET", &address)]).await.unwrap();
    assert_eq!(found.subject(), "me");
    task.abort();
}

/// Where no variable names it, a socket where agents put it counts; the variable comes first, and
/// other places come before both.
#[tokio::test]
async fn an_agent_is_found_by_its_socket() {
    let agent = Agent::start(Says::Message(svids(&[ours("usual").expose()]), 0));
    let named = Agent::start(Says::Message(svids(&[ours("named").expose()]), 0));
    let mut here = Here::new();
    assert!(matches!(here.find(&[]).await.unwrap_err(), TokenError::Absent { .. }));
    here.places.spiffe_socket.clone_from(&agent.socket);
    assert_eq!(here.find(&[]).await.unwrap().subject(), "usual");
    let variable = ("SPIFFE_ENDPOINT_SOCKET", named.uri());
    let found = here.find(&[(variable.0, &variable.1)]).await.unwrap();
    assert_eq!(found.subject(), "named");
    let given = ours("variable");
    let both = [(variable.0, variable.1.as_str()), ("SIGSTORE_ID_TOKEN", given.expose())];
    assert_eq!(here.find(&both).await.unwrap().subject(), "variable");
    assert_eq!((agent.calls.lock().unwrap().len(), named.calls.lock().unwrap().len()), (1, 1));
}

/// Below `/tmp` anybody may listen, and who answers says who we are. Nor may he keep us from logging
/// in, which is what an error would do.
#[tokio::test]
async fn a_socket_that_anybody_may_have_put_there_is_passed_over() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    let agent = Agent::start(Says::Message(svids(&[ours("anybody").expose()]), 0));
    let folder = agent.socket.parent().unwrap();
    let refused = async |socket: &Path| {
        let mut here = Here::new();
        here.places.spiffe_socket = socket.to_owned();
        let error = here.find_at(Provider::Spiffe).await.unwrap_err();
        let TokenError::PassedOver(alone) = &error else { panic!("{error:?}") };
        assert!(error.hint().unwrap().contains("SPIFFE_ENDPOINT_SOCKET"));
        let error = here.find(&[]).await.unwrap_err();
        assert!(error.hint().unwrap().contains("name it in SPIFFE_ENDPOINT_SOCKET"));
        let TokenError::Absent { passed_over: Some(one), .. } = error else { panic!("{error:?}") };
        assert_eq!((&one, one.socket.as_path()), (alone, socket));
        // Who names it knows whose it is.
        here.find(&[("SPIFFE_ENDPOINT_SOCKET", &agent.uri())]).await.unwrap();
        (one.path, one.reason)
    };
    let mode = |mode| std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).unwrap();
    for open in [0o777, 0o775] {
        mode(open);
        assert_eq!(refused(&agent.socket).await, (folder.to_owned(), Unsafe::Writable));
    }
    mode(0o700);
    let link = folder.join("link");
    symlink(&agent.socket, &link).unwrap();
    assert_eq!(refused(&link).await, (link.clone(), Unsafe::Link));
    let linked = folder.join("linked");
    symlink(folder, &linked).unwrap();
    assert_eq!(refused(&linked.join("agent.sock")).await, (linked, Unsafe::Link));
    let file = folder.join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(refused(&file).await, (file.clone(), Unsafe::NoSocket));
    if file.metadata().unwrap().uid() == 0 {
        let owner = Unsafe::Owner { owner: 4711 };
        chown(&agent.socket, Some(4711), None).unwrap();
        assert_eq!(refused(&agent.socket).await, (agent.socket.clone(), owner.clone()));
        chown(&agent.socket, Some(0), None).unwrap();
        chown(folder, Some(4711), None).unwrap();
        assert_eq!(refused(&agent.socket).await, (folder.to_owned(), owner));
        chown(folder, Some(0), None).unwrap();
    } else {
        println!("skipped: only root can give a socket to somebody else");
    }
    // As below `/tmp`: others may write there, and not replace what is ours.
    mode(0o1777);
    let mut here = Here::new();
    here.places.spiffe_socket.clone_from(&agent.socket);
    assert_eq!(here.find(&[]).await.unwrap().subject(), "anybody");
}

#[tokio::test]
async fn addresses_that_are_none_are_not_asked() {
    for address in [
        "agent.sock",
        "unix://agent.sock",
        "unix:agent.sock",
        "unix:///run/agent.sock?x=1",
        "unix:///run/agent.sock#x",
        "unix:///run/agent%2esock",
        "https:///run/agent.sock",
        "tcp://localhost:8081",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:8081/x",
        "tcp://192.0.2.1:8081",
        "tcp://[2001:db8::1]:8081",
    ] {
        let error = error_at(address).await;
        assert!(matches!(&error, WorkloadApiError::Address { found, .. } if found == address));
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn what_the_agent_refuses_is_told_with_its_reason() {
    let agent = Agent::start(Says::Status(7, "no identity issued: 100%25 %e2%80%ae%zz%"));
    match agent.error().await {
        WorkloadApiError::Refused { status: GrpcStatus::PERMISSION_DENIED, message, .. } => {
            assert_eq!(message, "no identity issued: 100% %zz%");
        }
        error => panic!("{error:?}"),
    }
    let error = agent.error().await;
    assert!(error.hint().unwrap().contains("registration entry"));
    assert!(error.to_string().contains("PermissionDenied"));
    for (status, wanted) in [(12, "Unimplemented"), (14, "Unavailable"), (3, "InvalidArgument")] {
        // With a message, which then does not count.
        let agent = Agent::start(Says::Message(svids(&[ours("me").expose()]), status));
        let error = agent.error().await;
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_identity_is_refused() {
    let compressed = {
        let mut bytes = BytesMut::from(&svids(&["x"])[..]);
        bytes[0] = 1;
        bytes.freeze()
    };
    let cut = svids(&["x"]).slice(..6);
    let twice = Bytes::from([svids(&["x"]), svids(&["x"])].concat());
    let many = vec!["x"; 65];
    let broken = Bytes::from_static(&[0, 0, 0, 0, 2, 0x0a, 0x7f]);
    for (says, wanted) in [
        (Says::Message(Bytes::new(), 0), "one message"),
        (Says::Message(compressed, 0), "one message"),
        (Says::Message(cut, 0), "one message"),
        (Says::Message(twice, 0), "one message"),
        (Says::Message(broken, 0), "a JWTSVIDResponse"),
        (Says::Message(svids(&[]), 0), "an identity"),
        (Says::Message(svids(&many), 0), "at most 64 identities"),
        (Says::NoStatus(svids(&["x"])), "a status"),
        (Says::Http(404, "text/plain"), "200 with gRPC"),
        (Says::Http(200, "text/plain"), "200 with gRPC"),
        (Says::Endless, "at most 64 KiB"),
    ] {
        let error = Agent::start(says).error().await;
        assert!(
            matches!(&error, WorkloadApiError::Malformed { wanted: found, .. }
                if found.starts_with(wanted)),
            "{wanted}: {error:?}"
        );
    }
}

/// SPIRE's tokens have no issuer unless it is told to write one, and authorities know people by it.
#[tokio::test]
async fn a_token_without_an_issuer_comes_with_the_remedy() {
    let bare = token(&json!({"sub": "spiffe://example.org/ci", "aud": ["sigstore"]}));
    let agent = Agent::start(Says::Message(svids(&[bare.expose()]), 0));
    let here = Here::new();
    let error = here.find(&[("SPIFFE_ENDPOINT_SOCKET", &agent.uri())]).await.unwrap_err();
    assert!(matches!(
        error,
        TokenError::Unusable { from: "spiffe", source: ParseTokenError::BadClaims, .. }
    ));
    assert!(error.hint().unwrap().contains("jwt_issuer"));
}

#[tokio::test]
async fn nobody_and_somebody_else_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let address = socket.display().to_string();
    assert!(matches!(error_at(&address).await, WorkloadApiError::Connect { .. }));
    let listener = UnixListener::bind(&socket).unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    assert!(matches!(error_at(&address).await, WorkloadApiError::Transport { .. }));
    task.abort();
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_not_waited_for() {
    let agent = Agent::start(Says::Nothing);
    let soon = Deadline::after(Duration::from_millis(50));
    let here = Here::new();
    let error = here.find_by(&[("SPIFFE_ENDPOINT_SOCKET", &agent.uri())], soon).await.unwrap_err();
    assert!(matches!(error, TokenError::WorkloadApi(WorkloadApiError::TimedOut { .. })));
}
