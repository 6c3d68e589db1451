//! SPIFFE's Workload API: the agent of this machine says who the calling process is.
//!
//! SPIFFE Workload Endpoint §3 (transport, the metadata that every call carries), §4 (where it is) and
//! §6 (errors); SPIFFE Workload API, `FetchJWTSVID`; gRPC over HTTP/2 as in gRPC's
//! `PROTOCOL-HTTP2.md`. One unary call on a local socket: `h2` and two messages of `prost`, instead of
//! a gRPC framework. Nothing secret is sent: the agent knows us by our process.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::{Either, select};
use http::{HeaderMap, Request, Response, StatusCode};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::token::TOKEN_SIZE_MAX;
use crate::deadline::Deadline;
use crate::error::{Cause, printable};
use crate::secret::Secret;

/// Where the standard has the address put.
pub(super) const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

/// `/package.Service/Method`; the service has no package (SPIFFE Workload API, `workload.proto`).
const METHOD: &str = "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID";

/// Identities read of one answer. The first is the one to use; agents send one for each registration.
const SVIDS_MAX: usize = 64;

/// Longest answer read, in bytes: a few tokens of the length that is taken.
const ANSWER_SIZE_MAX: usize = 4 * TOKEN_SIZE_MAX;

/// Longest headers and trailers read, in bytes (gRPC's usual limit for metadata).
const HEADERS_SIZE_MAX: u32 = 8 * 1024;

/// Longest message of an error quoted, in characters.
const COMPLAINT_CHARACTERS_MAX: usize = 300;

/// How long the agent may take: it is on this machine, and may ask its server for a signature.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What stands before a message: whether it is compressed, and its length.
const PREFIX_SIZE: usize = 5;

/// `JWTSVIDRequest`.
#[derive(Clone, PartialEq, Message)]
struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    audience: Vec<String>,
}

/// `JWTSVIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct JwtSvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<JwtSvid>,
}

/// `JWTSVID`; the other fields repeat what the token says.
#[derive(Clone, PartialEq, Message)]
struct JwtSvid {
    #[prost(string, tag = "2")]
    svid: String,
}

/// Why the agent of SPIFFE gave no identity.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadApiError {
    /// The address is none that is asked.
    #[error("{VARIABLE}: wanted {wanted}, found `{found}`")]
    Address {
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// Nobody listens there.
    #[error("no connection to {endpoint}")]
    Connect {
        /// Where.
        endpoint: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It took too long.
    #[error("{endpoint} did not answer in time")]
    TimedOut {
        /// Where.
        endpoint: String,
    },
    /// What listens there does not speak HTTP/2, or broke off.
    #[error("{endpoint} does not speak gRPC, or broke off")]
    Transport {
        /// Where.
        endpoint: String,
        /// What happened.
        source: Cause,
    },
    /// The agent said no.
    #[error("{endpoint} refused: {status}{}", said(message))]
    Refused {
        /// Where.
        endpoint: String,
        /// gRPC's status.
        status: GrpcStatus,
        /// What the agent says.
        message: String,
    },
    /// The answer is not what the protocol says.
    #[error("the answer of {endpoint}: wanted {wanted}, found {found}")]
    Malformed {
        /// Where.
        endpoint: String,
        /// What the protocol says.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
}

/// A status of gRPC (`statuscodes.md`), as the number that stands in `grpc-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcStatus(pub u32);

impl GrpcStatus {
    /// The call has a mistake: for this API, that the metadata is missing (Workload Endpoint §6).
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// There is no identity for the caller (Workload Endpoint §6).
    pub const PERMISSION_DENIED: Self = Self(7);
    /// The endpoint has other services, not this one.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// The agent is not ready yet (Workload Endpoint §6).
    pub const UNAVAILABLE: Self = Self(14);
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INVALID_ARGUMENT => f.write_str("InvalidArgument"),
            Self::PERMISSION_DENIED => f.write_str("PermissionDenied"),
            Self::UNIMPLEMENTED => f.write_str("Unimplemented"),
            Self::UNAVAILABLE => f.write_str("Unavailable"),
            Self(number) => write!(f, "gRPC status {number}"),
        }
    }
}

impl WorkloadApiError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Address { .. } => "write it as `unix:///run/spire/agent.sock`",
            Self::Connect { .. } => {
                "mount the agent's socket into this container, or unset SPIFFE_ENDPOINT_SOCKET"
            }
            Self::Refused { status: GrpcStatus::PERMISSION_DENIED, .. } => {
                "the agent knows no identity for this process: make a registration entry whose \
                 selectors fit it (`spire-server entry create`); a new one takes some seconds to \
                 get to the agent"
            }
            Self::Refused { status: GrpcStatus::UNAVAILABLE, .. } | Self::TimedOut { .. } => {
                "the agent is not ready: look at its log, and try again"
            }
            Self::Refused { status: GrpcStatus::UNIMPLEMENTED, .. } | Self::Transport { .. } => {
                "name the socket of the Workload API in SPIFFE_ENDPOINT_SOCKET, not the agent's \
                 socket for administrators"
            }
            Self::Refused { .. } | Self::Malformed { .. } => return None,
        })
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Where the Workload API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(&printable(&path.display().to_string(), 200)),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Endpoint {
    /// A URI as the standard has it, or a bare path as Cosign has it.
    pub(super) fn parse(text: &str) -> Result<Self, WorkloadApiError> {
        let bad = |wanted| WorkloadApiError::Address { wanted, found: printable(text, 160) };
        if let Some(address) = text.strip_prefix("tcp://") {
            let wanted = "an IP address and a port, as `tcp://127.0.0.1:8081`";
            let address: SocketAddr = address.parse().map_err(|_| bad(wanted))?;
            // Nothing but the network tells us that this is the agent, and the agent who we are, so
            // that it has to be a local one (§3). On a link others may still listen in; the standard
            // leaves that to whoever names it.
            return match is_local(address.ip()) {
                true => Ok(Self::Tcp(address)),
                false => Err(bad("a loopback or link-local address")),
            };
        }
        let path = match text.strip_prefix("unix:") {
            None => text,
            // Neither authority nor query nor fragment (§4); what is escaped is read by no two agents
            // alike.
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.contains(['?', '#', '%']) {
                    return Err(bad("a socket's path without `?`, `#` and `%`"));
                }
                path
            }
        };
        if !Path::new(path).is_absolute() {
            return Err(bad("`unix://` and a socket's absolute path, or `tcp://IP:PORT`"));
        }
        Ok(Self::Unix(path.into()))
    }

    /// The token for an audience, of the identity to use where several are offered.
    pub(super) async fn fetch(
        &self,
        audience: &str,
        deadline: Deadline,
    ) -> Result<Secret, WorkloadApiError> {
        let end = deadline.or_after(TIMEOUT);
        let asked = tokio::time::timeout_at(end.instant(), async {
            let failed = |source| WorkloadApiError::Connect { endpoint: self.to_string(), source };
            match self {
                #[cfg(unix)]
                Self::Unix(path) => {
                    let stream = tokio::net::UnixStream::connect(path).await.map_err(failed)?;
                    self.ask(stream, audience, end).await
                }
                #[cfg(not(unix))]
                Self::Unix(_) => Err(failed(io::ErrorKind::Unsupported.into())),
                Self::Tcp(address) => {
                    let stream = TcpStream::connect(address).await.map_err(failed)?;
                    self.ask(stream, audience, end).await
                }
            }
        });
        let timed_out = || WorkloadApiError::TimedOut { endpoint: self.to_string() };
        asked.await.map_err(|_| timed_out())?
    }

    /// One connection for one call. It has to be driven for the call to get on.
    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        audience: &str,
        end: Deadline,
    ) -> Result<Secret, WorkloadApiError> {
        let (client, connection) = h2::client::Builder::new()
            .enable_push(false)
            .max_header_list_size(HEADERS_SIZE_MAX)
            .handshake(stream)
            .await
            .map_err(|error| self.broken(error))?;
        let call = std::pin::pin!(self.call(client, audience, end));
        match select(call, connection).await {
            Either::Left((answer, _)) => answer,
            // What had arrived by then is there still, and a call without an answer knows why.
            Either::Right((_, call)) => call.await,
        }
    }

    async fn call(
        &self,
        client: h2::client::SendRequest<Bytes>,
        audience: &str,
        end: Deadline,
    ) -> Result<Secret, WorkloadApiError> {
        let broken = |error| self.broken(error);
        let request = Request::post(METHOD)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", format!("{}m", end.left().as_millis()))
            // Without it the agent has to refuse: whoever talks others into requests cannot set it.
            .header("workload.spiffe.io", "true")
            .body(())
            .expect("constant headers are well-formed");
        let mut client = client.ready().await.map_err(broken)?;
        let (response, mut body) = client.send_request(request, false).map_err(broken)?;
        body.send_data(framed(audience), true).map_err(broken)?;
        let (head, mut body) = response.await.map_err(broken)?.into_parts();
        let head = Response::from_parts(head, ());
        self.check_head(&head)?;
        let mut message = BytesMut::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(broken)?;
            if message.len() + piece.len() > ANSWER_SIZE_MAX {
                let wanted = "at most 64 KiB";
                return Err(self.malformed(wanted, "more"));
            }
            body.flow_control().release_capacity(piece.len()).map_err(broken)?;
            message.extend_from_slice(&piece);
        }
        let trailers = body.trailers().await.map_err(broken)?;
        // Who has nothing but a status to say says it in the headers ("Trailers-Only").
        self.check_status(trailers.as_ref().unwrap_or(head.headers()))?;
        self.token(&message)
    }

    fn check_head(&self, head: &Response<()>) -> Result<(), WorkloadApiError> {
        let kind = head.headers().get("content-type").and_then(|value| value.to_str().ok());
        let grpc = kind.is_some_and(|kind| kind.starts_with("application/grpc"));
        if head.status() == StatusCode::OK && grpc {
            return Ok(());
        }
        let kind = printable(kind.unwrap_or("nothing"), 80);
        Err(self.malformed("200 with gRPC", &format!("{} with {kind}", head.status())))
    }

    fn check_status(&self, trailers: &HeaderMap) -> Result<(), WorkloadApiError> {
        let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
        let status = text("grpc-status").and_then(|status| status.parse().ok());
        match status {
            Some(0) => Ok(()),
            None => Err(self.malformed("a status in `grpc-status`", "none")),
            Some(status) => Err(WorkloadApiError::Refused {
                endpoint: self.to_string(),
                status: GrpcStatus(status),
                message: unescaped(text("grpc-message").unwrap_or_default()),
            }),
        }
    }

    /// The token of the first identity, which is the one to use where several are offered.
    fn token(&self, message: &[u8]) -> Result<Secret, WorkloadApiError> {
        let one = "one message that is not compressed";
        let Some((prefix, message)) = message.split_first_chunk::<PREFIX_SIZE>() else {
            return Err(self.malformed(one, "none"));
        };
        let [compressed, length @ ..] = *prefix;
        if compressed != 0 || usize::try_from(u32::from_be_bytes(length)) != Ok(message.len()) {
            return Err(self.malformed(one, "something else"));
        }
        let JwtSvidResponse { svids } = JwtSvidResponse::decode(message)
            .map_err(|error| self.malformed("a JWTSVIDResponse", &error.to_string()))?;
        if svids.len() > SVIDS_MAX {
            return Err(self.malformed("at most 64 identities", &svids.len().to_string()));
        }
        match svids.into_iter().next() {
            Some(first) => Ok(Secret::new(first.svid)),
            None => Err(self.malformed("an identity", "none")),
        }
    }

    fn broken(&self, error: h2::Error) -> WorkloadApiError {
        WorkloadApiError::Transport { endpoint: self.to_string(), source: Cause::new(error) }
    }

    fn malformed(&self, wanted: &'static str, found: &str) -> WorkloadApiError {
        let (endpoint, found) = (self.to_string(), printable(found, 160));
        WorkloadApiError::Malformed { endpoint, wanted, found }
    }
}

fn is_local(address: IpAddr) -> bool {
    address.is_loopback()
        || match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
}

/// The request as gRPC frames it.
fn framed(audience: &str) -> Bytes {
    let request = JwtSvidRequest { audience: vec![audience.to_owned()] };
    let length = request.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_SIZE + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("an audience is not gigabytes long"));
    request.encode(&mut framed).expect("the buffer grows");
    framed.freeze()
}

/// A message as `grpc-message` carries it: bytes that are not printable are percent-encoded.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => {
                let hex = |digit: &u8| char::from(*digit).to_digit(16);
                hex(high).zip(hex(low)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[3..] } else { after };
    }
    printable(&String::from_utf8_lossy(&bytes), COMPLAINT_CHARACTERS_MAX)
}
