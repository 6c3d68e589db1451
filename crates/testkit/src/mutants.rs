//! Bundles that are wrong in one way each, named after what is wrong, with the refusal they must
//! meet. Everything above the wrong part is sealed anew, so that nothing else is.

use crypto::KeyKind;

use crate::key::Key;
use crate::log::Kind;
use crate::scene::Scene;

mod bound;
mod certified;
mod format;
mod logged;
mod said;
mod stamped;
pub(crate) mod timed;

/// A scene with one thing wrong.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What is wrong.
    pub name: String,
    /// The variant of `verify::Refusal` that it must meet.
    pub refusal: &'static str,
    /// The scene.
    pub scene: Scene,
}

/// Every mutant.
#[must_use]
pub fn all() -> Vec<Mutant> {
    let mut list = List(Vec::new());
    format::bundles(&mut list);
    logged::promises(&mut list);
    logged::proofs(&mut list);
    logged::checkpoints(&mut list);
    stamped::timestamps(&mut list);
    timed::times(&mut list);
    certified::certificates(&mut list);
    certified::authorities(&mut list);
    certified::certificate_timestamps(&mut list);
    bound::signatures(&mut list);
    bound::bindings(&mut list);
    said::statements(&mut list);
    said::wants(&mut list);
    list.0
}

struct List(Vec<Mutant>);

impl List {
    fn add(&mut self, refusal: &'static str, name: impl Into<String>, scene: Scene) {
        self.0.push(Mutant { name: name.into(), refusal, scene });
    }
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

fn in_entry(field: &str) -> String {
    format!("{ENTRY}{field}")
}

pub(crate) fn other_key() -> Key {
    Key::named("somebody else", KeyKind::EcdsaP256)
}

/// Message and statement, in both logs.
pub(crate) fn bases() -> Vec<(&'static str, Scene)> {
    vec![
        ("v1 message", Scene::v1()),
        ("v1 statement", Scene::statement(Kind::DsseV1)),
        ("v1 intoto statement", Scene::statement(Kind::IntotoV2)),
        ("v2 message", Scene::v2()),
        ("v2 statement", Scene::statement(Kind::HashedRekordV2)),
        ("v2 dsse statement", Scene::statement(Kind::DsseV2)),
    ]
}
