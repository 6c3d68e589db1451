//! What the trusted root of an instance says, and checks with it that are made of nothing but
//! keys, signatures and hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::merkle::{NodeHash, leaf_hash, node_hash, verify_inclusion};
use crypto::{Message, PublicKey, Scheme};
use evidence::{Certificate, Checkpoint, SignedNote};
use serde_json::Value;

use crate::instance::Instance;

/// A log's key and identifier.
#[derive(Clone, Debug)]
pub(crate) struct LogKey {
    pub(crate) key: PublicKey,
    pub(crate) id: Vec<u8>,
}

/// Keys and certificates of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) log_v1: LogKey,
    pub(crate) log_v2: LogKey,
    pub(crate) ct: LogKey,
    /// The issuing one first.
    pub(crate) authority: Vec<Certificate>,
    /// The signing one first.
    pub(crate) timestamps: Vec<Certificate>,
}

impl Trust {
    pub(crate) fn parse(root: &Value) -> Self {
        let log = |log: &Value| LogKey {
            key: PublicKey::from_spki_der(&bytes(&log["publicKey"]["rawBytes"])).unwrap(),
            id: bytes(&log["logId"]["keyId"]),
        };
        let chain = |authority: &Value| {
            let chain = authority["certChain"]["certificates"].as_array().unwrap();
            chain.iter().map(|der| Certificate::parse(&bytes(&der["rawBytes"])).unwrap()).collect()
        };
        Self {
            log_v1: log(&root["tlogs"][0]),
            log_v2: log(&root["tlogs"][1]),
            ct: log(&root["ctlogs"][0]),
            authority: chain(&root["certificateAuthorities"][0]),
            timestamps: chain(&root["timestampAuthorities"][0]),
        }
    }
}

/// Bytes of standard base64 in a JSON text.
#[track_caller]
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// `sha256:…` of bytes.
pub(crate) fn hash_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(crypto::sha256(content)))
}

/// Bytes of hexadecimal in a JSON text.
#[track_caller]
pub(crate) fn hex_bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Verifies a checkpoint of the v1 or v2 log, which carries one signature.
#[track_caller]
pub(crate) fn verify_checkpoint(note: &str, log: &LogKey, origin: &str) -> Checkpoint {
    let note = SignedNote::parse(note).unwrap();
    let [line] = note.signatures() else { panic!("{} signatures", note.signatures().len()) };
    assert_eq!(line.name, "127.0.0.1");
    assert_eq!(line.key_hint, log.id[..4]);
    let text = Message::Bytes(note.text().as_bytes());
    log.key.verify(log.key.default_scheme(), text, &line.signature).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(checkpoint.origin, origin);
    checkpoint
}

/// Verifies a checkpoint of the CT log (C2SP static-ct-api, "Checkpoints"; RFC 6962 §3.5).
#[track_caller]
pub(crate) fn verify_tree_head(note: &str, log: &LogKey) -> Checkpoint {
    let note = SignedNote::parse(note).unwrap();
    let [line] = note.signatures() else { panic!("{} signatures", note.signatures().len()) };
    assert_eq!(line.name, "127.0.0.1/ct");
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(checkpoint.origin, "127.0.0.1/ct");
    let (time, rest) = line.signature.split_first_chunk::<8>().unwrap();
    let signature = rest.strip_prefix(&[4, 3]).unwrap();
    let (size, signature) = signature.split_first_chunk::<2>().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*size)), signature.len());
    let head = [&[0, 1], &time[..], &checkpoint.size.0.to_be_bytes(), &checkpoint.root].concat();
    log.key.verify(Scheme::EcdsaP256Sha256, Message::Bytes(&head), signature).unwrap();
    checkpoint
}

/// The numbers, hashes and texts of a v1 entry that were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryV1 {
    pub(crate) id: String,
    pub(crate) index: u64,
    pub(crate) time: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) leaf: NodeHash,
    pub(crate) checkpoint: String,
}

/// Verifies everything that a v1 log states about an entry: name, promise, proof, checkpoint.
#[track_caller]
pub(crate) fn verify_entry_v1(answer: &Value, trust: &Trust, tree: u64) -> EntryV1 {
    let map = answer.as_object().unwrap();
    assert_eq!(map.len(), 1, "one entry, under its name");
    let (id, entry) = map.iter().next().unwrap();
    let body = bytes(&entry["body"]);
    let leaf = leaf_hash(&body);
    assert_eq!(*id, format!("{tree:016x}{}", hex::encode(leaf)));
    let (index, time) =
        (entry["logIndex"].as_u64().unwrap(), entry["integratedTime"].as_i64().unwrap());
    let log_id = entry["logID"].as_str().unwrap();
    assert_eq!(log_id, hex::encode(&trust.log_v1.id));
    assert_eq!(trust.log_v1.id, trust.log_v1.key.id());

    // RFC 8785 of these four, as the clients compose it.
    let promised = format!(
        r#"{{"body":{},"integratedTime":{time},"logID":"{log_id}","logIndex":{index}}}"#,
        entry["body"]
    );
    let verification = &entry["verification"];
    let promise = bytes(&verification["signedEntryTimestamp"]);
    let promised = Message::Bytes(promised.as_bytes());
    trust.log_v1.key.verify(Scheme::EcdsaP256Sha256, promised, &promise).unwrap();

    let proof = &verification["inclusionProof"];
    let note = proof["checkpoint"].as_str().unwrap();
    let checkpoint = verify_checkpoint(note, &trust.log_v1, &format!("127.0.0.1 - {tree}"));
    assert_eq!(proof["logIndex"], index);
    assert_eq!(proof["treeSize"], checkpoint.size.0);
    assert_eq!(hex_bytes(&proof["rootHash"]), checkpoint.root);
    let hashes = hashes(&proof["hashes"], hex_bytes);
    verify_inclusion(&leaf, index, checkpoint.size.0, &hashes, &checkpoint.root).unwrap();
    EntryV1 { id: id.clone(), index, time, body, leaf, checkpoint: note.to_owned() }
}

/// What a v2 log states about an entry, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryV2 {
    pub(crate) index: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) leaf: NodeHash,
    pub(crate) checkpoint: String,
}

/// Verifies everything that a v2 log states about an entry.
#[track_caller]
pub(crate) fn verify_entry_v2(entry: &Value, trust: &Trust) -> EntryV2 {
    // sigstore-python refuses an answer with any other member.
    let members = [
        "canonicalizedBody",
        "inclusionPromise",
        "inclusionProof",
        "integratedTime",
        "kindVersion",
        "logId",
        "logIndex",
    ];
    for name in entry.as_object().unwrap().keys() {
        assert!(members.contains(&name.as_str()), "{name}");
    }
    let index: u64 = entry["logIndex"].as_str().unwrap().parse().unwrap();
    assert_eq!(bytes(&entry["logId"]["keyId"]), trust.log_v2.id);
    assert_eq!(entry["integratedTime"], "0");
    let body = bytes(&entry["canonicalizedBody"]);
    let leaf = leaf_hash(&body);
    let parsed: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(entry["kindVersion"]["kind"], parsed["kind"]);
    assert_eq!(entry["kindVersion"]["version"], parsed["apiVersion"]);

    let proof = &entry["inclusionProof"];
    let note = proof["checkpoint"]["envelope"].as_str().unwrap();
    let checkpoint = verify_checkpoint(note, &trust.log_v2, "127.0.0.1");
    assert_eq!(proof["logIndex"], index.to_string());
    assert_eq!(proof["treeSize"], checkpoint.size.0.to_string());
    assert_eq!(bytes(&proof["rootHash"]), checkpoint.root);
    let hashes = hashes(&proof["hashes"], bytes);
    verify_inclusion(&leaf, index, checkpoint.size.0, &hashes, &checkpoint.root).unwrap();
    EntryV2 { index, body, leaf, checkpoint: note.to_owned() }
}

/// A list of hashes.
#[track_caller]
pub(crate) fn hashes(list: &Value, decode: impl Fn(&Value) -> Vec<u8>) -> Vec<NodeHash> {
    list.as_array().unwrap().iter().map(|hash| decode(hash).try_into().unwrap()).collect()
}

/// The path of a tile's number (C2SP tlog-tiles, "Merkle Tree").
fn number(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// All bytes of one kind of tiles of a tree of that size, tile by tile.
#[track_caller]
fn tiles(instance: &Instance, prefix: &str, kind: &str, size: u64) -> Vec<(u64, Vec<u8>)> {
    (0..size.div_ceil(256))
        .map(|index| {
            let width = (size - index * 256).min(256);
            let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
            let path = format!("{prefix}/tile/{kind}/{}{partial}", number(index));
            (width, instance.get(&path).wanted(200).body)
        })
        .collect()
}

/// The leaf hashes of a tree, from its tiles of hashes.
#[track_caller]
pub(crate) fn leaf_hashes(instance: &Instance, prefix: &str, size: u64) -> Vec<NodeHash> {
    let mut hashes = Vec::new();
    for (width, bytes) in tiles(instance, prefix, "0", size) {
        let (tile, rest) = bytes.as_chunks::<32>();
        assert!(rest.is_empty() && tile.len() as u64 == width, "{} bytes", bytes.len());
        hashes.extend_from_slice(tile);
    }
    hashes
}

/// The entries of a tree, from its entry bundles.
#[track_caller]
pub(crate) fn entries(instance: &Instance, prefix: &str, size: u64) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for (width, bytes) in tiles(instance, prefix, "entries", size) {
        let before = entries.len() as u64;
        let mut rest = &bytes[..];
        while let Some((size, after)) = rest.split_first_chunk::<2>() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*size)));
            entries.push(entry.to_vec());
            rest = after;
        }
        assert_eq!(entries.len() as u64 - before, width);
    }
    entries
}

/// A tree that grows, as its definition has it (RFC 6962 §2.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// Roots of the complete subtrees, the widest first, with their heights.
    peaks: Vec<(u32, NodeHash)>,
}

impl Tree {
    pub(crate) fn push(&mut self, leaf: NodeHash) {
        let mut subtree = (0, leaf);
        while let Some((height, left)) = self.peaks.pop_if(|(height, _)| *height == subtree.0) {
            subtree = (height + 1, node_hash(&left, &subtree.1));
        }
        self.peaks.push(subtree);
    }

    pub(crate) fn root(&self) -> NodeHash {
        let hashes = self.peaks.iter().rev().map(|(_, hash)| *hash);
        hashes
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(crypto::merkle::empty_root)
    }
}

/// The root of a tree of these leaves.
pub(crate) fn root(leaves: &[NodeHash]) -> NodeHash {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}
