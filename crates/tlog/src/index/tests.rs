//! The index on disk: what it holds after flushes, merges, restarts and damage. What makes a run
//! due and where its rows stand is nobody else's business, so these tests are inside.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crypto::merkle::{NodeHash, leaf_hash};
use evidence::{LeafIndex, TreeSize};

use super::run::{Run, merge, row};
use super::{Index, RECENT_ENTRIES};
use crate::leaf::SearchKey;

fn identity(number: u64) -> NodeHash {
    leaf_hash(&number.to_be_bytes())
}

/// Adds entries up to that number, each under `all` and under one of seven keys.
fn fill(index: &Index, end: u64) {
    let all = SearchKey::of("all");
    let keys: Vec<_> = (0..7).map(|key| [all, SearchKey::of(&format!("{key} of seven"))]).collect();
    let mut next = index.reach().size.0;
    while next < end {
        let until = end.min(next + 1000);
        let identities: Vec<_> = (next..until).map(identity).collect();
        let records: Vec<_> = (next..until)
            .zip(&identities)
            .map(|(number, identity)| (*identity, keys[(number % 7) as usize].as_slice()))
            .collect();
        index.add(&records).unwrap();
        next = until;
    }
}

fn check(index: &Index, end: u64) {
    assert_eq!(index.reach().size, TreeSize(end));
    assert_eq!(index.reach().last, identity(end - 1));
    for number in (0..end).step_by(97).chain([end - 1]) {
        assert_eq!(index.find(&identity(number)).unwrap(), Some(LeafIndex(number)));
        assert_eq!(index.find(&identity(end + number)).unwrap(), None);
    }
    for absent in [[0; 32], [255; 32]] {
        assert_eq!(index.find(&absent).unwrap(), None);
    }
    for count_max in [0, 1, 5, 300, 20_000, usize::MAX] {
        let found = index.search(SearchKey::of("3 of seven"), count_max).unwrap();
        let expected = (0..end).rev().filter(|number| number % 7 == 3).take(count_max);
        assert!(found.iter().map(|index| index.0).eq(expected), "the newest {count_max}");
    }
    assert_eq!(index.search(SearchKey::of("all"), usize::MAX).unwrap().len() as u64, end);
    assert!(index.search(SearchKey::of("nothing"), 10).unwrap().is_empty());
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn runs_are_written_merged_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let end = 6 * RECENT_ENTRIES;
    let mut index = Index::open(directory.path()).unwrap();
    for size in [100, RECENT_ENTRIES, 3 * RECENT_ENTRIES + 5, end] {
        fill(&index, size);
        index.finish_merging();
        check(&index, size);
        if size == 3 * RECENT_ENTRIES + 5 {
            // What was in memory is gone, and told to be; the log brings it again.
            drop(index);
            index = Index::open(directory.path()).unwrap();
            assert!(
                index.reach().size.0 <= size && size - index.reach().size.0 < 2 * RECENT_ENTRIES
            );
        }
    }
    // A last run, in case the merge came between: now four of one size are one.
    fill(&index, end + RECENT_ENTRIES);
    index.finish_merging();
    check(&index, end + RECENT_ENTRIES);
    let runs = super::read(&index.rows).runs.len();
    assert!(runs <= 5, "{runs} runs where at least four were merged");
    assert_eq!(names(directory.path()).len(), runs + 1, "no file but the runs and the guard");
}

#[test]
fn damage_and_leftovers_cost_only_what_they_held() {
    let directory = tempfile::tempdir().unwrap();
    {
        let index = Index::open(directory.path()).unwrap();
        fill(&index, 3 * RECENT_ENTRIES + 3000);
    }
    let runs: Vec<_> = names(directory.path()).into_iter().filter(|name| name != ".held").collect();
    assert_eq!(runs.len(), 3);
    // A run that was being written, one that was merged already, and something of somebody else.
    std::fs::write(directory.path().join("5-9.new"), b"half").unwrap();
    let other = directory.path().join("letters to grandmother");
    std::fs::write(&other, b"dear").unwrap();
    let path = directory.path().join(runs.iter().max_by_key(|name| start(name)).unwrap());
    let last = Run::open(&path).unwrap().unwrap();
    let (first, end) = (last.first, last.end);
    let bytes = std::fs::read(&path).unwrap();
    let cut = |size: usize| bytes[..size].to_vec();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damages = [vec![], cut(50), cut(200), cut(bytes.len() - 1), [&bytes[..], b"x"].concat()]
        .into_iter()
        // The header; rows are not under a checksum, for the log is asked about what they say.
        .chain((0..112).step_by(3).map(flipped));
    for damaged in damages {
        std::fs::write(&path, damaged).unwrap();
        let index = Index::open(directory.path()).unwrap();
        assert_eq!(index.reach().size.0, first);
        assert!(!path.exists());
        fill(&index, end + 10);
        check(&index, end + 10);
    }
    assert!(!directory.path().join("5-9.new").exists());
    assert!(other.exists());
}

/// A header that was written so, not damaged: its checksum fits, and its rows would have no end.
#[test]
fn a_run_of_more_rows_than_a_file_can_have_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0-1");
    for count in [1, u64::MAX / 40, u64::MAX / 40 + 1, u64::MAX] {
        let mut header = b"countersign index run 1\n".to_vec();
        [0, 1, count].iter().for_each(|number: &u64| header.extend(number.to_be_bytes()));
        header.extend([7; 32]);
        header.extend(crypto::sha256(&header));
        std::fs::write(&path, &header).unwrap();
        assert!(Run::open(&path).unwrap().is_none(), "{count}");
    }
}

fn start(name: &str) -> u64 {
    name.split_once('-').unwrap().0.parse().unwrap()
}

#[test]
fn a_gap_ends_the_index() {
    let directory = tempfile::tempdir().unwrap();
    {
        let index = Index::open(directory.path()).unwrap();
        fill(&index, 3 * RECENT_ENTRIES + 3000);
    }
    let second = super::read(&Index::open(directory.path()).unwrap().rows).runs[1].first;
    let name =
        names(directory.path()).into_iter().find(|name| name.starts_with(&format!("{second}-")));
    std::fs::remove_file(directory.path().join(name.unwrap())).unwrap();
    let index = Index::open(directory.path()).unwrap();
    assert_eq!(index.reach().size.0, second);
    fill(&index, 60_000);
    check(&index, 60_000);
}

/// Rows spread evenly, rows of one key without end, and rows at both ends of all numbers.
#[test]
fn a_row_is_found_wherever_it_stands() {
    let mut rows = BTreeMap::new();
    for number in 0..3000u64 {
        rows.insert(row(&identity(number), number), ());
        rows.insert(row(&[0; 32], number), ());
        rows.insert(row(&[255; 32], number), ());
        rows.insert(row(&identity(7), number * 3), ());
    }
    let directory = tempfile::tempdir().unwrap();
    let sorted: Vec<_> = rows.keys().copied().collect();
    let run =
        Run::write(directory.path(), (0, 9000), [1; 32], sorted.iter().copied().map(Ok)).unwrap();
    for key in (0..3100).map(identity).chain([[0; 32], [255; 32], [128; 32]]) {
        let expected: Vec<_> = sorted.iter().filter(|row| row.starts_with(&key)).copied().collect();
        assert_eq!(run.first_of(&key).unwrap(), expected.first().copied());
        for count_max in [1, 2, 101, 2000, 10_000] {
            let found = run.last_of(&key, count_max).unwrap();
            assert!(found.iter().eq(expected.iter().rev().take(count_max)));
        }
    }
}

#[test]
fn a_merge_that_is_stopped_leaves_its_runs() {
    let directory = tempfile::tempdir().unwrap();
    {
        let index = Index::open(directory.path()).unwrap();
        fill(&index, 2 * RECENT_ENTRIES + 2000);
    }
    let index = Index::open(directory.path()).unwrap();
    let runs = super::read(&index.rows).runs.clone();
    let end = index.reach().size.0;
    assert!(merge(directory.path(), &runs, &AtomicBool::new(true)).unwrap().is_none());
    drop(index);
    let index = Index::open(directory.path()).unwrap();
    check(&index, end);
    // And one that is not stopped replaces them, even where they were not removed.
    merge(directory.path(), &runs, &AtomicBool::new(false)).unwrap().unwrap();
    drop(index);
    let index = Index::open(directory.path()).unwrap();
    assert_eq!(super::read(&index.rows).runs.len(), 1);
    check(&index, end);
}
