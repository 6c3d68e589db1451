//! Lists of tags and of referrers, page by page.

use std::collections::BTreeSet;

use devkit::registry::{Behaviour, Referrers, Registry};
use evidence::Digest;
use serde_json::{Value, json};

use crate::http::{Answer, delete, get};
use crate::manifests::{IMAGE, INDEX, image, push_document, push_empty};
use crate::start_registry;

async fn registry_with_tags(tags: &[&str]) -> Registry {
    let registry = start_registry(Behaviour::default()).await;
    push_empty(&registry, "team/app").await;
    for tag in tags {
        push_document(&registry, &format!("team/app/manifests/{tag}"), IMAGE, &image()).await;
    }
    registry
}

async fn list(registry: &Registry, query: &str) -> (Value, Option<String>) {
    let answer = get(format!("/v2/team/app/tags/list{query}")).send(registry.address()).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["name"], "team/app");
    (body["tags"].clone(), answer.next())
}

#[tokio::test]
async fn tags_come_in_order_and_in_pages() {
    let registry = registry_with_tags(&["b", "a", "_c", "B", "1.0"]).await;
    let all = json!(["1.0", "B", "_c", "a", "b"]);
    assert_eq!(list(&registry, "").await, (all.clone(), None));
    assert_eq!(list(&registry, "?n=5").await, (all.clone(), None), "nothing is left to link to");
    assert_eq!(list(&registry, "?n=100").await, (all, None));
    assert_eq!(list(&registry, "?n=0").await, (json!([]), None));
    assert_eq!(list(&registry, "?last=a").await, (json!(["b"]), None));
    assert_eq!(list(&registry, "?last=C").await.0, json!(["_c", "a", "b"]), "need not be a tag");
    let (page, next) = list(&registry, "?n=2").await;
    assert_eq!(page, json!(["1.0", "B"]));
    assert_eq!(next.as_deref(), Some("/v2/team/app/tags/list?n=2&last=B"));
    let (page, next) = list(&registry, "?n=2&last=B").await;
    assert_eq!(page, json!(["_c", "a"]));
    let query = next.unwrap();
    let (page, next) = list(&registry, query.strip_prefix("/v2/team/app/tags/list").unwrap()).await;
    assert_eq!((page, next), (json!(["b"]), None));
}

#[tokio::test]
async fn a_page_of_tags_is_never_larger_than_the_registry_likes() {
    let registry = registry_with_tags(&["a", "b", "c"]).await;
    registry.set_behaviour(Behaviour { page_size_max: 2, ..Behaviour::default() });
    let (page, next) = list(&registry, "?n=100").await;
    assert_eq!(page, json!(["a", "b"]));
    assert_eq!(next.as_deref(), Some("/v2/team/app/tags/list?n=100&last=b"));
    let (page, next) = list(&registry, "").await;
    assert_eq!(page, json!(["a", "b"]));
    assert_eq!(next.as_deref(), Some("/v2/team/app/tags/list?last=b"));
}

#[tokio::test]
async fn bad_questions_for_tags_are_refused() {
    let registry = registry_with_tags(&["a"]).await;
    for n in ["-1", "x", "1.5", "99999999999999999999999999"] {
        let asked = get(format!("/v2/team/app/tags/list?n={n}")).send(registry.address()).await;
        assert_eq!(asked.refusal(), (400, "UNSUPPORTED".into()), "{n}");
    }
    let asked = get("/v2/team/other/tags/list").send(registry.address()).await;
    assert_eq!(asked.refusal(), (404, "NAME_UNKNOWN".into()));
}

/// A registry with referrers of types `a/1+json` (two) and `b/2` (one, by its config), an index
/// without a type, and one manifest that refers to something else.
async fn registry_with_referrers() -> (Registry, Digest, Vec<Digest>) {
    let registry = start_registry(Behaviour::default()).await;
    push_empty(&registry, "app").await;
    let subject = push_document(&registry, "app/manifests/v1", IMAGE, &image()).await;
    let refer = |to: &Digest| json!({ "mediaType": IMAGE, "digest": to.to_string(), "size": 1 });
    let mut documents = Vec::new();
    for number in ["one", "two"] {
        let mut document = image();
        document["artifactType"] = json!("a/1+json");
        document["subject"] = refer(&subject);
        document["annotations"] = json!({ "number": number });
        documents.push((IMAGE, document));
    }
    let mut by_config = image();
    by_config["config"]["mediaType"] = json!("b/2");
    by_config["artifactType"] = json!("");
    by_config["subject"] = refer(&subject);
    documents.push((IMAGE, by_config));
    documents.push((
        INDEX,
        json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": refer(&subject),
        }),
    ));
    let mut digests = Vec::new();
    for (media_type, document) in documents {
        let digest = Digest::sha256(document.to_string().as_bytes());
        let target = format!("app/manifests/{digest}");
        digests.push(push_document(&registry, &target, media_type, &document).await);
    }
    let mut other = image();
    other["subject"] = refer(&Digest::sha256(b"something else"));
    push_document(&registry, "app/manifests/other", IMAGE, &other).await;
    (registry, subject, digests)
}

fn descriptors(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some(INDEX));
    let index = answer.json();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], INDEX);
    index["manifests"].as_array().unwrap().clone()
}

fn digests_of(descriptors: &[Value]) -> BTreeSet<String> {
    descriptors.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
}

fn texts(digests: &[Digest]) -> BTreeSet<String> {
    digests.iter().map(Digest::to_string).collect()
}

#[tokio::test]
async fn referrers_are_described() {
    let (registry, subject, digests) = registry_with_referrers().await;
    let answer = get(format!("/v2/app/referrers/{subject}")).send(registry.address()).await;
    assert_eq!(answer.header("oci-filters-applied"), None);
    assert_eq!(answer.next(), None);
    let found = descriptors(&answer);
    assert_eq!(digests_of(&found), texts(&digests));
    let one =
        |digest: &Digest| found.iter().find(|found| found["digest"] == digest.to_string()).unwrap();
    let size = registry.manifest("app", &digests[0].to_string()).unwrap().len();
    assert_eq!(
        one(&digests[0]),
        &json!({
            "mediaType": IMAGE, "digest": digests[0].to_string(), "size": size,
            "artifactType": "a/1+json", "annotations": { "number": "one" },
        })
    );
    assert_eq!(one(&digests[2])["artifactType"], "b/2", "the config's type stands in");
    assert_eq!(one(&digests[3])["mediaType"], INDEX);
    assert_eq!(one(&digests[3]).get("artifactType"), None, "an index has none to stand in");
    assert_eq!(one(&digests[3]).get("annotations"), None);
}

#[tokio::test]
async fn referrers_are_filtered_unless_the_registry_does_not() {
    let (registry, subject, digests) = registry_with_referrers().await;
    let ask = |kind: &str| {
        let target = format!("/v2/app/referrers/{subject}?artifactType={kind}");
        get(target).send(registry.address())
    };
    for (kind, expected) in [
        ("a/1%2Bjson", &digests[..2]),
        ("a%2F1%2Bjson", &digests[..2]),
        ("b/2", &digests[2..3]),
        ("c/3", &[]),
    ] {
        let answer = ask(kind).await;
        assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(digests_of(&descriptors(&answer)), texts(expected), "{kind}");
    }
    registry
        .set_behaviour(Behaviour { referrers: Referrers::WithoutFilter, ..Behaviour::default() });
    let answer = ask("a/1%2Bjson").await;
    assert_eq!(answer.header("oci-filters-applied"), None);
    assert_eq!(digests_of(&descriptors(&answer)), texts(&digests));
}

#[tokio::test]
async fn referrers_come_in_pages() {
    let (registry, subject, digests) = registry_with_referrers().await;
    registry.set_behaviour(Behaviour { page_size_max: 1, ..Behaviour::default() });
    for (query, expected) in [("", &digests[..]), ("?artifactType=a%2F1%2Bjson", &digests[..2])] {
        let mut target = Some(format!("/v2/app/referrers/{subject}{query}"));
        let mut found = Vec::new();
        while let Some(page) = target {
            let answer = get(page).send(registry.address()).await;
            let filtered = answer.header("oci-filters-applied").is_some();
            assert_eq!(filtered, !query.is_empty(), "on every page");
            let descriptors = descriptors(&answer);
            assert_eq!(descriptors.len(), 1);
            found.extend(descriptors);
            target = answer.next();
            assert!(found.len() <= expected.len(), "pages without end");
        }
        assert_eq!(found.len(), expected.len());
        assert_eq!(digests_of(&found), texts(expected));
    }
}

#[tokio::test]
async fn nothing_refers_to_what_is_unknown() {
    let (registry, subject, _) = registry_with_referrers().await;
    for target in [
        format!("/v2/app/referrers/{}", Digest::sha256(b"unknown")),
        format!("/v2/other/referrers/{subject}"),
    ] {
        let answer = get(target).send(registry.address()).await;
        assert!(descriptors(&answer).is_empty());
    }
    for target in
        ["/v2/app/referrers/sha256:00".to_owned(), format!("/v2/app/referrers/{subject}?last=x")]
    {
        let answer = get(target).send(registry.address()).await;
        assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()));
    }
}

#[tokio::test]
async fn a_deleted_manifest_refers_no_more() {
    let (registry, subject, digests) = registry_with_referrers().await;
    let gone = delete(format!("/v2/app/manifests/{}", digests[0])).send(registry.address()).await;
    assert_eq!(gone.status, 202);
    let answer = get(format!("/v2/app/referrers/{subject}")).send(registry.address()).await;
    assert_eq!(digests_of(&descriptors(&answer)), texts(&digests[1..]));
}

#[tokio::test]
async fn an_absent_referrers_api_looks_like_an_old_registry() {
    let (registry, subject, digests) = registry_with_referrers().await;
    registry.set_behaviour(Behaviour { referrers: Referrers::Off, ..Behaviour::default() });
    let target = format!("/v2/app/referrers/{subject}");
    let answer = get(&target).send(registry.address()).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body, b"404 page not found\n");
    // Switched on later, it knows what was pushed before.
    registry.set_behaviour(Behaviour::default());
    let answer = get(&target).send(registry.address()).await;
    assert_eq!(digests_of(&descriptors(&answer)), texts(&digests));
}
