//! Cycles among the modules of one package. A need is a path in a module's code that leads to
//! something another module defines. A `pub use` is a door and no need; a path through a door is
//! followed to the module behind it.
//!
//! A module and its own parts may need one another: they are one thought in several files. Among
//! siblings, at every level, each with all its parts, there is no way round.
//!
//! Paths are followed by name: what a method call or a trait brings in is not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::source::{Kind, Module, Place, Source};

/// Where one module needs another.
#[derive(Clone, Debug)]
struct Edge {
    file: String,
    line: usize,
}

type Graph<'a> = BTreeMap<&'a [String], BTreeMap<&'a [String], Edge>>;

/// The cycles among these files, which are those of one package: one violation for each knot of
/// modules that need one another, told as a shortest way round.
#[must_use]
pub fn cycles(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let graph = graph(sources);
    let mut told: BTreeSet<&[String]> = BTreeSet::new();
    for start in graph.keys() {
        if told.contains(start) {
            continue;
        }
        if let Some(round) = way_round(&graph, start) {
            told.extend(round.iter());
            let steps: Vec<String> = round
                .iter()
                .zip(round.iter().cycle().skip(1))
                .map(|(from, to)| {
                    let edge = &graph[from][to];
                    let (from, to) = (from.join("::"), to.join("::"));
                    format!("{from} → {to} ({}:{})", edge.file, edge.line)
                })
                .collect();
            let first = &graph[round[0]][round[1 % round.len()]];
            violations.push(Violation {
                file: first.file.clone(),
                line: first.line,
                rule: "cycles",
                found: format!("modules that need one another: {}", steps.join(", ")),
                remedy: "move what both need into a module below them, or make them one".to_owned(),
            });
        }
    }
    violations
}

fn graph(sources: &[Source]) -> Graph<'_> {
    let product: Vec<&Source> =
        sources.iter().filter(|source| source.place == Place::Product).collect();
    let tree: BTreeMap<&[String], &Module> = product
        .iter()
        .flat_map(|source| &source.modules)
        .map(|module| (module.path.as_slice(), module))
        .collect();
    let mut graph: Graph<'_> = BTreeMap::new();
    for source in &product {
        for module in &source.modules {
            for mention in &module.mentions {
                if mention.test || mention.kind == Kind::Method {
                    continue;
                }
                if let Some(target) = resolve(&tree, &module.path, &mention.path, 0)
                    && let Some((from, to)) = siblings(&module.path, target)
                {
                    let edge = Edge { file: source.path.clone(), line: mention.line };
                    graph.entry(from).or_default().entry(to).or_insert(edge);
                }
            }
        }
    }
    graph
}

/// The two siblings that a need joins: the one that holds its beginning and the one that holds its
/// end. `None` inside one module, and between a module and its own parts.
fn siblings<'a>(from: &'a [String], to: &'a [String]) -> Option<(&'a [String], &'a [String])> {
    let shared = from.iter().zip(to).take_while(|(left, right)| left == right).count();
    Some((from.get(..=shared)?, to.get(..=shared)?))
}

/// The module that defines what a path, written in module `at`, leads to; `None` for what is
/// outside of the package.
fn resolve<'a>(
    tree: &BTreeMap<&'a [String], &'a Module>,
    at: &[String],
    path: &[String],
    depth: usize,
) -> Option<&'a [String]> {
    // Doors behind doors: more than this is a circle of re-exports.
    if depth > 16 {
        return None;
    }
    let mut at = at.to_vec();
    let mut rest = path;
    let mut anchored = false;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            _ => break,
        }
        anchored = true;
        rest = others;
    }
    // A bare word may be a variable that shares its name with a module.
    let bare = !anchored && rest.len() == 1;
    for (index, segment) in rest.iter().enumerate() {
        let mut child = at.clone();
        child.push(segment.clone());
        if !bare && tree.contains_key(child.as_slice()) {
            at = child;
            anchored = true;
            continue;
        }
        let module = tree.get(at.as_slice())?;
        let behind = module.uses.iter().filter(|leaf| !leaf.test).find_map(|leaf| {
            let mut onward = leaf.path.clone();
            if leaf.name == *segment {
                // `use a::b` in module `b`'s parent would lead to itself.
                if onward == rest[index..=index] {
                    return None;
                }
                onward.extend_from_slice(&rest[index + 1..]);
                return resolve(tree, &at, &onward, depth + 1);
            }
            None
        });
        return match behind {
            Some(target) => Some(target),
            // Imported from another package, or never mentioned by a path of ours.
            None if module.uses.iter().any(|leaf| leaf.name == *segment) => None,
            None if anchored => tree.get_key_value(at.as_slice()).map(|(path, _)| *path),
            None => None,
        };
    }
    if anchored { tree.get_key_value(at.as_slice()).map(|(path, _)| *path) } else { None }
}

/// A shortest way from a module back to itself.
fn way_round<'a>(graph: &Graph<'a>, start: &'a [String]) -> Option<Vec<&'a [String]>> {
    let mut came_from: BTreeMap<&[String], &[String]> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in graph.get(at).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                let mut round = vec![at];
                let mut back = at;
                while back != start {
                    back = came_from[back];
                    round.push(back);
                }
                round.reverse();
                return Some(round);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}
