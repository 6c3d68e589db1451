//! The log as its callers see it: answers, duplicates, bounds, threads and the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crypto::merkle::leaf_hash;
use crypto::{KeyPair, Message, PublicKey, Scheme, SignError, Signer};
use evidence::{Checkpoint, LeafIndex, SignedNote, TreeSize, UnixTime};
use tlog::checkpoint::{ForeignCheckpoint, NotSigned};
use tlog::{AppendError, CheckpointSigner, Config, Form, Leaf, Log, NoteSigner, Stop};

use crate::numbered;
use crate::world::{
    ORIGIN, World, append, check, create, key, leaf, new_index, open, parts, places, signer,
};

fn created(config: Config) -> (Arc<World>, Log) {
    let world = World::new();
    let parts = parts(&world, &new_index());
    Log::create(config.form, &parts).unwrap();
    (world, Log::open(config, parts).unwrap())
}

#[test]
fn an_empty_log_has_a_checkpoint() {
    let (world, log, mut sequencer) = create();
    let empty = log.checkpoint();
    assert_eq!(empty.checkpoint.size, TreeSize(0));
    assert_eq!(empty.checkpoint.root, crypto::merkle::empty_root());
    let writes = world.state().writes;
    sequencer.step().unwrap();
    assert_eq!(world.state().writes, writes, "an idle log does nothing");
}

#[test]
fn the_same_leaf_has_one_place() {
    let (world, log, mut sequencer) = create();
    let first = append(&log, &mut sequencer, [1, 2, 1, 3, 2, 1]);
    let indexes: Vec<_> = first.iter().map(|place| place.index.0).collect();
    assert_eq!(indexes, [0, 1, 0, 2, 1, 0]);
    let already: Vec<_> = first.iter().map(|place| place.already).collect();
    assert_eq!(already, [false, false, true, false, true, true]);
    world.pass(5000);
    let writes = world.state().writes;
    let again = append(&log, &mut sequencer, [3, 1, 2]);
    assert_eq!(world.state().writes, writes, "nothing new, nothing written");
    for (again, first) in again.iter().zip([first[3], first[0], first[1]]) {
        assert!(again.already);
        assert_eq!((again.index, again.time), (first.index, first.time));
    }
    let mixed = append(&log, &mut sequencer, [2, 4]);
    assert_eq!((mixed[0].index.0, mixed[0].already), (1, true));
    assert_eq!((mixed[1].index.0, mixed[1].already), (3, false));
    check(&world, &log, &places(&[(1, first[0]), (2, first[1]), (3, first[3]), (4, mixed[1])]));
}

#[test]
fn each_entry_keeps_the_moment_it_came() {
    let (world, log, mut sequencer) = create();
    let mut moments = Vec::new();
    for number in 0..600 {
        world.pass(7);
        moments.push(world.now());
        assert_eq!(append(&log, &mut sequencer, [number])[0].time, world.now());
    }
    let (log, _sequencer) = open(&world).unwrap();
    for (index, moment) in (0..).zip(moments) {
        assert_eq!(log.entry(LeafIndex(index)).unwrap().time, moment);
    }
}

#[test]
fn what_was_served_stays_right() {
    let (_world, log, mut sequencer) = create();
    append(&log, &mut sequencer, 0..200);
    let older = log.checkpoint();
    let proof = log.inclusion_proof(LeafIndex(150), TreeSize(200)).unwrap();
    append(&log, &mut sequencer, 200..900);
    assert_eq!(older.checkpoint.size, TreeSize(200));
    assert_eq!(log.inclusion_proof(LeafIndex(150), TreeSize(200)).unwrap(), proof);
    assert_eq!(log.root(TreeSize(200)).unwrap(), older.checkpoint.root);
}

#[test]
fn a_full_pool_refuses_and_recovers() {
    let world = World::new();
    let parts = parts(&world, &new_index());
    Log::create(Form::Entries, &parts).unwrap();
    let config = Config { waiters_max: 10, ..Config::new(Form::Entries) };
    let (log, mut sequencer) = Log::open_stepped(config, parts.clone()).unwrap();
    let waiting: Vec<_> = (0..10).map(|number| log.append(leaf(number)).unwrap()).collect();
    assert!(matches!(log.append(leaf(10)), Err(AppendError::Full)));
    assert!(matches!(log.append(leaf(0)), Err(AppendError::Full)), "waiters are bounded too");
    sequencer.step().unwrap();
    waiting.into_iter().for_each(|waiting| assert!(waiting.wait().is_ok()));
    assert!(log.append(leaf(10)).is_ok());
    drop((log, sequencer));

    let config = Config { pool_size_max: 100_000, ..Config::new(Form::Entries) };
    let (log, mut sequencer) = Log::open_stepped(config, parts).unwrap();
    let large = |number: u8| Leaf::entry(vec![number; 60_000]).unwrap();
    let first = log.append(large(1)).unwrap();
    assert!(matches!(log.append(large(2)), Err(AppendError::Full)));
    assert!(log.append(large(1)).is_ok(), "the same again takes no more room");
    sequencer.step().unwrap();
    assert!(first.wait().is_ok());
    assert!(log.append(large(2)).is_ok());
}

#[test]
fn callers_that_leave_harm_nobody() {
    let (world, log, mut sequencer) = create();
    for number in 0..20 {
        let waiting = log.append(leaf(number)).unwrap();
        if number % 2 == 0 {
            drop(waiting);
        }
    }
    sequencer.step().unwrap();
    assert_eq!(log.checkpoint().checkpoint.size, TreeSize(20));
    check(&world, &log, &HashMap::new());
}

#[test]
fn a_sequencer_that_goes_away_answers() {
    let (_world, log, sequencer) = create();
    let waiting = log.append(leaf(0)).unwrap();
    drop(sequencer);
    assert!(matches!(waiting.wait(), Err(AppendError::Stopped(_))));
    assert!(matches!(log.append(leaf(1)), Err(AppendError::Stopped(_))));
}

#[test]
fn many_threads_append_at_once() {
    let config = Config { interval: Duration::ZERO, ..Config::new(Form::Entries) };
    let (world, log) = created(config);
    let acknowledged: HashMap<_, _> = std::thread::scope(|scope| {
        let log = &log;
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                scope.spawn(move || {
                    (0..100)
                        .map(|number| {
                            // A quarter of all entries is everybody's.
                            let number =
                                if number % 4 == 0 { number } else { number + 100 * writer };
                            let place = log.append(leaf(number)).unwrap().wait().unwrap();
                            // Published when answered: the proof is to be had at once.
                            let size = log.checkpoint().checkpoint.size;
                            assert!(place.index.0 < size.0);
                            log.inclusion_proof(place.index, size).unwrap();
                            (number, place)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let all = writers.into_iter().flat_map(|writer| writer.join().unwrap());
        let mut acknowledged = HashMap::new();
        for (number, place) in all {
            let known = acknowledged.entry(numbered::entry(number)).or_insert(place);
            assert_eq!(known.index, place.index, "one entry, one place");
        }
        acknowledged
    });
    log.stop();
    assert_eq!(log.checkpoint().checkpoint.size.0, acknowledged.len() as u64);
    check(&world, &log, &acknowledged);
}

/// With an hour between batches: the first leaf does not wait, much does not wait, the end does
/// not wait. Were one of these wrong, the test would not end.
#[test]
fn batches_come_when_they_are_due() {
    let config = Config {
        interval: Duration::from_secs(3600),
        batch_entries: 5,
        ..Config::new(Form::Entries)
    };
    let (world, log) = created(config);
    assert_eq!(log.append(leaf(0)).unwrap().wait().unwrap().index, LeafIndex(0));
    let waiting: Vec<_> = (1..6).map(|number| log.append(leaf(number)).unwrap()).collect();
    for (number, waiting) in (1..).zip(waiting) {
        assert_eq!(waiting.wait().unwrap().index, LeafIndex(number));
    }
    let last = log.append(leaf(6)).unwrap();
    log.stop();
    assert_eq!(last.wait().unwrap().index, LeafIndex(6));
    let sizes = world.state().published.len();
    assert_eq!(sizes, 4, "empty, and three batches");
    assert!(matches!(
        log.append(leaf(7)),
        Err(AppendError::Stopped(stop)) if matches!(*stop, Stop::Requested)
    ));
    assert!(!log.is_running());
    log.stop();
}

#[test]
fn an_appending_is_a_future() {
    let config = Config { interval: Duration::ZERO, ..Config::new(Form::Entries) };
    let (_world, log) = created(config);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let appended = runtime.block_on(async {
        let (first, second) = (log.append(leaf(1)).unwrap(), log.append(leaf(2)).unwrap());
        (first.await.unwrap(), second.await.unwrap())
    });
    assert_eq!((appended.0.index, appended.1.index), (LeafIndex(0), LeafIndex(1)));
    assert_eq!(appended.0.leaf_hash, leaf_hash(&numbered::entry(1)));
}

/// A key that signs when it is told to.
struct Moody(Arc<KeyPair>, std::sync::atomic::AtomicBool);

impl Signer for Moody {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, scheme: Scheme, message: Message<'_>) -> Result<Vec<u8>, SignError> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            self.0.sign(scheme, message)
        } else {
            Err(SignError::Backend)
        }
    }
}

#[test]
fn a_signer_that_fails_refuses_the_batch_and_nothing_else() {
    let (world, log, mut sequencer) = create();
    append(&log, &mut sequencer, 0..3);
    drop((log, sequencer));
    let moody = Arc::new(Moody(key(), false.into()));
    let mut parts = parts(&world, &new_index());
    parts.signer = Arc::new(NoteSigner::new(ORIGIN, ORIGIN, moody.clone()).unwrap());
    let (log, mut sequencer) = Log::open_stepped(Config::new(Form::Entries), parts).unwrap();
    let waiting = log.append(leaf(3)).unwrap();
    let objects = world.state().objects.clone();
    sequencer.step().unwrap();
    assert!(matches!(
        waiting.wait(),
        Err(AppendError::NotSigned(NotSigned::Signer(SignError::Backend)))
    ));
    assert_eq!(world.state().objects, objects, "nothing was written");
    moody.1.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(append(&log, &mut sequencer, [3])[0].index, LeafIndex(3));
    check(&world, &log, &HashMap::new());
}

/// Signs another size than it is asked to.
struct Liar(Arc<dyn CheckpointSigner>);

impl CheckpointSigner for Liar {
    fn origin(&self) -> &str {
        self.0.origin()
    }

    fn sign(&self, checkpoint: &Checkpoint, time: UnixTime) -> Result<SignedNote, SignError> {
        let size = TreeSize(checkpoint.size.0 + 1);
        self.0.sign(&Checkpoint { size, ..checkpoint.clone() }, time)
    }

    fn verify(
        &self,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Option<UnixTime>, ForeignCheckpoint> {
        self.0.verify(checkpoint, note)
    }
}

#[test]
fn a_note_over_something_else_never_reaches_the_lock() {
    let (world, log, sequencer) = create();
    drop((log, sequencer));
    let mut parts = parts(&world, &new_index());
    parts.signer = Arc::new(Liar(signer()));
    let (log, mut sequencer) = Log::open_stepped(Config::new(Form::Entries), parts).unwrap();
    let waiting = log.append(leaf(0)).unwrap();
    let lock = world.state().lock.clone();
    sequencer.step().unwrap();
    assert!(matches!(waiting.wait(), Err(AppendError::NotSigned(NotSigned::Wrong))));
    assert_eq!(world.state().lock, lock);
}
