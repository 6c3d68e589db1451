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

/// The same, and where `with_parent` is said also when the standard input ends: whoever started the
/// process holds its other end, and lets go of it however he ends.
pub(crate) fn stop_asked_or_left(with_parent: bool) -> impl Future<Output = ()> {
    let asked = stop_asked();
    let left = with_parent.then(input_ended);
    async move {
        match left {
            None => asked.await,
            Some(left) => tokio::select! {
                () = asked => {}
                () = left => {}
            },
        }
    }
}

/// Resolves at the end of the standard input. A thread of its own reads it, because nothing can take
/// back a read that waits: the runtime would wait for it at its end.
fn input_ended() -> impl Future<Output = ()> {
    let (ended, seen) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // What comes is nobody's; an input that cannot be read has no parent at its other end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    async {
        let _ = seen.await;
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
