//! The pool of leaves that wait for the next batch, and the callers that wait for their place.
//!
//! Bounded in entries, waiters and bytes: what does not fit is refused at once, never queued.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use crypto::merkle::NodeHash;
use evidence::{LeafIndex, UnixTime};
use tokio::sync::oneshot;

use crate::checkpoint::NotSigned;
use crate::index::IndexError;
use crate::leaf::{Form, Leaf};
use crate::read::ReadError;
use crate::sequence::PlanError;
use crate::storage::StorageError;

/// Most memory that leaves may take while they wait, in bytes: what is taken from a pool is staged in
/// one piece, and a start must be able to read that.
pub const POOL_SIZE_MAX: usize = 1 << 30;

/// A leaf's place in the log, durable and published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its index.
    pub index: LeafIndex,
    /// Its leaf hash.
    pub leaf_hash: NodeHash,
    /// When the log took it in.
    pub time: UnixTime,
    /// Whether the log had it already, or took it in for another caller.
    pub already: bool,
}

/// Why a leaf has no place in the log, as far as is known. After [`Self::Stopped`] it may still
/// get one, when the log is started again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Too much is waiting. Try again later.
    #[error("too many entries wait for a place in the log; try again later")]
    Full,
    /// The leaf is made for a log of another form.
    #[error("the leaf is made for a log of form {found:?}, this one has {wanted:?}")]
    OtherForm {
        /// The log's form.
        wanted: Form,
        /// The leaf's form.
        found: Form,
    },
    /// The batch it was in could not be planned. Nothing was logged.
    #[error("nothing can be logged now")]
    Refused(#[from] PlanError),
    /// The checkpoint could not be signed. Nothing was logged.
    #[error("the checkpoint was not signed")]
    NotSigned(#[from] NotSigned),
    /// The log takes in no more until it is started again.
    #[error("the log has stopped")]
    Stopped(#[source] Arc<Stop>),
}

/// Why a log stopped. It is never resumed from such a state, only opened again.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// It was asked to.
    #[error("the log was asked to stop")]
    Requested,
    /// Storage failed: whether the last batch is committed is not known until the next start.
    #[error("storage failed while appending; start the log again to recover")]
    Storage(#[from] StorageError),
    /// The index failed.
    #[error("the index failed")]
    Index(#[from] IndexError),
    /// The log could not be read back.
    #[error("the log could not be read back")]
    Read(#[from] ReadError),
}

pub(crate) type Answer = Result<Appended, AppendError>;

/// One leaf, and all who wait for it.
pub(crate) struct Queued {
    pub(crate) leaf: Leaf,
    pub(crate) identity: NodeHash,
    waiters: Vec<oneshot::Sender<Answer>>,
}

impl Queued {
    /// Answers the callers in the order in which they came: all but the first get `already`.
    pub(crate) fn answer(mut self, answer: &Answer) {
        let mut answer = answer.clone();
        for waiter in std::mem::take(&mut self.waiters) {
            // A caller that left does not want to know.
            let _ = waiter.send(answer.clone());
            if let Ok(appended) = &mut answer {
                appended.already = true;
            }
        }
    }
}

impl Drop for Queued {
    /// In a panic nobody is told anything: the process is about to abort, and nobody asked the log
    /// to stop.
    fn drop(&mut self) {
        if thread::panicking() {
            std::mem::take(&mut self.waiters).into_iter().for_each(std::mem::forget);
        }
    }
}

/// A caller's place in the queue: a future, or, outside a runtime, something to block on.
#[derive(Debug)]
#[must_use = "whether the leaf was logged is known only when this is awaited"]
pub struct Appending(oneshot::Receiver<Answer>);

impl Appending {
    /// Blocks until the leaf is published. Not for use inside an async runtime: await it there.
    ///
    /// # Errors
    /// As [`AppendError`] tells.
    pub fn wait(self) -> Answer {
        self.0.blocking_recv().unwrap_or_else(|_| Err(abandoned()))
    }
}

impl Future for Appending {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.0).poll(context);
        received.map(|answer| answer.unwrap_or_else(|_| Err(abandoned())))
    }
}

/// The sequencer went away without an answer: only when it is dropped unused.
fn abandoned() -> AppendError {
    AppendError::Stopped(Arc::new(Stop::Requested))
}

/// Bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) waiters_max: usize,
    pub(crate) weight_max: usize,
    /// Entries that make a batch due at once.
    pub(crate) batch_entries: usize,
    /// Least time between the starts of two batches.
    pub(crate) interval: Duration,
}

pub(crate) struct Pool {
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queued: Vec<Queued>,
    by_identity: HashMap<NodeHash, usize>,
    weight: usize,
    waiters: usize,
    closed: Option<Arc<Stop>>,
}

impl Pool {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues a leaf, or its caller behind the same leaf.
    pub(crate) fn add(&self, leaf: Leaf) -> Result<Appending, AppendError> {
        // Hashed before the lock is taken.
        let identity = leaf.identity();
        let weight = leaf.weight();
        let (waiter, appending) = oneshot::channel();
        let mut state = self.lock();
        if let Some(stop) = &state.closed {
            return Err(AppendError::Stopped(Arc::clone(stop)));
        }
        if state.waiters >= self.limits.waiters_max {
            return Err(AppendError::Full);
        }
        if let Some(at) = state.by_identity.get(&identity).copied() {
            state.queued[at].waiters.push(waiter);
        } else {
            if state.weight + weight > self.limits.weight_max {
                return Err(AppendError::Full);
            }
            let at = state.queued.len();
            state.by_identity.insert(identity, at);
            state.queued.push(Queued { leaf, identity, waiters: vec![waiter] });
            state.weight += weight;
        }
        state.waiters += 1;
        let is_news = state.queued.len() == 1 || state.queued.len() == self.limits.batch_entries;
        drop(state);
        if is_news {
            self.changed.notify_all();
        }
        Ok(Appending(appending))
    }

    /// Takes all that is queued.
    pub(crate) fn take(&self) -> Vec<Queued> {
        let mut state = self.lock();
        let closed = state.closed.take();
        std::mem::replace(&mut *state, State { closed, ..State::default() }).queued
    }

    /// Blocks until a batch is due: something is queued, and either `interval` has passed since
    /// `last` or there is much of it. `false` when nothing will come any more.
    pub(crate) fn wait_until_due(&self, last: Option<Instant>) -> bool {
        let mut state = self.lock();
        loop {
            if state.closed.is_some() {
                return !state.queued.is_empty();
            }
            let passed = last.map_or(Duration::MAX, |last| last.elapsed());
            let left = self.limits.interval.saturating_sub(passed);
            let is_much = state.queued.len() >= self.limits.batch_entries;
            state = if state.queued.is_empty() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else if is_much || left.is_zero() {
                return true;
            } else {
                let waited = self.changed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    /// Takes in no more. What is queued stays, for the sequencer to finish; the first reason holds.
    pub(crate) fn close(&self, stop: Arc<Stop>) {
        self.lock().closed.get_or_insert(stop);
        self.changed.notify_all();
    }

    /// Takes in no more, and tells all who wait.
    pub(crate) fn fail(&self, stop: &Arc<Stop>) {
        self.close(Arc::clone(stop));
        let answer = Err(AppendError::Stopped(Arc::clone(stop)));
        self.take().into_iter().for_each(|queued| queued.answer(&answer));
    }

    /// Why it was closed, unless because someone asked.
    pub(crate) fn failure(&self) -> Option<Arc<Stop>> {
        let closed = self.lock().closed.clone();
        closed.filter(|stop| !matches!(**stop, Stop::Requested))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half-way; the sequencer's own panic aborts the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
