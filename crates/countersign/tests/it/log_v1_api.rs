//! The transparency log's v1 API over HTTP, every answer verified as its clients verify it.

use crypto::merkle::verify_consistency;
use crypto::{KeyKind, PublicKey};
use serde_json::{Value, json};
use testkit::certificate::{ExtensionDraft, email};
use testkit::json::{base64, every_field_wrong};
use testkit::log::Kind;
use testkit::{Instance as Authority, Submission};

use crate::instance::{Instance, Place};
use crate::trust::{
    EntryV1, Trust, hash_of, hashes, hex_bytes, verify_checkpoint, verify_entry_v1,
};
use crate::wire::{Answer, exchange};

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const SEARCH: &str = "/api/v1/index/retrieve";

const KINDS: [Kind; 3] = [Kind::HashedRekordV1, Kind::DsseV1, Kind::IntotoV2];

/// A running instance with what its answers are verified by.
struct Log {
    place: Place,
    instance: Instance,
    trust: Trust,
    tree: u64,
}

impl Log {
    fn start() -> Self {
        let place = Place::new();
        let instance = place.start();
        let trust = instance.trust();
        let info = instance.get("/api/v1/log").wanted(200).json();
        let tree = info["treeID"].as_str().unwrap().parse().unwrap();
        Self { place, instance, trust, tree }
    }

    #[track_caller]
    fn verify(&self, answer: &Value) -> EntryV1 {
        verify_entry_v1(answer, &self.trust, self.tree)
    }

    /// Logs it, and checks the answer with all that clients read of it.
    #[track_caller]
    fn append(&self, request: &Value) -> EntryV1 {
        let answer = self.instance.post(ENTRIES, request).wanted(201);
        let entry = self.verify(&answer.json());
        // Without quotes: sigstore-go looks the entry up under this very text.
        assert_eq!(answer.header("etag"), Some(entry.id.as_str()));
        assert_eq!(answer.header("location"), Some(format!("{ENTRIES}/{}", entry.id).as_str()));
        entry
    }

    #[track_caller]
    fn append_new(&self, content: &str) -> EntryV1 {
        self.append(&submission(Kind::HashedRekordV1, content).request())
    }

    /// Checks what a query finds.
    #[track_caller]
    fn finds(&self, query: &Value, wanted: &[&str]) {
        let found = self.instance.post(SEARCH, query).wanted(200).json();
        assert_eq!(found, json!(wanted), "{query}");
    }
}

fn submission(kind: Kind, content: &str) -> Submission {
    Submission::new(kind, KeyKind::EcdsaP256).about(content.as_bytes())
}

/// Checks that it is an error in Rekor's form.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["code"], status, "{}", answer.text());
    answer.message()
}

#[test]
fn every_kind_is_logged_promised_and_proven() {
    let log = Log::start();
    let mut index = 0;
    for kind in KINDS {
        for key in [KeyKind::EcdsaP256, KeyKind::Rsa { bits: 2048 }, KeyKind::Ed25519] {
            let submission = Submission::new(kind, key);
            for submission in [submission.clone(), submission.with_certificate()] {
                let (request, leaf) = submission.request_and_leaf();
                let entry = log.append(&request);
                assert_eq!(String::from_utf8(entry.body).unwrap(), leaf);
                assert_eq!(entry.index, index);
                index += 1;
            }
        }
    }
}

/// As `rekor_types` for Python and old releases of clients send it.
#[test]
fn explicit_nulls_and_slashes_at_the_end_are_taken() {
    let log = Log::start();
    let mut request = submission(Kind::DsseV1, "nulls").request();
    for field in ["signatures", "envelopeHash", "payloadHash"] {
        request["spec"][field] = Value::Null;
    }
    let answer = log.instance.post(&format!("{ENTRIES}/"), &request).wanted(201);
    let entry = log.verify(&answer.json());
    assert_eq!(answer.header("location"), Some(format!("{ENTRIES}/{}", entry.id).as_str()));
    let query = json!({"logIndexes": [0], "entryUUIDs": null, "entries": null});
    for path in [RETRIEVE.to_owned(), format!("{RETRIEVE}/")] {
        let found = log.instance.post(&path, &query).wanted(200).json();
        assert_eq!(log.verify(&found[0]).id, entry.id);
    }
    log.instance.get("/api/v1/log/").wanted(200);
    log.instance.get(&format!("{ENTRIES}/?logIndex=0")).wanted(200);
    log.instance.post(&format!("{SEARCH}/"), &json!({"hash": hash_of(b"nothing")})).wanted(200);
}

#[test]
fn an_entry_is_found_by_index_and_by_either_of_its_names() {
    let log = Log::start();
    let first = log.append_new("first");
    let second = log.append_new("second");
    for entry in [&first, &second] {
        let uuid = &entry.id[16..];
        for path in [
            format!("{ENTRIES}?logIndex={}", entry.index),
            format!("{ENTRIES}/{}", entry.id),
            format!("{ENTRIES}/{uuid}"),
            format!("{ENTRIES}/{}", uuid.to_uppercase()),
        ] {
            let answer = log.instance.get(&path).wanted(200);
            let found = log.verify(&answer.json());
            assert_eq!(
                (&found.body, found.index, found.time),
                (&entry.body, entry.index, entry.time)
            );
            // Its proof is of the newest tree, and so is never the same for long.
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
        }
    }
    let (unknown, other_tree) = (hex::encode([7; 32]), format!("{:016x}{}", 7, &first.id[16..]));
    for path in [
        format!("{ENTRIES}?logIndex=2"),
        format!("{ENTRIES}?logIndex={}", u64::MAX),
        format!("{ENTRIES}/{unknown}"),
        format!("{ENTRIES}/{other_tree}"),
    ] {
        refused(&log.instance.get(&path), 404);
    }
    for path in [
        ENTRIES.to_owned(),
        format!("{ENTRIES}?logIndex=-1"),
        format!("{ENTRIES}?logIndex=one"),
        format!("{ENTRIES}?logIndex=1&logIndex=2"),
        format!("{ENTRIES}/{}", &first.id[1..]),
        format!("{ENTRIES}/{}", "g".repeat(64)),
        format!("{ENTRIES}/%ff%fe"),
        format!("{ENTRIES}/{}", "é".repeat(32)),
    ] {
        refused(&log.instance.get(&path), 422);
    }
}

#[test]
fn the_same_entry_again_is_the_same_entry() {
    let log = Log::start();
    let request = submission(Kind::HashedRekordV1, "again").request();
    let first = log.append(&request);
    log.append_new("between");
    let again = log.append(&request);
    assert_eq!((again.id, again.index, again.time), (first.id, first.index, first.time));
    // Many at once, as a client that gave up too early and its next attempt.
    let request = submission(Kind::DsseV1, "at once").request();
    let found: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(|| log.append(&request))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(found.iter().all(|entry| (&entry.id, entry.index) == (&found[0].id, 2)), "{found:?}");
    let info = log.instance.get("/api/v1/log").json();
    assert_eq!(info["treeSize"], 3);
}

#[test]
fn entries_are_retrieved_by_name_by_index_and_by_content() {
    let log = Log::start();
    let submissions = KINDS.map(|kind| submission(kind, "retrieved").with_certificate());
    let requests = submissions.clone().map(|submission| submission.request());
    let entries = requests.clone().map(|request| log.append(&request));
    let retrieve = |query: &Value| {
        let found = log.instance.post(RETRIEVE, query).wanted(200).json();
        let found = found.as_array().unwrap();
        found.iter().map(|entry| log.verify(entry).index).collect::<Vec<_>>()
    };
    let ids: Vec<_> = entries.iter().map(|entry| entry.id.clone()).collect();
    let leaves: Vec<Value> =
        entries.iter().map(|entry| serde_json::from_slice(&entry.body).unwrap()).collect();
    assert_eq!(retrieve(&json!({"entryUUIDs": ids})), [0, 1, 2]);
    assert_eq!(retrieve(&json!({"entryUUIDs": [&ids[1][16..]]})), [1]);
    assert_eq!(retrieve(&json!({"logIndexes": [2, 0]})), [2, 0]);
    // As it was proposed, and as it stands in the log.
    assert_eq!(retrieve(&json!({"entries": requests})), [0, 1, 2]);
    assert_eq!(retrieve(&json!({"entries": leaves})), [0, 1, 2]);
    let all = json!({"entryUUIDs": [ids[0]], "logIndexes": [1], "entries": [requests[2]]});
    assert_eq!(retrieve(&all), [0, 1, 2]);
    // What is not there is left out.
    let absent = submission(Kind::HashedRekordV1, "never logged").request();
    let some = json!({
        "entryUUIDs": [hex::encode([7; 32]), ids[0]],
        "logIndexes": [99, 1],
        "entries": [absent, requests[2]],
    });
    assert_eq!(retrieve(&some), [0, 1, 2]);
    assert_eq!(retrieve(&json!({"entries": [absent]})), [0_u64; 0]);
    assert_eq!(retrieve(&json!({})), [0_u64; 0]);
}

#[test]
fn ten_entries_are_retrieved_at_once_and_eleven_are_not() {
    let log = Log::start();
    let entry = log.append_new("often");
    let query = |names: usize, indexes: usize, contents: usize| {
        json!({
            "entryUUIDs": vec![entry.id.clone(); names],
            "logIndexes": vec![0; indexes],
            "entries": vec![serde_json::from_slice::<Value>(&entry.body).unwrap(); contents],
        })
    };
    for (names, indexes, contents) in [(10, 0, 0), (0, 10, 0), (0, 0, 10), (4, 3, 3)] {
        let found = log.instance.post(RETRIEVE, &query(names, indexes, contents)).wanted(200);
        assert_eq!(found.json().as_array().unwrap().len(), 10);
    }
    for (names, indexes, contents) in [(11, 0, 0), (0, 11, 0), (0, 0, 11), (4, 4, 3)] {
        let message = refused(&log.instance.post(RETRIEVE, &query(names, indexes, contents)), 422);
        assert_eq!(message, "more than max allowed 10 entries in request");
    }
}

#[test]
fn a_query_that_is_none_is_told_apart_from_json_that_is_none() {
    let log = Log::start();
    let bad_signature = {
        let mut request = submission(Kind::HashedRekordV1, "bad").request();
        request["spec"]["data"]["hash"]["value"] = hex::encode([7; 32]).into();
        request
    };
    for (query, status) in [
        (json!({"entryUUIDs": ["xyz"]}), 422),
        (json!({"entryUUIDs": [7]}), 422),
        (json!({"logIndexes": [-1]}), 422),
        (json!({"logIndexes": "0"}), 422),
        (json!([]), 422),
        (json!({"entries": [bad_signature]}), 400),
        (json!({"entries": [{"kind": "rekord", "apiVersion": "0.0.1", "spec": {}}]}), 400),
        (json!({"entries": [7]}), 400),
    ] {
        refused(&log.instance.post(RETRIEVE, &query), status);
    }
    for path in [ENTRIES, RETRIEVE, SEARCH] {
        for body in [&b""[..], b"{", b"\xff", b"{\"a\": nul}"] {
            refused(&exchange(log.instance.address(), "POST", path, &[], body).unwrap(), 400);
        }
    }
}

#[test]
fn the_state_of_the_log_is_its_checkpoint() {
    let log = Log::start();
    for size in 0..3 {
        let info = log.instance.get("/api/v1/log").wanted(200).json();
        let origin = format!("127.0.0.1 - {}", log.tree);
        let note = info["signedTreeHead"].as_str().unwrap();
        let checkpoint = verify_checkpoint(note, &log.trust.log_v1, &origin);
        assert_eq!(checkpoint.size.0, size);
        assert_eq!(info["treeSize"], size);
        assert_eq!(hex_bytes(&info["rootHash"]), checkpoint.root);
        assert_eq!(info["inactiveShards"], json!([]));
        let published = log.instance.get("/v1/checkpoint").wanted(200);
        assert_eq!(published.text(), note);
        log.append_new(&format!("entry {size}"));
    }
}

#[test]
fn any_two_trees_are_proven_to_be_one_history() {
    let log = Log::start();
    let origin = format!("127.0.0.1 - {}", log.tree);
    let roots: Vec<_> = (0..9)
        .map(|number| {
            let entry = log.append_new(&format!("entry {number}"));
            verify_checkpoint(&entry.checkpoint, &log.trust.log_v1, &origin).root
        })
        .collect();
    let root_of = |size: u64| &roots[usize::try_from(size - 1).unwrap()];
    for last in 1..=9 {
        for first in 1..=last {
            let path =
                format!("/api/v1/log/proof?firstSize={first}&lastSize={last}&treeID={}", log.tree);
            let answer = log.instance.get(&path).wanted(200).json();
            assert_eq!(hex_bytes(&answer["rootHash"]), root_of(last));
            let proof = hashes(&answer["hashes"], hex_bytes);
            verify_consistency(first, last, &proof, root_of(first), root_of(last)).unwrap();
        }
    }
    // From the first entry, where nothing else is said.
    let answer = log.instance.get("/api/v1/log/proof?lastSize=9").wanted(200).json();
    let proof = hashes(&answer["hashes"], hex_bytes);
    verify_consistency(1, 9, &proof, root_of(1), root_of(9)).unwrap();

    for (query, status) in [
        ("firstSize=5&lastSize=4", 400),
        ("firstSize=0&lastSize=4", 400),
        ("lastSize=0", 400),
        ("lastSize=10", 400),
        ("lastSize=18446744073709551615", 400),
        ("lastSize=4&treeID=7", 400),
        ("", 422),
        ("firstSize=1", 422),
        ("lastSize=-1", 422),
        ("lastSize=18446744073709551616", 422),
        ("lastSize=four", 422),
    ] {
        let answer = log.instance.get(&format!("/api/v1/log/proof?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        refused(&answer, status);
    }
}

#[test]
fn the_key_is_told_but_only_that_of_this_tree() {
    let log = Log::start();
    for path in
        ["/api/v1/log/publicKey".to_owned(), format!("/api/v1/log/publicKey?treeID={}", log.tree)]
    {
        let answer = log.instance.get(&path).wanted(200);
        assert_eq!(answer.header("content-type"), Some("application/x-pem-file"));
        assert_eq!(PublicKey::from_pem(&answer.body).unwrap(), log.trust.log_v1.key);
    }
    refused(&log.instance.get("/api/v1/log/publicKey?treeID=7"), 400);
}

#[test]
fn entries_are_found_by_what_they_are_about_and_who_signed() {
    let log = Log::start();
    let with_address = |kind: Kind, content: &str, key: KeyKind, address: &str| {
        let submission = Submission::new(kind, key).about(content.as_bytes());
        let mut draft = Authority::named("search").certificate(&submission.key);
        draft.put(ExtensionDraft::names(&[email(address)]));
        Submission { certificate: Some(draft.seal()), ..submission }
    };
    let subject = hash_of(b"a released file");
    let commit = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "file", "digest": {"sha256": subject[7..]}}],
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {"materials": [{"uri": "git+https://example.com", "digest": {"sha1": commit}}]},
    })
    .to_string();
    let alice =
        with_address(Kind::HashedRekordV1, "by alice", KeyKind::EcdsaP256, "Alice@Example.com");
    let attested = with_address(Kind::DsseV1, &statement, KeyKind::EcdsaP256, "alice@example.com");
    let bob = with_address(Kind::HashedRekordV1, "by bob", KeyKind::EcdsaP384, "bob@example.com");
    let keyed = submission(Kind::HashedRekordV1, "by a key");
    let [alice_id, attested_id, bob_id, keyed_id] =
        [&alice, &attested, &bob, &keyed].map(|submission| log.append(&submission.request()).id);

    // By hash, in any spelling.
    let hash = hash_of(b"by alice");
    for spelling in [hash.clone(), hash[7..].to_owned(), hash.to_uppercase()] {
        log.finds(&json!({"hash": spelling}), &[&alice_id]);
    }
    // The statement's subject, its material, and the payload itself.
    let payload = hash_of(statement.as_bytes());
    for hash in [subject, format!("sha1:{commit}"), commit.to_owned(), payload] {
        log.finds(&json!({"hash": hash}), &[&attested_id]);
    }
    // By address, the newest first, whatever the case.
    for address in ["alice@example.com", "ALICE@example.com"] {
        for field in ["email", "subject"] {
            log.finds(&json!({field: address}), &[&attested_id, &alice_id]);
        }
    }
    // By key or certificate: attestations too, which Rekor does not find.
    for (submission, id) in [(&alice, &alice_id), (&attested, &attested_id), (&keyed, &keyed_id)] {
        let content = base64(submission.pem().as_bytes());
        log.finds(&json!({"publicKey": {"format": "x509", "content": content}}), &[id]);
    }

    // Any of several, or all of them.
    let alices = json!({"email": "alice@example.com", "hash": hash});
    log.finds(&alices, &[&attested_id, &alice_id]);
    let any = json!({"email": "bob@example.com", "hash": hash, "operator": "or"});
    log.finds(&any, &[&bob_id, &alice_id]);
    let all = |email: &str| json!({"email": email, "hash": hash, "operator": "and"});
    log.finds(&all("alice@example.com"), &[&alice_id]);
    log.finds(&all("bob@example.com"), &[]);
    log.finds(&json!({"email": "carol@example.com"}), &[]);

    // What is found outlives the process.
    let Log { place, instance, trust, tree } = log;
    instance.stop();
    let log = Log { instance: place.start(), place, trust, tree };
    log.finds(&any, &[&bob_id, &alice_id]);
}

#[test]
fn a_search_for_nothing_or_nonsense_is_refused() {
    let log = Log::start();
    for (query, status) in [
        (json!({}), 400),
        (json!({"email": null}), 400),
        (json!({"email": ""}), 422),
        (json!({"email": "a".repeat(513)}), 422),
        (json!({"hash": ""}), 422),
        (json!({"hash": "sha256:00"}), 422),
        (json!({"hash": "md5:d41d8cd98f00b204e9800998ecf8427e"}), 422),
        (json!({"email": "a@b", "operator": "xor"}), 422),
        (json!({"publicKey": {}}), 422),
        (json!({"publicKey": {"content": "***"}}), 422),
        (json!({"publicKey": {"content": base64(b"no key")}}), 400),
        (json!({"email": 7}), 422),
    ] {
        let answer = log.instance.post(SEARCH, &query);
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        refused(&answer, status);
    }
}

#[test]
fn what_is_not_taken_in_is_refused_with_the_reason() {
    let log = Log::start();
    let mut bad_signature = submission(Kind::HashedRekordV1, "bad").request();
    bad_signature["spec"]["data"]["hash"]["value"] = hex::encode([7; 32]).into();
    let mut unknown = submission(Kind::HashedRekordV1, "unknown").request();
    unknown["kind"] = "rekord".into();
    for (request, reason) in [
        (bad_signature, "signature 0 does not verify"),
        (unknown, "entries of kind `rekord` version `0.0.1` are not taken here"),
        (json!({}), "missing field"),
    ] {
        let message = refused(&log.instance.post(ENTRIES, &request), 400);
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(log.instance.get("/api/v1/log").json()["treeSize"], 0);
}

/// Entry bundles write lengths in 16 bits: some requests are taken whole and their entry is not.
#[test]
fn an_entry_too_long_for_the_log_is_413() {
    let log = Log::start();
    let submission = submission(Kind::DsseV1, "long").with_large_certificate(30_000);
    let mut request = submission.request();
    let envelope = submission.envelope(&[&submission.signature(), &submission.signature()]);
    request["spec"]["proposedContent"]["envelope"] = envelope.to_string().into();
    let message = refused(&log.instance.post(ENTRIES, &request), 413);
    assert!(message.contains("longer than the 65535"), "{message}");
}

/// Whatever is wrong with a request, it is the requester's fault.
/// Serde would read a list as the object, field by field.
#[test]
fn a_list_in_the_place_of_an_object_is_refused() {
    let place = Place::new();
    let instance = place.start();
    let request = Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).request();
    let entry = json!([request["kind"], request["apiVersion"], request["spec"]]);
    for (path, list, status) in [
        ("/api/v1/log/entries", entry.clone(), 400),
        ("/api/v1/log/entries/retrieve", json!([[], [0], []]), 422),
        ("/api/v1/log/entries/retrieve", json!({"entries": [entry]}), 400),
        ("/api/v1/index/retrieve", json!(["a@example.com", null, null, null, null]), 422),
        ("/api/v1/index/retrieve", json!({"publicKey": ["AAAA"]}), 422),
    ] {
        instance.post(path, &list).wanted(status);
    }
}

#[test]
fn every_field_wrong_in_every_way_is_refused() {
    let log = Log::start();
    let mut sent = 0;
    for kind in KINDS {
        let request = submission(kind, "wrong").with_certificate().request();
        for wrong in every_field_wrong(&request) {
            let answer = log.instance.post(ENTRIES, &wrong.document);
            let (what, how) = (&wrong.pointer, wrong.how);
            assert!([400, 413].contains(&answer.status), "{what} is {how}: {}", answer.text());
            assert!(answer.message().len() < 400, "{what} is {how}: {}", answer.text());
            sent += 1;
        }
    }
    let id = log.append_new("right").id;
    let query = json!({
        "entryUUIDs": [id],
        "logIndexes": [0],
        "entries": [submission(Kind::HashedRekordV1, "right").request()],
    });
    let search = json!({
        "email": "alice@example.com",
        "subject": "alice@example.com",
        "hash": hash_of(b"right"),
        "publicKey": {"format": "x509", "content": base64(submission(Kind::DsseV1, "").pem().as_bytes())},
        "operator": "or",
    });
    for (path, request) in [(RETRIEVE, query), (SEARCH, search)] {
        log.instance.post(path, &request).wanted(200);
        for wrong in every_field_wrong(&request) {
            let answer = log.instance.post(path, &wrong.document);
            let (what, how) = (&wrong.pointer, wrong.how);
            let is_fine = [200, 400, 413, 422].contains(&answer.status);
            assert!(is_fine, "{what} is {how}: {}", answer.text());
            sent += 1;
        }
    }
    println!("{sent} wrong requests");
    log.append_new("still alive");
}
