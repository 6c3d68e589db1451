//! Every check, reached: scenes that are wrong in one way each meet exactly the refusal that is
//! about it, and beside them stands what must be accepted.

use std::collections::BTreeMap;

use testkit::{accepted, mutants};

use crate::judging::{JUDGED, Judged, prove, variant};

#[test]
fn every_mutant_meets_its_refusal() {
    let mut wrong = Vec::new();
    for Judged { mutant, outcome: found, .. } in JUDGED.iter() {
        let (name, wanted) = (&mutant.name, mutant.refusal);
        let found_name = found.as_ref().err().map(variant);
        if found_name.as_deref() != Some(wanted) {
            let found =
                found.as_ref().map(|_| "ACCEPTED").map_err(|refusal| format!("{refusal:?}"));
            wrong.push(format!("{name}: wanted {wanted}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_right_is_accepted() {
    let mut wrong = Vec::new();
    for (name, scene) in accepted::all() {
        if let Err(refusal) = prove(&scene) {
            wrong.push(format!("{name}: {refusal:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_of_mutants_are_unique() {
    let mut seen = BTreeMap::new();
    for mutant in mutants::all() {
        *seen.entry(mutant.name).or_insert(0) += 1;
    }
    let twice: Vec<_> = seen.into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
