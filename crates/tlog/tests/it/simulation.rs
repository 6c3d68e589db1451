//! Random lives of a log: appends, duplicates, crashes at any write, lost indexes, recoveries that
//! crash. Whatever happens, what was acknowledged is there, and there is one history.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tlog::{Appended, Config, Form, Index, Log, OpenError, Sequencer};

use crate::numbered;
use crate::world::{Fault, World, check, leaf, new_index, parts};

#[derive(Clone, Debug)]
enum Act {
    /// Leaves with these numbers come in; numbers are few, so that many come again.
    Append { first: usize, count: usize },
    /// A batch is sequenced.
    Step,
    /// Time passes.
    Pass(i64),
    /// The power fails at some write from here, and is back when that was noticed.
    Crash { after: usize, fault: bool, again: Option<(usize, bool)> },
    /// The process ends, and another begins.
    Restart,
    /// As that, and the index is gone.
    LoseIndex,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..900usize, 1..180usize).prop_map(|(first, count)| Act::Append { first, count }),
        8 => Just(Act::Step),
        2 => (0..100i64).prop_map(Act::Pass),
        3 => (0..20usize, any::<bool>(), proptest::option::of((0..14usize, any::<bool>())))
            .prop_map(|(after, fault, again)| Act::Crash { after, fault, again }),
        1 => Just(Act::Restart),
        1 => Just(Act::LoseIndex),
    ];
    proptest::collection::vec(act, 1..40)
}

struct Life {
    world: Arc<World>,
    index: Arc<Index>,
    running: Option<(Log, Sequencer)>,
    waiting: Vec<(usize, tlog::Appending)>,
    acknowledged: HashMap<Vec<u8>, Appended>,
    pending_again: Option<(usize, bool)>,
}

fn fault(stored: bool) -> Fault {
    if stored { Fault::Stored } else { Fault::Lost }
}

impl Life {
    fn new() -> Self {
        let (world, index) = (World::new(), new_index());
        Log::create(Form::Entries, &parts(&world, &index)).unwrap();
        let mut life = Self {
            world,
            index,
            running: None,
            waiting: vec![],
            acknowledged: HashMap::new(),
            pending_again: None,
        };
        life.start();
        life
    }

    fn start(&mut self) {
        self.running = None;
        self.collect();
        self.world.revive();
        if let Some((after, stored)) = self.pending_again.take() {
            // The recovery itself is hit.
            self.world.fail_after(after, fault(stored));
            match self.open() {
                Ok(running) => drop(running),
                Err(OpenError::Storage(_)) => {}
                Err(other) => panic!("{other}"),
            }
            self.world.revive();
        }
        self.running = Some(self.open().unwrap());
    }

    fn open(&self) -> Result<(Log, Sequencer), OpenError> {
        let parts = parts(&self.world, &self.index);
        Log::open_stepped(Config::new(Form::Entries), parts)
    }

    /// Takes the answers of all who have one.
    fn collect(&mut self) {
        for (number, waiting) in std::mem::take(&mut self.waiting) {
            let Ok(place) = waiting.wait() else { continue };
            let entry = numbered::entry(number);
            if let Some(known) = self.acknowledged.get(&entry) {
                assert_eq!((known.index, known.time), (place.index, place.time));
                assert!(place.already);
            }
            self.acknowledged.entry(entry).or_insert(place);
        }
    }

    fn act(&mut self, act: &Act) {
        let (log, sequencer) = self.running.as_mut().expect("it is always started again");
        match *act {
            Act::Append { first, count } => {
                for number in first..first + count {
                    self.waiting.push((number, log.append(leaf(number)).unwrap()));
                }
            }
            Act::Step => match sequencer.step() {
                Ok(size) => {
                    assert_eq!(log.checkpoint().checkpoint.size, size);
                    self.collect();
                }
                Err(_) => self.start(),
            },
            Act::Pass(milliseconds) => self.world.pass(milliseconds),
            Act::Crash { after, fault: stored, again } => {
                self.world.fail_after(after, fault(stored));
                self.pending_again = again;
            }
            Act::Restart => self.start(),
            Act::LoseIndex => {
                self.running = None;
                self.index = new_index();
                self.start();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_history_whatever_happens(acts in acts()) {
        let mut life = Life::new();
        acts.iter().for_each(|act| life.act(act));
        life.start();
        let (log, _) = life.running.as_ref().unwrap();
        check(&life.world, log, &life.acknowledged);
    }
}
