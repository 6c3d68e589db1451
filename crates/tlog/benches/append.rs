//! How fast a log on a real file system is, with every `fsync`: `cargo bench -p tlog`.
//!
//! `TMPDIR` says on which file system. Appends are whole batches, from the pool to the answers.
#![allow(missing_docs, reason = "criterion's macros make items without them")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{KeyKind, KeyPair};
use evidence::{LeafIndex, UnixTime};
use tempfile::TempDir;
use tlog::storage::posix::{LockFile, PosixObjects};
use tlog::{Config, Form, Index, Leaf, Log, NoteSigner, Parts, SearchKey, Sequencer};

/// The median size of a Rekor entry, v1 and v2 taken together, in bytes.
const ENTRY_SIZE: usize = 3600;

fn log() -> (TempDir, Log, Sequencer) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let key = Arc::new(KeyPair::generate(KeyKind::EcdsaP256).unwrap());
    let parts = Parts {
        objects: Arc::new(PosixObjects::open(&path.join("data")).unwrap()),
        lock: Arc::new(LockFile::open(&path.join("lock")).unwrap().slot("bench")),
        signer: Arc::new(NoteSigner::new("bench.test", "bench.test", key).unwrap()),
        index: Arc::new(Index::open(&path.join("index")).unwrap()),
        clock: Arc::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            UnixTime::from_milliseconds(i64::try_from(since.as_millis()).unwrap())
        }),
    };
    Log::create(Form::Entries, &parts).unwrap();
    let (log, sequencer) = Log::open_stepped(Config::new(Form::Entries), parts).unwrap();
    (directory, log, sequencer)
}

/// A leaf that was never there before, with as many search keys as an entry of Rekor v1 has.
fn leaf() -> Leaf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut bytes = vec![0x61; ENTRY_SIZE];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let keys = (0..4).map(|key| SearchKey::of(&format!("{number} {key}")));
    Leaf::entry(bytes).unwrap().with_keys(keys).unwrap()
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for batch in [1u64, 32, 256, 1024, 4096] {
        let (_directory, log, mut sequencer) = log();
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter(|| {
                let waiting: Vec<_> = (0..batch).map(|_| log.append(leaf()).unwrap()).collect();
                sequencer.step().unwrap();
                waiting.into_iter().for_each(|waiting| assert!(waiting.wait().is_ok()));
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let (_directory, log, mut sequencer) = log();
    for _ in 0..20 {
        let waiting: Vec<_> = (0..5000).map(|_| log.append(leaf()).unwrap()).collect();
        sequencer.step().unwrap();
        drop(waiting);
    }
    let size = log.checkpoint().checkpoint.size;
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    let mut index = 0;
    let mut next = move || {
        // A step that is prime to the size: all over the log.
        index = (index + 61_803) % size.0;
        LeafIndex(index)
    };
    let mut proof = next;
    group.bench_function("inclusion proof", |bencher| {
        bencher.iter(|| log.inclusion_proof(proof(), size).unwrap());
    });
    group.bench_function("entry", |bencher| bencher.iter(|| log.entry(next()).unwrap()));
    group.finish();
}

criterion_group!(benches, append, read);
criterion_main!(benches);
