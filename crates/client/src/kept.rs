//! Values that are costly to get: fetched once for all who ask at the same time, kept until they
//! expire, and never more than a bounded number of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::deadline::Deadline;

/// Values kept. Beyond that all are forgotten, at the cost of fetching some of them again.
const VALUES_MAX: usize = 1024;

/// One value's place. Whoever holds its lock is the one who fetches.
type Cell<V> = Arc<tokio::sync::Mutex<Option<Fresh<V>>>>;

/// A value, and until when it serves.
#[derive(Clone, Debug)]
pub(crate) struct Fresh<V> {
    pub(crate) value: V,
    /// `None` for as long as we live.
    pub(crate) until: Option<Instant>,
}

/// Values by name.
#[derive(Debug)]
pub(crate) struct Kept<V>(Mutex<HashMap<String, Cell<V>>>);

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Kept<V> {
    /// The value of that name, fetched if it is not there or has expired. Failures are not kept:
    /// each who waited tries for themselves. `late` says what it means that the deadline passed
    /// while somebody else was fetching.
    pub(crate) async fn get<E>(
        &self,
        name: &str,
        deadline: Deadline,
        late: impl FnOnce() -> E,
        fetch: impl Future<Output = Result<Fresh<V>, E>>,
    ) -> Result<V, E> {
        let cell = self.cell(name);
        let Ok(mut place) = tokio::time::timeout_at(deadline.instant(), cell.lock()).await else {
            return Err(late());
        };
        if let Some(fresh) = place.as_ref().filter(|fresh| fresh.serves()) {
            return Ok(fresh.value.clone());
        }
        *place = None;
        let fresh = fetch.await?;
        let value = fresh.value.clone();
        *place = Some(fresh);
        Ok(value)
    }

    /// Forgets what has turned out not to serve.
    pub(crate) fn forget(&self, name: &str) {
        self.cells().remove(name);
    }

    fn cell(&self, name: &str) -> Cell<V> {
        let mut cells = self.cells();
        if cells.len() >= VALUES_MAX && !cells.contains_key(name) {
            cells.clear();
        }
        Arc::clone(cells.entry(name.to_owned()).or_default())
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<String, Cell<V>>> {
        // Nothing under the lock can leave the map half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Fresh<V> {
    fn serves(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}
