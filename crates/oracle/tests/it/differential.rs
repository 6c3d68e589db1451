//! The same evidence to both verifiers: what each check of ours met, how often theirs agreed, and
//! every disagreement with its reason. With a bit flipped in every byte instead of some (47,000
//! cases, two minutes) the same reasons sufficed.

use std::collections::BTreeMap;

use testkit::{Scene, Sealed, accepted, mutants};

use crate::disagreements::{Disagreement, THEY_ACCEPT, WE_ACCEPT};
use crate::opinions::{ours, theirs};
use crate::variations;

/// What came of all cases.
#[derive(Default)]
struct Tally {
    cases: usize,
    both_accept: usize,
    /// By our refusal: how many met it, and how many of those they accept.
    refused: BTreeMap<String, (usize, usize)>,
    /// By the reason of a disagreement: how many.
    explained: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

impl Tally {
    fn judge(&mut self, name: &str, scene: &Scene, sealed: &Sealed) {
        self.cases += 1;
        let own = ours(scene, sealed);
        let other = theirs(scene, sealed);
        let refused = own.as_ref().err().map(|refusal| match refusal {
            Some(refusal) => format!("{refusal:?}"),
            None => "TrustRoot".to_owned(),
        });
        if let Some(refused) = &refused {
            let variant = refused.split([' ', '(', '{']).next().unwrap_or_default();
            let (met, accepted) = self.refused.entry(variant.to_owned()).or_default();
            *met += 1;
            *accepted += usize::from(other.is_ok());
        }
        match (refused, other) {
            (None, Ok(())) => self.both_accept += 1,
            (Some(_), Err(_)) => {}
            (None, Err(words)) => self.explain("we accept", WE_ACCEPT, name, &words),
            (Some(refused), Ok(())) => {
                let said = refused
                    + &own.err().flatten().map_or(String::new(), |refusal| refusal.full_message());
                self.explain("they accept", THEY_ACCEPT, name, &said);
            }
        }
    }

    fn explain(
        &mut self,
        who: &str,
        table: &'static [Disagreement],
        name: &str,
        said: &impl std::fmt::Display,
    ) {
        let case = format!("{name}: {said}");
        let about = |row: &&Disagreement| {
            case.contains(row.says)
                && (row.cases.is_empty() || row.cases.iter().any(|part| name.contains(part)))
        };
        match table.iter().find(about) {
            Some(row) => *self.explained.entry(row.because).or_default() += 1,
            None => self.unexplained.push(format!("{who}: {case:.400}")),
        }
    }

    fn print(&self) {
        println!("{} cases, {} accepted by both", self.cases, self.both_accept);
        println!("{:>6} {:>6}  refused by us as", "cases", "they +");
        for (variant, (met, accepted)) in &self.refused {
            println!("{met:>6} {accepted:>6}  {variant}");
        }
        for (table, title) in
            [(WE_ACCEPT, "we accept, they refuse"), (THEY_ACCEPT, "they accept, we refuse")]
        {
            println!("{title}:");
            for row in table {
                println!("{:>6}  {}", self.explained.get(row.because).unwrap_or(&0), row.because);
            }
        }
    }
}

#[test]
fn every_disagreement_is_explained() {
    let mut tally = Tally::default();
    for (name, scene) in accepted::all() {
        tally.judge(&name, &scene, &scene.seal());
    }
    for mutant in mutants::all() {
        tally.judge(&mutant.name, &mutant.scene, &mutant.scene.seal());
    }
    variations::each(|variation| tally.judge(&variation.name, &variation.scene, &variation.sealed));
    tally.print();
    assert!(tally.unexplained.is_empty(), "{}", tally.unexplained.join("\n"));
    assert!(tally.cases > 5_000 && tally.both_accept > 300, "too few cases to say anything");
    // An explanation that explains nothing any more has to go.
    let tables = WE_ACCEPT.iter().chain(THEY_ACCEPT);
    let idle: Vec<_> = tables
        .filter(|row| row.always && !tally.explained.contains_key(row.because))
        .map(|row| row.says)
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

/// Both accept what both can read: otherwise agreement on refusals would say nothing.
#[test]
fn every_base_is_accepted_by_both() {
    for (name, scene) in variations::bases() {
        let sealed = scene.seal();
        assert_eq!(ours(&scene, &sealed), Ok(()), "{name}");
        assert_eq!(theirs(&scene, &sealed), Ok(()), "{name}");
    }
}

#[test]
fn trust_roots_that_do_not_hold_are_believed_by_neither_or_the_reason_is_known() {
    // They check the chains inside a trust root when a certificate needs them, or not at all.
    let scene = Scene::v1();
    for (name, root) in testkit::untrusted::all() {
        let sealed = Sealed { trust_root: root, ..scene.seal() };
        assert_eq!(ours(&scene, &sealed), Err(None), "{name}");
    }
}
