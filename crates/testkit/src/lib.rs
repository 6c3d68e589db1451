//! Evidence for tests: a whole private Sigstore in memory, with keys of its own and a fixed clock.
//!
//! An [`Instance`] holds a certificate authority, a CT log, a log of each version and a timestamp
//! authority. A [`Scene`] says what is signed, how and when, and [`Scene::seal`] makes the bundle
//! and the trust root. Any layer can be changed *before* it is sealed: everything above it is then
//! signed and proven again over the changed part, so that a verifier meets exactly one thing that
//! is wrong.
//!
//! Written a second time on purpose: DER, Merkle trees, notes, leaves and tokens are made here
//! without the code that reads them, so that a misunderstanding of a format cannot hide by being
//! made twice. Only keys and signatures come from `crypto`. Development only: whoever has this has
//! the keys.

pub mod accepted;
pub mod certificate;
pub mod clock;
pub mod cosign;
pub mod der;
pub mod instance;
pub mod json;
pub mod key;
pub mod log;
pub mod merkle;
pub mod mutants;
pub mod note;
pub mod scene;
pub mod submission;
pub mod timestamp;
pub mod tools;
pub mod tuf;
pub mod untrusted;

pub use cosign::SealedLayer;
pub use instance::Instance;
pub use key::Key;
pub use scene::{Content, Entry, Format, Scene, Sealed, Signer};
pub use submission::Submission;
