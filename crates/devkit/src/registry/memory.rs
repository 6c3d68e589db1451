//! A budget of bytes. Whatever the registry keeps holds its share until it is dropped, so that the
//! sum is right without a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget.
pub(super) struct Memory {
    size_max: usize,
    used: Arc<AtomicUsize>,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    size: usize,
    used: Arc<AtomicUsize>,
}

impl Memory {
    pub(super) fn new(size_max: usize) -> Self {
        Self { size_max, used: Arc::new(AtomicUsize::new(0)) }
    }

    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// Takes a share of `size` bytes; `None` if it is not there.
    pub(super) fn hold(&self, size: usize) -> Option<Held> {
        let enough = |used: usize| used.checked_add(size).filter(|sum| *sum <= self.size_max);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, enough).ok()?;
        Some(Held { size, used: Arc::clone(&self.used) })
    }
}

impl Held {
    /// Adds another share of the same budget to this one.
    pub(super) fn join(&mut self, mut other: Self) {
        self.size += std::mem::take(&mut other.size);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.used.fetch_sub(self.size, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn shares_come_back_once_and_never_exceed_the_budget() {
        let memory = Memory::new(10);
        let mut first = memory.hold(6).expect("six of ten");
        assert!(memory.hold(5).is_none());
        first.join(memory.hold(4).expect("the other four"));
        assert!(memory.hold(1).is_none());
        assert!(memory.hold(usize::MAX).is_none());
        drop(first);
        assert!(memory.hold(10).is_some());
    }
}
