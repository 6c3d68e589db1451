//! `kill -9` at random moments under concurrent writers: what was acknowledged stays, and all that
//! was ever signed is one history.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crypto::KeyKind;
use crypto::merkle::{NodeHash, verify_consistency};
use evidence::{Certificate, Checkpoint};
use serde_json::Value;
use testkit::Submission;
use testkit::log::Kind;

use crate::authority_api;
use crate::instance::{Instance, Place, Starting};
use crate::trust::{
    EntryV1, EntryV2, Tree, Trust, entries, hashes, hex_bytes, leaf_hashes, verify_checkpoint,
    verify_entry_v1, verify_entry_v2, verify_tree_head,
};
use crate::wire::exchange;

/// How often it is killed.
const KILLS: usize = 50;

/// What a process may live beyond twice the time that a start takes on this machine. So at least
/// half of them live to be spoken to.
const LIFE_MORE: Duration = Duration::from_secs(1);

/// Longest time from the start of a process to its end, however slow the machine is.
const LIFE_MAX: Duration = Duration::from_secs(20);

/// Writers to each of the three logs.
const WRITERS: usize = 8;

/// Variable that says with which seed a failure is to be repeated.
const SEED_VARIABLE: &str = "COUNTERSIGN_TEST_SEED";

/// SplitMix64: the same parts of the longest life for the same seed. How long that is, and what
/// happens in it, is the machine's own.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        limit * u32::try_from(self.next() % 1024).unwrap() / 1024
    }
}

/// All that the instance ever said.
#[derive(Default)]
struct Heard {
    acknowledged_v1: Vec<Value>,
    acknowledged_v2: Vec<Value>,
    certificates: Vec<Certificate>,
    /// Checkpoints by the path under which they are served.
    checkpoints: BTreeMap<&'static str, BTreeSet<String>>,
}

const V1: &str = "/v1/checkpoint";
const V2: &str = "/checkpoint";
const CT: &str = "/ct/checkpoint";

/// One process's life, and those who speak to it until it ends.
struct Round<'a> {
    address: SocketAddr,
    heard: &'a Mutex<Heard>,
    next: &'a AtomicU64,
}

impl Round<'_> {
    /// Logs one thing after the other until nobody answers.
    fn write(&self, kind: Kind, path: &str) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let content = format!("entry {number}");
            let submission = Submission::new(kind, KeyKind::EcdsaP256).about(content.as_bytes());
            let request = submission.request().to_string();
            let Ok(answer) = exchange(self.address, "POST", path, &[], request.as_bytes()) else {
                return;
            };
            let entry = answer.wanted(201).json();
            let mut heard = self.heard.lock().unwrap();
            if kind.is_v2() {
                heard.acknowledged_v2.push(entry);
            } else {
                heard.acknowledged_v1.push(entry);
            }
        }
    }

    /// Asks for one certificate after the other until nobody answers.
    fn certify(&self) {
        let request = authority_api::certificate_request().to_string();
        loop {
            let path = authority_api::PATH;
            let Ok(answer) = exchange(self.address, "POST", path, &[], request.as_bytes()) else {
                return;
            };
            let leaf = authority_api::chain(&answer.wanted(200)).remove(0);
            self.heard.lock().unwrap().certificates.push(leaf);
        }
    }

    /// Reads every checkpoint again and again until nobody answers.
    fn watch(&self) {
        loop {
            for path in [V1, V2, CT] {
                let Ok(answer) = exchange(self.address, "GET", path, &[], b"") else { return };
                let note = answer.wanted(200).text().to_owned();
                self.heard.lock().unwrap().checkpoints.entry(path).or_default().insert(note);
            }
        }
    }
}

/// Starts a process, lets everybody speak to it, and kills it after that time, ready or not; and
/// whether it was.
fn live_and_die(place: &Place, life: Duration, heard: &Mutex<Heard>, next: &AtomicU64) -> bool {
    let Some(instance) = Starting::new(place).within(life) else { return false };
    let round = Round { address: instance.address(), heard, next };
    let (began, already) = (Instant::now(), instance.ready_after);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| round.write(Kind::HashedRekordV1, "/api/v1/log/entries"));
            scope.spawn(|| round.write(Kind::HashedRekordV2, "/api/v2/log/entries"));
            scope.spawn(|| round.certify());
        }
        scope.spawn(|| round.watch());
        std::thread::sleep(life.saturating_sub(already).saturating_sub(began.elapsed()));
        instance.kill();
    });
    true
}

#[test]
fn whenever_it_is_killed_what_was_acknowledged_stays_and_no_history_is_forked() {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from_be_bytes(crypto::random::bytes()));
    println!("seed {seed}: repeat with {SEED_VARIABLE}={seed}");
    let mut random = Random(seed);
    let place = Place::new();
    let (heard, next) = (Mutex::new(Heard::default()), AtomicU64::new(0));
    let began = Instant::now();
    let mut longest = 2 * Place::new().start().ready_after + LIFE_MORE;
    for _ in 0..KILLS {
        let life = random.below(longest);
        let ready = live_and_die(&place, life, &heard, &next);
        // The machine was not as busy when it was measured.
        if !ready && life > longest / 2 {
            longest = LIFE_MAX.min(longest * 2);
        }
    }
    let heard = heard.into_inner().unwrap();
    println!(
        "{KILLS} kills in {:?}, after {longest:?} at most; acknowledged: {} v1, {} v2, {} certificates; checkpoints: {:?}",
        began.elapsed(),
        heard.acknowledged_v1.len(),
        heard.acknowledged_v2.len(),
        heard.certificates.len(),
        heard.checkpoints.values().map(BTreeSet::len).collect::<Vec<_>>(),
    );
    // Else the writers never came to anything, and the rest proves nothing.
    assert!(heard.acknowledged_v1.len() > KILLS && heard.acknowledged_v2.len() > KILLS);
    assert!(heard.certificates.len() > KILLS);

    let instance = place.start();
    let trust = instance.trust();
    check_v1(&instance, &trust, &heard);
    check_v2(&instance, &trust, &heard);
    check_ct(&instance, &trust, &heard);
}

fn check_v1(instance: &Instance, trust: &Trust, heard: &Heard) {
    let info = instance.get("/api/v1/log").wanted(200).json();
    let tree = info["treeID"].as_str().unwrap().parse().unwrap();
    let origin = format!("127.0.0.1 - {tree}");
    let verify = |note: &str| verify_checkpoint(note, &trust.log_v1, &origin);
    let now = verify(instance.get(V1).wanted(200).text());
    let acknowledged: Vec<EntryV1> =
        heard.acknowledged_v1.iter().map(|entry| verify_entry_v1(entry, trust, tree)).collect();
    let leaves = leaf_hashes(instance, "/v1", now.size.0);
    for entry in &acknowledged {
        assert_eq!(leaves[usize::try_from(entry.index).unwrap()], entry.leaf);
        // Proven in the newest tree, promised with the time that it was acknowledged with.
        let path = format!("/api/v1/log/entries/{}", entry.id);
        let found = verify_entry_v1(&instance.get(&path).wanted(200).json(), trust, tree);
        assert_eq!((found.index, found.time, &found.body), (entry.index, entry.time, &entry.body));
    }
    let notes = acknowledged.iter().map(|entry| entry.checkpoint.as_str());
    let heard = notes.chain(heard.checkpoints[V1].iter().map(String::as_str));
    let roots = one_history(heard.map(verify), &now, &leaves);
    // The log's own proofs say the same.
    for (older, root) in roots.iter().filter(|(size, _)| **size > 0) {
        let path = format!("/api/v1/log/proof?firstSize={older}&lastSize={}", now.size);
        let proof = instance.get(&path).wanted(200).json();
        let proof = hashes(&proof["hashes"], hex_bytes);
        verify_consistency(*older, now.size.0, &proof, root, &now.root).unwrap();
    }
}

fn check_v2(instance: &Instance, trust: &Trust, heard: &Heard) {
    let verify = |note: &str| verify_checkpoint(note, &trust.log_v2, "127.0.0.1");
    let now = verify(instance.get(V2).wanted(200).text());
    let acknowledged: Vec<EntryV2> =
        heard.acknowledged_v2.iter().map(|entry| verify_entry_v2(entry, trust)).collect();
    let leaves = leaf_hashes(instance, "", now.size.0);
    let bodies = entries(instance, "", now.size.0);
    for entry in &acknowledged {
        let index = usize::try_from(entry.index).unwrap();
        assert_eq!((&bodies[index], leaves[index]), (&entry.body, entry.leaf));
    }
    let notes = acknowledged.iter().map(|entry| entry.checkpoint.as_str());
    let heard = notes.chain(heard.checkpoints[V2].iter().map(String::as_str));
    one_history(heard.map(verify), &now, &leaves);
    // No two acknowledgements of different things with one index.
    let indexes: BTreeSet<_> = acknowledged.iter().map(|entry| entry.index).collect();
    assert_eq!(indexes.len(), acknowledged.len());
}

fn check_ct(instance: &Instance, trust: &Trust, heard: &Heard) {
    let verify = |note: &str| verify_tree_head(note, &trust.ct);
    let now = verify(instance.get(CT).wanted(200).text());
    let leaves = leaf_hashes(instance, "/ct", now.size.0);
    for certificate in &heard.certificates {
        let (index, leaf) = authority_api::promised(certificate, trust);
        assert_eq!(leaves[usize::try_from(index).unwrap()], leaf);
    }
    let heard = heard.checkpoints[CT].iter().map(String::as_str);
    one_history(heard.map(verify), &now, &leaves);
}

/// Checks that each checkpoint is of a beginning of these leaves, and the newest of them all; and
/// returns the roots by size.
#[track_caller]
fn one_history(
    heard: impl Iterator<Item = Checkpoint>,
    now: &Checkpoint,
    leaves: &[NodeHash],
) -> BTreeMap<u64, NodeHash> {
    let mut tree = Tree::default();
    let mut roots = vec![tree.root()];
    for leaf in leaves {
        tree.push(*leaf);
        roots.push(tree.root());
    }
    assert_eq!(roots.last(), Some(&now.root));
    let mut heard_roots = BTreeMap::new();
    for checkpoint in heard {
        let size = usize::try_from(checkpoint.size.0).unwrap();
        assert!(
            size < roots.len(),
            "a tree of {size} was signed, and there are {} now",
            leaves.len()
        );
        assert_eq!(checkpoint.root, roots[size], "another tree of {size} was signed");
        heard_roots.insert(checkpoint.size.0, checkpoint.root);
    }
    heard_roots
}
