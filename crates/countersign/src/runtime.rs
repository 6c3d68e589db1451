//! The async runtime, made only by commands that speak to others.

use std::future::Future;

use crate::exit::{Exit, Failure};

/// Runs a command to its end.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failure, "cannot start the runtime").caused_by(error))?
        .block_on(command)
}

/// Runs what does not wait for others, on this thread.
pub(crate) fn block_on_here<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(Exit::Failure, "cannot start the runtime").caused_by(error))?
        .block_on(work)
}

/// Runs what blocks where it may. A panic in there is a failure here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Exit::Failure, "a task was lost").caused_by(error))
}

/// What is returned resolves when the process is asked to stop: SIGINT (Ctrl-C) or SIGTERM. From
/// this call on neither ends it by itself, so that who was told that it is ready may stop it.
pub(crate) fn stop_asked() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Where one cannot be had it keeps its usual effect, and ends the process.
        let mut signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        async move {
            let [interrupt, terminate] = &mut signals;
            tokio::select! {
                () = received(interrupt) => {}
                () = received(terminate) => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(unix)]
async fn received(signal: &mut std::io::Result<tokio::signal::unix::Signal>) {
    match signal {
        Ok(signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
