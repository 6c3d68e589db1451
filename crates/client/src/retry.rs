//! When a request is sent again: after a pause, seldom, and never more than its host can bear.
//!
//! Each host has a budget that successes fill and retries empty, so that a failing host gets a few
//! more requests, not a multiple of them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// A retry costs ten successes' worth; a host may spend ten retries at once.
const RETRY_COST: u32 = 10;
const BUDGET_MAX: u32 = 10 * RETRY_COST;

/// Hosts whose budget is remembered. Beyond that, full ones are forgotten, which loses nothing.
const HOSTS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Budgets(Mutex<HashMap<String, u32>>);

impl Budgets {
    /// Notes a request that the host answered well.
    pub(crate) fn earn(&self, host: &str) {
        let mut budgets = self.lock();
        if let Some(budget) = budgets.get_mut(host) {
            *budget += 1;
            if *budget >= BUDGET_MAX {
                budgets.remove(host);
            }
        }
    }

    /// Takes one retry out of the host's budget, if there is one left.
    pub(crate) fn spend(&self, host: &str) -> bool {
        let mut budgets = self.lock();
        if !budgets.contains_key(host) && budgets.len() >= HOSTS_MAX {
            return false;
        }
        let budget = budgets.entry(host.to_owned()).or_insert(BUDGET_MAX);
        match budget.checked_sub(RETRY_COST) {
            Some(rest) => {
                *budget = rest;
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        // Nothing under the lock can leave the map half-changed.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Statuses that may pass by themselves (RFC 9110 §15.6, RFC 6585 §4).
pub(crate) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// The pause before the next try: doubled each time, and between half and all of it, so that many
/// clients which failed together do not come back together.
pub(crate) fn pause(first: Duration, tries: u32) -> Duration {
    let whole = first.saturating_mul(1 << (tries - 1).min(10));
    let [share] = crypto::random::bytes::<1>();
    whole / 2 + whole.mul_f64(f64::from(share) / 510.0)
}

/// What `Retry-After` asks (RFC 9110 §10.2.3). A date is measured against the answer's own `Date`,
/// because this layer has no clock and the host's may differ from ours anyway.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "not today" just as well.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp());
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    let pause = date(value)?.duration_since(now);
    Some(Duration::try_from(pause).unwrap_or_default())
}
