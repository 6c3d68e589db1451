//! The servers: routes, bounds on what comes in, and a stop that finishes what is under way.
//!
//! One listener serves authority, logs, timestamps and files. What touches the disk or judges large
//! requests runs on the blocking pool, of bounded size; issuing, which waits for the CT log in its
//! middle, computes on the runtime's threads, for about a millisecond.

pub(crate) mod admission;
mod authority;
mod body;
mod error;
mod files;
mod health;
mod log;
mod log_v1;
mod log_v2;
mod timestamp;
pub(crate) mod tls;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tlog::intake::v2::DssePolicy;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{BoxError, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use body::Room;
pub(crate) use error::ApiError;
pub(crate) use log::Intake;

use crate::instance::Instance;

/// Longest head of a request taken, and longest piece of a body read at a time, in bytes. A token has
/// a few thousand.
const HEAD_SIZE_MAX: usize = 64 * 1024;
/// Requests worked on at once; more are told to come back.
const REQUESTS_MAX: usize = 1024;
/// Connections open at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: u32 = 4096;
/// Time for a client to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request from its last header to the last byte of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Life of a connection. Who reads slowly, or keeps one open for nothing, does so no longer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);
/// Time for requests under way when a stop is asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What handlers share.
pub(crate) struct Services {
    /// The instance.
    pub(crate) instance: Arc<Instance>,
    /// Verifies identity tokens.
    pub(crate) tokens: authority::Tokens,
    /// Whether log v2 takes whole envelopes.
    pub(crate) log_v2_dsse: DssePolicy,
    /// Memory for what is sent and answered.
    pub(crate) room: Room,
    /// Turns to judge what is to be logged.
    pub(crate) intake: Intake,
}

/// Every route of an instance.
pub(crate) fn router(services: Arc<Services>) -> Router {
    let routes = Router::new()
        .merge(authority::routes())
        .merge(timestamp::routes())
        .merge(files::routes())
        .merge(health::routes())
        .merge(log_v1::routes())
        .merge(log_v2::routes())
        // A v2 log's clients look for it at the root of its host, or beside its API.
        .merge(log::tiles("", |instance| &instance.log_v2))
        .merge(log::tiles("/api/v2", |instance| &instance.log_v2))
        .merge(log::tiles("/v1", |instance| &instance.log_v1))
        .merge(log::tiles("/ct", |instance| &instance.certificate_log))
        .merge(log::issuers("/ct"))
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(services);
    bounded(routes)
}

/// Puts the bounds of every server around its routes.
pub(crate) fn bounded(routes: Router) -> Router {
    let bounds = ServiceBuilder::new()
        .layer(axum::error_handling::HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(REQUESTS_MAX))
        .timeout(REQUEST_TIMEOUT)
        .layer(CatchPanicLayer::custom(|_| ApiError::internal().into_response()));
    routes.layer(bounds)
}

async fn overloaded(error: BoxError) -> axum::response::Response {
    if error.is::<tower::timeout::error::Elapsed>() {
        return ApiError::new(StatusCode::GATEWAY_TIMEOUT, 4, "no answer in time").into_response();
    }
    ApiError::unavailable("too many requests at once").into_response()
}

/// What a connection goes through before HTTP is spoken over it.
pub(crate) trait Security: Clone + Send + 'static {
    /// The connection after that.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Does it.
    fn secure(
        &self,
        stream: TcpStream,
    ) -> Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;
}

/// Nothing: loopback, or a proxy in front.
#[derive(Clone)]
struct Plain;

impl Security for Plain {
    type Stream = TcpStream;

    fn secure(
        &self,
        stream: TcpStream,
    ) -> Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>> {
        Box::pin(async { Ok(stream) })
    }
}

/// Serves plain HTTP until `stop` resolves, then finishes what is under way, within bounds.
pub(crate) async fn serve(listener: TcpListener, routes: Router, stop: impl Future<Output = ()>) {
    serve_over(listener, Plain, routes, stop).await;
}

/// Serves over secured connections until `stop` resolves, then finishes what is under way, within
/// bounds.
pub(crate) async fn serve_over(
    listener: TcpListener,
    security: impl Security,
    routes: Router,
    stop: impl Future<Output = ()>,
) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_SIZE_MAX);
    let builder = Arc::new(builder);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    // Closed when the stop is asked for.
    let (running, ended) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let permit = Arc::clone(&connections).acquire_owned();
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = async { (permit.await, listener.accept().await) } => accepted,
        };
        let (Ok(permit), Ok((stream, _))) = accepted else {
            // Out of file descriptors, most likely: let some connections end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // An answer waits for nobody: batches are made by the log, not by the network stack.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let (builder, security, ended) = (Arc::clone(&builder), security.clone(), ended.clone());
        tokio::spawn(async move {
            let secured = tokio::time::timeout(HEAD_TIMEOUT, security.secure(stream)).await;
            match secured {
                Ok(Ok(stream)) => converse(&builder, stream, service, ended).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection was not secured"),
                Err(_) => tracing::debug!("a connection was not secured in time"),
            }
            drop(permit);
        });
    }
    drop(listener);
    drop(running);
    let all_ended = connections.acquire_many(CONNECTIONS_MAX);
    if tokio::time::timeout(STOP_TIMEOUT, all_ended).await.is_err() {
        tracing::warn!("requests still under way were cut off");
    }
}

/// Answers requests over one connection; from its time limit or the server's end on, only the one
/// that is under way.
async fn converse(
    builder: &Builder,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: TowerToHyperService<Router>,
    mut ended: watch::Receiver<()>,
) {
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome: Result<(), BoxError> = tokio::select! {
        outcome = connection.as_mut() => outcome.map_err(BoxError::from),
        () = async {
            tokio::select! {
                _ = ended.changed() => {}
                () = tokio::time::sleep(CONNECTION_TIME_MAX) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(REQUEST_TIMEOUT, connection).await {
                Ok(outcome) => outcome.map_err(BoxError::from),
                Err(_) => Err("the client did not read its answer in time".into()),
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended badly");
    }
}
