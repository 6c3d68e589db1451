//! A small HTTP/1.1 server: loopback only, a bounded number of connections, and an end that comes
//! when it is asked for, whatever the clients do.
//!
//! RFC 9112. TLS is deliberately absent: loopback needs none. So is a deadline for bodies: a slow
//! client holds its own connection and nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::DevkitError;

/// Connections served at once; more wait in the operating system's queue.
const CONNECTIONS_MAX: usize = 256;

/// Bytes of a request line with its headers. Far above what a client sends: bearer tokens of a few
/// kilobytes are the longest part. Hyper bounds their number at 100.
const HEAD_SIZE_MAX: usize = 64 * 1024;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long open requests may take to end after a stop was asked for; then they are cut off.
const GRACE: Duration = Duration::from_millis(500);

/// Pause after a failed `accept`, which usually means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running server. Dropping it cuts everything off; [`Server::stop`] lets open requests finish.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A bound socket that does not answer yet: its address is known before the service is made.
pub(crate) struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    stop: watch::Sender<bool>,
}

/// Binds `address`; port 0 takes any free port.
pub(crate) async fn bind(address: SocketAddr) -> Result<Bound, DevkitError> {
    if !address.ip().is_loopback() {
        return Err(DevkitError::NotLoopback { found: address });
    }
    let failed = |source| DevkitError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { address, listener, stop: watch::Sender::new(false) })
}

impl Bound {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Turns true when the server is asked to stop, so that a request that hangs can end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Starts to answer.
    pub(crate) fn serve(self, router: Router) -> Server {
        let task = tokio::spawn(accept(self.listener, router, self.stop.subscribe()));
        Server { address: self.address, stop: self.stop, task }
    }
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, lets open requests end for a short while, cuts off the rest.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        // The task ends within `GRACE`; it fails only with the runtime, which ends it too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Takes the connections along: they live in the task's `JoinSet`.
        self.task.abort();
    }
}

/// Resolves once a stop was asked for, or the server is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, router.clone(), stop.clone()));
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is aborted when the set is dropped.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

/// A connection that was reset before it was accepted concerns nobody; anything else may repeat.
async fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn serve_connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // Latency only: a connection that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_SIZE_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        // A broken connection is the client's affair: it sees it, and there is no one else to tell.
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
