//! One signing event: what is signed, by whom, how and when, and what is changed about it before
//! which layer of it is sealed.

mod seal;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crypto::{KeyKind, Scheme};
use serde_json::Value;

use crate::certificate::CertificateDraft;
use crate::clock::{NOW, SIGNED_AT};
use crate::instance::{ISSUER, Instance, SUBJECT};
use crate::key::Key;
use crate::log::{Kind, PromiseDraft, ProofDraft, TreeDraft};
use crate::note::{CheckpointDraft, NoteDraft};
use crate::timestamp::TokenDraft;

pub(crate) use seal::Made;
pub use seal::Sealed;

/// Payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A version of the bundle format; v0.3 has two media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Version 0.1.
    V0_1,
    /// Version 0.2.
    V0_2,
    /// Version 0.3, its media type with a parameter.
    V0_3Parameter,
    /// Version 0.3.
    V0_3,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::V0_1, Self::V0_2, Self::V0_3Parameter, Self::V0_3];

    fn media_type(self) -> &'static str {
        match self {
            Self::V0_1 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V0_2 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V0_3Parameter => "application/vnd.dev.sigstore.bundle+json;version=0.3",
            Self::V0_3 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The artifact itself.
    Message,
    /// An in-toto statement about it, in an envelope.
    Statement,
    /// A simple signing payload about it; never in a bundle.
    SimpleSigning,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The holder of a certificate.
    Keyless,
    /// The holder of a key that the verifier has.
    Pinned,
}

/// An entry to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind of leaf.
    pub kind: Kind,
    /// Whether a v1 log promises it.
    pub promise: bool,
    /// Whether a proof and a checkpoint come along.
    pub proof: bool,
}

/// An envelope before it is signed.
#[derive(Clone, Debug)]
pub struct EnvelopeDraft {
    /// The payload type.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Changes to one layer, made before what stands above it is sealed.
pub(crate) type Changes<T> = Vec<Arc<dyn Fn(&mut T) + Send + Sync>>;

/// A signing event.
#[derive(Clone)]
pub struct Scene {
    /// Where it happens.
    pub instance: Instance,
    /// The bundle's version.
    pub format: Format,
    /// What it is about.
    pub artifact: Vec<u8>,
    /// What is signed.
    pub content: Content,
    /// Who signs.
    pub signer: Signer,
    /// The signer's key.
    pub key: Key,
    /// How it signs.
    pub scheme: Scheme,
    /// Where it is logged.
    pub entries: Vec<Entry>,
    /// How many timestamps.
    pub timestamps: usize,
    /// Whether timestamps bring their signer's certificate along.
    pub embeds_timestamp_signer: bool,
    /// Whether timestamps are over the whole envelope, as Cosign 2 had them, not the signature.
    pub stamps_envelope: bool,
    /// When.
    pub signed_at: i64,
    /// When it is judged.
    pub now: i64,
    /// The identity provider that the verifier wants.
    pub wanted_issuer: String,
    /// The subject that the verifier wants.
    pub wanted_subject: String,
    /// The key that the verifier wants of a pinned signer, where it is not the signer's.
    pub wanted_key: Option<Key>,
    on_certificate: Changes<CertificateDraft>,
    on_statement: Changes<Value>,
    on_envelope: Changes<EnvelopeDraft>,
    on_payload: Changes<Value>,
    on_signature: Changes<Vec<u8>>,
    on_leaf: Changes<Value>,
    on_leaf_bytes: Changes<Vec<u8>>,
    on_promise: Changes<PromiseDraft>,
    on_tree: Changes<TreeDraft>,
    on_checkpoint: Changes<CheckpointDraft>,
    on_note: Changes<NoteDraft>,
    on_proof: Changes<ProofDraft>,
    on_entry: Changes<Value>,
    on_token: Changes<TokenDraft>,
    on_timestamp: Changes<Vec<u8>>,
    pub(crate) on_bundle: Changes<Value>,
    pub(crate) on_annotations: Changes<BTreeMap<String, String>>,
    pub(crate) on_trust_root: Changes<Value>,
}

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl Scene {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, change: impl Fn(&mut $type) + Send + Sync + 'static) -> Self {
                self.$name.push(Arc::new(change));
                self
            })*
        }
    };
}

changes! {
    /// Changes the signer's certificate before it is issued.
    on_certificate: CertificateDraft;
    /// Changes the statement before it is serialised.
    on_statement: Value;
    /// Changes the envelope before it is signed.
    on_envelope: EnvelopeDraft;
    /// Changes the simple signing payload before it is serialised.
    on_payload: Value;
    /// Changes the signature before it is logged and timestamped.
    on_signature: Vec<u8>;
    /// Changes the leaf before it is serialised.
    on_leaf: Value;
    /// Changes the leaf's bytes before they are promised and hashed.
    on_leaf_bytes: Vec<u8>;
    /// Changes the promise before it is signed.
    on_promise: PromiseDraft;
    /// Changes where the leaf stands.
    on_tree: TreeDraft;
    /// Changes the checkpoint before it is signed; the proof stays.
    on_checkpoint: CheckpointDraft;
    /// Changes the signed note.
    on_note: NoteDraft;
    /// Changes the proof; the checkpoint stays.
    on_proof: ProofDraft;
    /// Changes the entry as the bundle holds it.
    on_entry: Value;
    /// Changes the timestamp before it is signed.
    on_token: TokenDraft;
    /// Changes the timestamp's bytes.
    on_timestamp: Vec<u8>;
    /// Changes the bundle.
    on_bundle: Value;
    /// Changes what stands beside a layer of Cosign's tags.
    on_annotations: BTreeMap<String, String>;
    /// Changes the trust root.
    on_trust_root: Value;
}

pub(crate) fn apply<T>(changes: &Changes<T>, mut value: T) -> T {
    changes.iter().for_each(|change| change(&mut value));
    value
}

impl Scene {
    /// A keyless signature over an artifact in the v1 log, with promise and proof.
    #[must_use]
    pub fn v1() -> Self {
        let key = Key::named("signer", KeyKind::EcdsaP256);
        Self {
            instance: Instance::default(),
            format: Format::V0_3,
            artifact: b"an artifact\n".to_vec(),
            content: Content::Message,
            signer: Signer::Keyless,
            scheme: key.public().default_scheme(),
            key,
            entries: vec![Entry { kind: Kind::HashedRekordV1, promise: true, proof: true }],
            timestamps: 0,
            embeds_timestamp_signer: false,
            stamps_envelope: false,
            signed_at: SIGNED_AT,
            now: NOW,
            wanted_issuer: ISSUER.to_owned(),
            wanted_subject: SUBJECT.to_owned(),
            wanted_key: None,
            on_certificate: Vec::new(),
            on_statement: Vec::new(),
            on_envelope: Vec::new(),
            on_payload: Vec::new(),
            on_signature: Vec::new(),
            on_leaf: Vec::new(),
            on_leaf_bytes: Vec::new(),
            on_promise: Vec::new(),
            on_tree: Vec::new(),
            on_checkpoint: Vec::new(),
            on_note: Vec::new(),
            on_proof: Vec::new(),
            on_entry: Vec::new(),
            on_token: Vec::new(),
            on_timestamp: Vec::new(),
            on_bundle: Vec::new(),
            on_annotations: Vec::new(),
            on_trust_root: Vec::new(),
        }
    }

    /// A keyless signature over an artifact in the v2 log, with a timestamp.
    #[must_use]
    pub fn v2() -> Self {
        let entry = Entry { kind: Kind::HashedRekordV2, promise: false, proof: true };
        Self { entries: vec![entry], timestamps: 1, ..Self::v1() }
    }

    /// A keyless statement about an artifact, logged as that kind.
    #[must_use]
    pub fn statement(kind: Kind) -> Self {
        let scene = if kind.is_v2() { Self::v2() } else { Self::v1() };
        Self { content: Content::Statement, ..scene }.logged_as(kind)
    }

    /// The same, logged as that kind.
    #[must_use]
    pub fn logged_as(mut self, kind: Kind) -> Self {
        self.entries.iter_mut().for_each(|entry| {
            entry.kind = kind;
            entry.promise &= !kind.is_v2();
        });
        self
    }

    /// The same, signed with a bare key that the verifier pins.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.signer = Signer::Pinned;
        self
    }

    /// The same in another format.
    #[must_use]
    pub fn in_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The same with a key of another kind, signing as Sigstore's clients do with it.
    #[must_use]
    pub fn with_key(mut self, kind: KeyKind) -> Self {
        self.key = Key::named("signer", kind);
        let sees_only_a_hash = self.content != Content::Statement
            || self.entries.iter().any(|entry| entry.kind == Kind::HashedRekordV2);
        self.scheme = if kind == KeyKind::Ed25519 && sees_only_a_hash {
            // A log that sees only a hash can verify only the prehashed form.
            Scheme::Ed25519ph
        } else {
            self.key.public().default_scheme()
        };
        self
    }

    /// The same with another scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// The same with changed keys, chains or windows.
    #[must_use]
    pub fn with_instance(mut self, change: impl FnOnce(&mut Instance)) -> Self {
        change(&mut self.instance);
        self
    }

    /// Whatever is not a layer.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("format", &self.format)
            .field("content", &self.content)
            .field("signer", &self.signer)
            .field("key", &self.key)
            .field("entries", &self.entries)
            .field("timestamps", &self.timestamps)
            .finish_non_exhaustive()
    }
}
