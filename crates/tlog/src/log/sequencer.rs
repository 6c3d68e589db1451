//! The one that changes a log: it takes what is queued, batch after batch, and makes it part of it.
//!
//! The order of a commit is Sunlight's: sign, stage the batch, swap the lock (from here on the
//! batch is in the log, whatever happens), write the tiles, publish the checkpoint, answer. An
//! error of storage at any of these steps stops the log; the next start finds out how far it came.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use crypto::merkle::NodeHash;
use evidence::{Checkpoint, LeafIndex, TreeSize, UnixTime};

use super::{Clock, Shared};
use crate::checkpoint::{CheckpointSigner, NotSigned, SignedCheckpoint};
use crate::leaf::Leaf;
use crate::pool::{AppendError, Appended, Queued, Stop};
use crate::read::{Published, ReadError};
use crate::recover::publish;
use crate::sequence::{Batch, Edge, plan};
use crate::stage::Staged;
use crate::storage::{Lock, Object, Objects, StorageError};
use crate::tile::TILE_WIDTH;

/// The one that appends to a log. There is one for each open log, on one thread.
pub struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) lock: Arc<dyn Lock>,
    pub(super) signer: Arc<dyn CheckpointSigner>,
    pub(super) clock: Clock,
    /// What the lock holds.
    pub(super) locked: Vec<u8>,
    /// The tree that the lock has committed to, which is published too.
    pub(super) edge: Edge,
    /// When the last batch began.
    pub(super) last: Option<Instant>,
}

impl Sequencer {
    /// Sequences batch after batch until the log is stopped, or must stop.
    pub fn run(mut self) -> Arc<Stop> {
        let outcome = self.catch_up().and_then(|()| {
            while self.shared.pool.wait_until_due(self.last) {
                self.last = Some(Instant::now());
                self.sequence()?;
            }
            Ok(())
        });
        outcome.err().unwrap_or_else(|| Arc::new(Stop::Requested))
    }

    /// Sequences what waits now, as one batch, and returns the size of the tree.
    ///
    /// # Errors
    /// When the log must stop. It has: every later call fails too.
    pub fn step(&mut self) -> Result<TreeSize, Arc<Stop>> {
        if let Some(stop) = self.shared.pool.failure() {
            return Err(stop);
        }
        self.catch_up()?;
        self.sequence()?;
        Ok(self.edge.size)
    }

    /// One batch, from the pool to the answers.
    fn sequence(&mut self) -> Result<(), Arc<Stop>> {
        let queued = self.shared.pool.take();
        let known = match self.known(&queued) {
            Ok(known) => known,
            Err(error) => return Err(self.fail_with(queued, error)),
        };
        let mut fresh = Vec::new();
        for (queued, known) in queued.into_iter().zip(known) {
            match known {
                Some(appended) => queued.answer(&Ok(appended)),
                None => fresh.push(queued),
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let leaves: Vec<Leaf> = fresh.iter().map(|queued| queued.leaf.clone()).collect();
        let (batch, signed) = match self.plan(&leaves) {
            Ok(planned) => planned,
            Err(refused) => {
                tracing::error!(error = %refused, "a batch was refused");
                let answer = Err(refused);
                fresh.into_iter().for_each(|queued| queued.answer(&answer));
                return Ok(());
            }
        };
        match self.commit(&batch, signed, leaves) {
            Ok(()) => self.answer(&batch, fresh),
            Err(error) => Err(self.fail_with(fresh, error)),
        }
    }

    /// For each leaf its place, if the log has it already. Only the sequencer asks, and between
    /// batches, when the index covers the whole log: so no leaf is logged twice.
    fn known(&self, queued: &[Queued]) -> Result<Vec<Option<Appended>>, ReadError> {
        let find = |identity: &NodeHash| {
            let index = self.shared.index.find(identity)?;
            index.map(|index| self.shared.confirm(index, identity)).transpose()
        };
        queued.iter().map(|queued| find(&queued.identity)).collect()
    }

    /// The next tree and its signed checkpoint, in memory only: if this fails nothing happened.
    fn plan(&self, leaves: &[Leaf]) -> Result<(Batch, SignedCheckpoint), AppendError> {
        let batch = plan(&self.edge, leaves, (self.clock)())?;
        let signed = sign(&*self.signer, &batch.edge, batch.time)?;
        Ok((batch, signed))
    }

    /// Makes the batch part of the log and publishes it.
    fn commit(
        &mut self,
        batch: &Batch,
        signed: SignedCheckpoint,
        leaves: Vec<Leaf>,
    ) -> Result<(), StorageError> {
        let base_root = self.edge.root();
        let published = &self.shared.reader.published().signed.checkpoint;
        assert!(
            (self.edge.size, base_root) == (published.size, published.root),
            "the edge in memory is the tree that was published"
        );
        let note = signed.note.clone().into_bytes();
        let staged = Staged { base: self.edge.size, base_root, time: batch.time, leaves };
        let object = Object::Staged { size: batch.size(), root: batch.root() };
        self.objects.put(object, &staged.to_bytes())?;
        // The commit: before this line the batch never was, after it the batch always will be.
        self.lock.swap(Some(&self.locked), &note)?;
        publish(&*self.objects, batch, &note)?;
        self.locked = note;
        self.edge = batch.edge.clone();
        self.shared.reader.publish(Published::new(signed, batch.edge.clone()));
        Ok(())
    }

    /// Adds a published batch to the index and answers those who wait for it.
    fn answer(&self, batch: &Batch, fresh: Vec<Queued>) -> Result<(), Arc<Stop>> {
        let records: Vec<_> =
            fresh.iter().map(|queued| (queued.identity, queued.leaf.keys.as_slice())).collect();
        let indexed = self.shared.index.add(&records);
        // Even if the index failed: they are in the log.
        for ((index, leaf_hash), queued) in (batch.base.0..).zip(&batch.leaf_hashes).zip(fresh) {
            let (index, leaf_hash) = (LeafIndex(index), *leaf_hash);
            queued.answer(&Ok(Appended { index, leaf_hash, time: batch.time, already: false }));
        }
        tracing::debug!(size = batch.size().0, entries = batch.leaf_hashes.len(), "published");
        indexed.map_err(|error| self.fail(error))
    }

    /// Brings the index up to the log: after a crash a few entries, after its loss all of them.
    fn catch_up(&self) -> Result<(), Arc<Stop>> {
        if self.shared.is_indexed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.index_rest().map_err(|error| self.fail(error))?;
        self.shared.is_indexed.store(true, Ordering::Release);
        Ok(())
    }

    fn index_rest(&self) -> Result<(), ReadError> {
        let size = self.edge.size;
        let reach = self.shared.index.reach();
        let is_of_this_log = match reach.size.0.checked_sub(1) {
            None => true,
            Some(_) if reach.size > size => false,
            Some(last) => self.shared.reader.record(LeafIndex(last))?.identity == reach.last,
        };
        let mut next = reach.size.0;
        if !is_of_this_log {
            self.shared.index.clear()?;
            next = 0;
        }
        while next < size.0 {
            let end = size.0.min((next / TILE_WIDTH + 1) * TILE_WIDTH);
            let records: Vec<_> = (next..end)
                .map(|index| self.shared.reader.record(LeafIndex(index)))
                .collect::<Result<_, _>>()?;
            let records: Vec<_> =
                records.iter().map(|record| (record.identity, record.keys.as_slice())).collect();
            self.shared.index.add(&records)?;
            next = end;
        }
        Ok(())
    }

    /// Stops the log for that reason and tells all who wait.
    fn fail(&self, reason: impl Into<Stop>) -> Arc<Stop> {
        self.fail_with(vec![], reason)
    }

    /// As [`Self::fail`], for those too who were taken from the pool already.
    fn fail_with(&self, queued: Vec<Queued>, reason: impl Into<Stop>) -> Arc<Stop> {
        let stop = Arc::new(reason.into());
        let answer = Err(AppendError::Stopped(Arc::clone(&stop)));
        queued.into_iter().for_each(|queued| queued.answer(&answer));
        self.shared.pool.fail(&stop);
        stop
    }
}

impl Drop for Sequencer {
    /// Whoever still waits is told that no one is left to answer; not in a panic, which ends the
    /// process.
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.shared.pool.fail(&Arc::new(Stop::Requested));
    }
}

/// Signs a tree's checkpoint, and verifies what the signer returned: a note that this log would
/// not open again must never reach the lock.
pub(super) fn sign(
    signer: &dyn CheckpointSigner,
    edge: &Edge,
    time: UnixTime,
) -> Result<SignedCheckpoint, NotSigned> {
    let checkpoint = Checkpoint {
        origin: signer.origin().to_owned(),
        size: edge.size,
        root: edge.root(),
        extensions: vec![],
    };
    let note = signer.sign(&checkpoint, time)?;
    if note.text() != checkpoint.to_text() || signer.verify(&checkpoint, &note).is_err() {
        return Err(NotSigned::Wrong);
    }
    Ok(SignedCheckpoint { checkpoint, note: note.to_string() })
}
