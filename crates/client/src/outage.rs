//! Services that are down: asked again for a while, passed over for the next of their kind, and
//! named in the end.
//!
//! HTTP itself repeats a request a few times within a second or two, and keeps to `Retry-After` and
//! to a budget for each host. This is for what lasts longer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::retry;

/// How long services that are down are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often each service is asked at most, whatever HTTP repeats by itself.
    pub rounds_max: u32,
    /// Pause before the second round; doubled before each further one, and longer where a service
    /// asks for that.
    pub first_pause: Duration,
    /// Time for a certificate, with all pauses.
    pub certificate_time: Duration,
    /// Time for timestamps and log entries of one artifact, with all pauses.
    pub witness_time: Duration,
}

impl Default for Patience {
    /// Four rounds in up to 30 s for a certificate and 90 s for the rest (Cosign's limits): an
    /// outage of a quarter of a minute is not noticed.
    fn default() -> Self {
        Self {
            rounds_max: 4,
            first_pause: Duration::from_secs(2),
            certificate_time: Duration::from_secs(30),
            witness_time: Duration::from_secs(90),
        }
    }
}

/// Services of one kind, of which so many must answer.
#[derive(Clone, Debug)]
pub(crate) struct Pool<S> {
    what: &'static str,
    wanted: usize,
    services: Vec<S>,
}

/// Too few services of a kind answered.
#[derive(Clone, Debug)]
pub struct Outage {
    what: &'static str,
    wanted: usize,
    answered: usize,
    /// What came of each that did not answer, last time.
    failures: Vec<FetchError>,
    rounds: u32,
    lasted: Duration,
}

/// Why a pool gave nothing.
pub(crate) enum PoolError<E> {
    /// A service refused, as all others would.
    Refused(E),
    /// Too few answered.
    Outage(Outage),
}

/// Why a service gave nothing.
pub(crate) trait FromService {
    /// What came of asking it, unless the reason is another.
    fn fetch_error(&self) -> Option<&FetchError>;
}

impl FromService for FetchError {
    fn fetch_error(&self) -> Option<&FetchError> {
        Some(self)
    }
}

/// Whether a service that failed may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Whatever has happened: doing it twice does no harm.
    Always,
    /// Only when it says that it did nothing.
    IfNothingWasDone,
}

impl<S> Pool<S> {
    pub(crate) fn new(what: &'static str, wanted: usize, services: Vec<S>) -> Self {
        Self { what, wanted, services }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &S> {
        self.services.iter()
    }

    /// Asks as many services as are wanted, at once; for each that is down the next, and when there
    /// is none left those that are down again, after a pause. Answers come in the services' order.
    pub(crate) async fn ask<'a, T, E, F>(
        &'a self,
        patience: Patience,
        deadline: Deadline,
        again: Again,
        ask: impl Fn(&'a S) -> F,
    ) -> Result<Vec<T>, PoolError<E>>
    where
        E: FromService,
        F: Future<Output = Result<T, E>>,
    {
        let start = Instant::now();
        let mut answers = BTreeMap::new();
        let mut failures = BTreeMap::new();
        let mut rounds = 0;
        loop {
            rounds += 1;
            let worth = |index: &usize| match failures.get(index) {
                None => !answers.contains_key(index),
                Some(error) => again == Again::Always || nothing_was_done(error),
            };
            let mut queue: Vec<usize> = (0..self.services.len()).filter(worth).collect();
            while answers.len() < self.wanted && !queue.is_empty() {
                let many = queue.len().min(self.wanted - answers.len());
                let batch: Vec<usize> = queue.drain(..many).collect();
                let asked = batch.iter().map(|index| ask(&self.services[*index]));
                for (index, outcome) in batch.iter().zip(join_all(asked).await) {
                    match outcome {
                        Ok(answer) => {
                            failures.remove(index);
                            answers.insert(*index, answer);
                        }
                        Err(error) => match error.fetch_error() {
                            Some(failure) if is_outage(failure) => {
                                failures.insert(*index, failure.clone());
                            }
                            _ => return Err(PoolError::Refused(error)),
                        },
                    }
                }
            }
            if answers.len() >= self.wanted {
                return Ok(answers.into_values().collect());
            }
            let asked = failures.values().filter_map(asked_pause).max().unwrap_or_default();
            let pause = retry::pause(patience.first_pause, rounds).max(asked);
            let hopeful = again == Again::Always || failures.values().any(nothing_was_done);
            if rounds >= patience.rounds_max || pause >= deadline.left() || !hopeful {
                return Err(PoolError::Outage(Outage {
                    what: self.what,
                    wanted: self.wanted,
                    answered: answers.len(),
                    failures: failures.into_values().collect(),
                    rounds,
                    lasted: start.elapsed(),
                }));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

impl Outage {
    /// What came of each service that did not answer, when it was asked last.
    #[must_use]
    pub fn failures(&self) -> &[FetchError] {
        &self.failures
    }

    /// How long they were asked.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.lasted
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, answered, failures, rounds, lasted } = self;
        match wanted {
            1 => write!(f, "no {what} answered")?,
            // `authority` is the only word of them with another plural than its own and an `s`.
            _ => match what.strip_suffix('y') {
                Some(stem) => write!(f, "{answered} of the {wanted} {stem}ies wanted answered")?,
                None => write!(f, "{answered} of the {wanted} {what}s wanted answered")?,
            },
        }
        let noun = if *rounds == 1 { "round" } else { "rounds" };
        write!(f, " in {:.1} s and {rounds} {noun}", lasted.as_secs_f64())?;
        failures.iter().try_for_each(|failure| write!(f, "; {failure}"))
    }
}

impl std::error::Error for Outage {}

/// Whether another service, or the same one later, may do better.
fn is_outage(error: &FetchError) -> bool {
    matches!(
        error.kind(),
        FetchErrorKind::RateLimited { .. }
            | FetchErrorKind::ServerError { .. }
            | FetchErrorKind::Unreachable(_)
            | FetchErrorKind::TimedOut(_)
    )
}

/// Whether the service says that it did not take the request (RFC 9110 §15.6.4, RFC 6585 §4).
fn nothing_was_done(error: &FetchError) -> bool {
    match error.kind() {
        FetchErrorKind::RateLimited { .. } => true,
        FetchErrorKind::ServerError { status, .. } => status.as_u16() == 503,
        _ => false,
    }
}

fn asked_pause(error: &FetchError) -> Option<Duration> {
    match error.kind() {
        FetchErrorKind::RateLimited { retry_after } => *retry_after,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use reqwest::{Method, StatusCode};

    use super::*;
    use crate::error::Attempt;

    const NO_PAUSE: Patience = Patience {
        rounds_max: 3,
        first_pause: Duration::ZERO,
        certificate_time: Duration::from_secs(20),
        witness_time: Duration::from_secs(20),
    };

    fn failure(status: u16) -> FetchError {
        let url = "https://service.example".parse().expect("a URL");
        let status = StatusCode::from_u16(status).expect("a status");
        let message = String::new();
        let kind = match status.as_u16() {
            429 => FetchErrorKind::RateLimited { retry_after: None },
            500.. => FetchErrorKind::ServerError { status, message },
            _ => FetchErrorKind::Rejected { status, message },
        };
        FetchError::new(Attempt::new(&Method::POST, &url), kind)
    }

    /// Asks services that answer with these statuses, one for each time they are asked, the last one
    /// for ever. Gives the outcome, and who was asked.
    async fn ask(
        wanted: usize,
        again: Again,
        script: &[&[u16]],
    ) -> (Result<Vec<usize>, PoolError<FetchError>>, Vec<usize>) {
        let pool = Pool::new("log", wanted, (0..script.len()).collect());
        let asked = Mutex::new(Vec::new());
        let deadline = Deadline::after(NO_PAUSE.witness_time);
        let outcome = pool
            .ask(NO_PAUSE, deadline, again, |service: &usize| {
                let mut asked = asked.lock().expect("nobody panicked");
                let before = asked.iter().filter(|one| *one == service).count();
                asked.push(*service);
                let answers = script[*service];
                let status = answers[before.min(answers.len() - 1)];
                async move { if status == 200 { Ok(*service) } else { Err(failure(status)) } }
            })
            .await;
        let asked = asked.into_inner().expect("nobody panicked");
        (outcome, asked)
    }

    async fn answers(wanted: usize, again: Again, script: &[&[u16]]) -> (Vec<usize>, Vec<usize>) {
        let (outcome, asked) = ask(wanted, again, script).await;
        (outcome.unwrap_or_else(|_| panic!("no answers to {script:?}")), asked)
    }

    #[tokio::test]
    async fn no_more_are_asked_than_are_wanted() {
        use Again::Always;
        assert_eq!(answers(1, Always, &[&[200], &[200]]).await, (vec![0], vec![0]));
        assert_eq!(answers(2, Always, &[&[200], &[200], &[200]]).await, (vec![0, 1], vec![0, 1]));
    }

    #[tokio::test]
    async fn the_next_takes_the_place_of_one_that_is_down() {
        use Again::{Always, IfNothingWasDone};
        for status in [429, 500, 502, 503, 504] {
            for again in [Always, IfNothingWasDone] {
                let found = answers(1, again, &[&[status], &[200]]).await;
                assert_eq!(found, (vec![1], vec![0, 1]), "{status}");
            }
        }
        let found = answers(2, Always, &[&[503], &[200], &[200]]).await;
        assert_eq!(found, (vec![1, 2], vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn those_that_are_down_are_asked_again_and_no_others() {
        use Again::{Always, IfNothingWasDone};
        assert_eq!(answers(1, Always, &[&[502, 502, 200]]).await, (vec![0], vec![0, 0, 0]));
        let found = answers(2, Always, &[&[200], &[502, 200]]).await;
        assert_eq!(found, (vec![0, 1], vec![0, 1, 1]));
        // Whatever may have been done is not asked for twice.
        let found = answers(1, IfNothingWasDone, &[&[502, 200], &[503, 200]]).await;
        assert_eq!(found, (vec![1], vec![0, 1, 1]));
        let (outcome, asked) = ask(1, IfNothingWasDone, &[&[502, 200]]).await;
        assert!(matches!(outcome, Err(PoolError::Outage(_))));
        assert_eq!(asked, [0]);
    }

    #[tokio::test]
    async fn an_outage_is_told_in_full() {
        let (outcome, asked) = ask(2, Again::Always, &[&[200], &[502], &[429]]).await;
        let Err(PoolError::Outage(outage)) = outcome else { panic!("wanted an outage") };
        assert_eq!(asked, [0, 1, 2, 1, 2, 1, 2]);
        assert_eq!(outage.failures().len(), 2);
        let said = outage.to_string();
        assert!(said.starts_with("1 of the 2 logs wanted answered in "), "{said}");
        assert!(said.contains("3 rounds") && said.contains("service.example"), "{said}");
    }

    /// Each noun fits its number, and each kind of service has its plural.
    #[tokio::test]
    async fn an_outage_is_told_in_words_that_fit() {
        let told = async |what, wanted, again, script: &[&[u16]]| {
            let pool = Pool::new(what, wanted, (0..script.len()).collect());
            let deadline = Deadline::after(NO_PAUSE.witness_time);
            let asked = pool.ask(NO_PAUSE, deadline, again, |service: &usize| {
                let status = script[*service][0];
                async move { if status == 200 { Ok(()) } else { Err(failure(status)) } }
            });
            let Err(PoolError::Outage(outage)) = asked.await else { panic!("wanted an outage") };
            outage.to_string()
        };
        let said = told("certificate authority", 1, Again::IfNothingWasDone, &[&[502]]).await;
        assert!(said.starts_with("no certificate authority answered in "), "{said}");
        assert!(said.contains(" s and 1 round; "), "{said}");
        let said = told("timestamp authority", 2, Again::Always, &[&[200], &[502]]).await;
        assert!(said.starts_with("1 of the 2 timestamp authorities wanted answered"), "{said}");
        assert!(said.contains(" s and 3 rounds; "), "{said}");
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let (outcome, asked) = ask(1, Again::Always, &[&[400], &[200]]).await;
        assert!(matches!(outcome, Err(PoolError::Refused(_))));
        assert_eq!(asked, [0]);
    }
}
