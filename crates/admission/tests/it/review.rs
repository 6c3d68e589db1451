//! Reviews: read strictly, bounded; every field in turn absent, null, empty, of another type,
//! oversize.

use admission::images::UnreadableObject;
use admission::judge::Webhook;
use admission::object::LABELS_MAX;
use admission::review::{BadReview, Operation, REVIEW_SIZE_MAX, Review, ReviewProblem};
use serde_json::{Value, json};

use crate::world::{World, pod, review};

fn parse(review: &Value) -> Result<Review, BadReview> {
    Review::parse(&serde_json::to_vec(review).unwrap())
}

fn full() -> Value {
    let mut review = review("UPDATE", &pod("a:1"), Some(&pod("b:1")));
    let request = review["request"].as_object_mut().unwrap();
    request.insert("subResource".into(), json!("ephemeralcontainers"));
    request.insert("dryRun".into(), json!(false));
    request.insert("userInfo".into(), json!({"username": "admin", "groups": ["system:masters"]}));
    review
}

#[test]
fn reads_what_a_decision_needs() {
    let review = parse(&full()).unwrap();
    assert_eq!(review.uid, "51e84d91-3dce-4b4b-9aff-36b94ec98b8a");
    assert_eq!(review.operation, Operation::Update);
    assert_eq!((review.kind.group.as_str(), review.kind.kind.as_str()), ("", "Pod"));
    assert_eq!(review.subresource.as_deref(), Some("ephemeralcontainers"));
    assert_eq!((review.namespace.as_str(), review.name.as_str()), ("shop", "web"));
    assert!(review.object.is_some() && review.old_object.is_some());
}

#[test]
fn takes_fields_that_it_does_not_know() {
    let mut review = full();
    review["request"]["futureField"] = json!({"a": [1]});
    review["futureField"] = json!(5);
    assert!(parse(&review).is_ok());
}

#[test]
fn refuses_what_is_not_a_review() {
    let problem = |body: &[u8]| Review::parse(body).unwrap_err();
    let oversize = vec![b' '; REVIEW_SIZE_MAX + 1];
    assert_eq!(problem(&oversize).problem, ReviewProblem::TooLarge { found: REVIEW_SIZE_MAX + 1 });
    for body in ["", "{", "{]", "nul", "\u{feff}{}", &"[".repeat(100_000)] {
        let problem = problem(body.as_bytes()).problem;
        assert!(matches!(problem, ReviewProblem::NotJson { .. }), "{body:.20}: {problem}");
    }
    assert!(matches!(problem(b"\xff{}").problem, ReviewProblem::NotJson { .. }));
    for body in ["null", "[]", "5", "\"a\""] {
        let BadReview { uid, problem } = problem(body.as_bytes());
        assert_eq!(uid, None);
        assert!(matches!(problem, ReviewProblem::WrongType { field: "the review", .. }), "{body}");
    }
}

/// What is in an object is the judge's matter: he knows whether any policy asks for it.
#[test]
fn an_object_that_cannot_be_read_is_still_one_of_a_review() {
    let mut deep = json!("a");
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let mut review = full();
    review["request"]["object"]["spec"] = deep.clone();
    let object = parse(&review).unwrap().object.unwrap();
    assert!(matches!(object.places, Err(UnreadableObject::WrongType { .. })));
    review["request"]["object"]["spec"] = json!({"x": deep});
    let object = parse(&review).unwrap().object.unwrap();
    assert!(matches!(object.places, Err(UnreadableObject::Malformed { .. })));
    // Elsewhere it is nobody's matter.
    let mut review = full();
    review["request"]["userInfo"] = deep;
    assert!(parse(&review).is_ok());
}

#[test]
fn labels_are_read_within_bounds() {
    let labels = |labels: &str| {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": "HERE"}});
        let review = review("CREATE", &object, None).to_string().replace("\"HERE\"", labels);
        Review::parse(review.as_bytes()).unwrap().object.unwrap().labels
    };
    let many = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|number| format!(r#""l{number}":"v""#)).collect();
        format!("{{{}}}", pairs.join(","))
    };
    assert_eq!(labels("null").unwrap().len(), 0);
    assert_eq!(labels(r#"{"a":"b"}"#).unwrap(), [("a".into(), "b".into())].into());
    assert_eq!(labels(&many(LABELS_MAX)).unwrap().len(), LABELS_MAX);
    let too_many = UnreadableObject::TooManyLabels { max: LABELS_MAX };
    assert_eq!(labels(&many(LABELS_MAX + 1)), Err(too_many.clone()));
    assert_eq!(labels(&format!(r#"{{"a":"{}"}}"#, "b".repeat(2000))), Err(too_many));
    for twice in [r#"{"a":"b","a":"c"}"#, r#"{"a":"b","\u0061":"b"}"#] {
        assert!(matches!(labels(twice), Err(UnreadableObject::Twice { .. })), "{twice}");
    }
    for wrong in ["[]", "5", r#"{"a":5}"#, r#"{"a":null}"#, r#"{"a":{}}"#] {
        assert!(matches!(labels(wrong), Err(UnreadableObject::WrongType { .. })), "{wrong}");
    }
}

/// Readers disagree on which of two counts.
#[test]
fn a_field_that_stands_twice_is_refused() {
    const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
        "uid":"u","operation":"UPDATE","kind":{"group":"","kind":"Pod","version":"v1"},
        "object":{"apiVersion":"v1","kind":"Pod","metadata":{}},
        "oldObject":{"kind":"Pod","apiVersion":"v1"}}}"#;
    assert!(Review::parse(REVIEW.as_bytes()).unwrap().old_object.is_some());
    let with = |part: &str, more: &str| {
        assert!(REVIEW.contains(part), "{part}");
        Review::parse(REVIEW.replacen(part, &format!("{part}{more}"), 1).as_bytes())
    };
    for (field, part, more) in [
        ("the review", r#""AdmissionReview","#, r#""kind":"AdmissionReview","#),
        ("the review", r#""AdmissionReview","#, r#""request":{"uid":"v"},"#),
        ("request", r#""uid":"u","#, r#""uid":"v","#),
        ("request", r#""uid":"u","#, r#""operation":"DELETE","#),
        ("request", r#""uid":"u","#, r#""\u006fbject":{},"#),
        ("request.kind", r#""group":"","#, r#""kind":"Job","#),
        ("request.object", r#"{"apiVersion":"v1","#, r#""apiVersion":"v1","#),
        ("request.object", r#"{"apiVersion":"v1","#, r#""metadata":{"labels":{}},"#),
    ] {
        let problem = with(part, more).unwrap_err().problem;
        assert_eq!(problem, ReviewProblem::Twice { field }, "{more}");
    }
    // An old object that does vouches for nothing.
    let twice = with(r#""oldObject":{"#, r#""kind":"Pod","#);
    assert_eq!(twice.unwrap().old_object, None);
}

/// The API server sends both in one version. Were it otherwise, its images would be in other places.
#[test]
fn an_old_object_of_another_kind_is_none() {
    for (field, other) in [("kind", "Job"), ("apiVersion", "v2")] {
        let mut review = full();
        review["request"]["oldObject"][field] = json!(other);
        assert_eq!(parse(&review).unwrap().old_object, None);
    }
}

/// The path to every field that is read, and whether a review without it is still one.
const FIELDS: &[(&str, bool)] = &[
    ("/apiVersion", false),
    ("/kind", false),
    ("/request", false),
    ("/request/uid", false),
    ("/request/operation", false),
    ("/request/kind", false),
    ("/request/kind/group", true),
    ("/request/kind/version", false),
    ("/request/kind/kind", false),
    ("/request/subResource", true),
    ("/request/namespace", true),
    ("/request/name", true),
    ("/request/object", false),
    ("/request/object/apiVersion", false),
    ("/request/object/kind", false),
    ("/request/oldObject", true),
];

#[test]
fn every_field_spoiled_in_turn_is_refused_with_its_name() {
    for (pointer, optional) in FIELDS {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let spoil = |value: Option<Value>| {
            let mut review = full();
            let parent = review.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            match value {
                Some(value) => parent.insert(name.to_owned(), value),
                None => parent.remove(name),
            };
            parse(&review)
        };
        let named = |error: BadReview| {
            let text = error.to_string();
            let dotted = pointer[1..].replace('/', ".");
            assert!(text.contains(&dotted), "{pointer}: {text}");
        };
        for absent in [None, Some(Value::Null)] {
            match spoil(absent.clone()) {
                Ok(_) => assert!(optional, "{pointer} may not be {absent:?}"),
                Err(error) => {
                    assert!(!optional, "{pointer} may be {absent:?}: {error}");
                    named(error);
                }
            }
        }
        let is_map = full().pointer(pointer).unwrap().is_object();
        let wrong = if is_map { json!("text") } else { json!({"a": 1}) };
        for wrong in [wrong, json!(5), json!(true), json!([]), json!([[]])] {
            named(spoil(Some(wrong)).unwrap_err());
        }
        if !is_map {
            named(spoil(Some(json!("x".repeat(1025)))).unwrap_err());
            if !optional {
                named(spoil(Some(json!(""))).unwrap_err());
            }
        }
    }
}

#[test]
fn refuses_words_it_does_not_know() {
    let with = |pointer: &str, word: &str| {
        let mut review = full();
        *review.pointer_mut(pointer).unwrap() = json!(word);
        parse(&review).unwrap_err().problem
    };
    for (pointer, word) in [
        ("/apiVersion", "admission.k8s.io/v1beta1"),
        ("/kind", "AdmissionRequest"),
        ("/request/operation", "PATCH"),
        ("/request/operation", "create"),
    ] {
        let problem = with(pointer, word);
        assert!(matches!(problem, ReviewProblem::Unknown { .. }), "{pointer}: {problem}");
    }
    for (pointer, word) in [
        ("/request/object/kind", "Namespace"),
        ("/request/object/apiVersion", "v2"),
        ("/request/kind/kind", "Namespace"),
        ("/request/kind/group", "apps"),
    ] {
        let problem = with(pointer, word);
        assert!(matches!(problem, ReviewProblem::Contradiction { .. }), "{pointer}: {problem}");
    }
}

#[test]
fn needs_an_object_only_where_something_is_stored() {
    for (operation, needed) in
        [("CREATE", true), ("UPDATE", true), ("DELETE", false), ("CONNECT", false)]
    {
        let mut review = full();
        review["request"]["operation"] = json!(operation);
        review["request"]["object"] = Value::Null;
        assert_eq!(parse(&review).is_err(), needed, "{operation}");
    }
}

#[tokio::test]
async fn a_bad_review_is_refused_under_its_uid_or_not_answered() {
    let world = World::new(&[]);
    for webhook in [Webhook::Mutate, Webhook::Validate] {
        let mut bad = full();
        bad["request"]["operation"] = json!("PATCH");
        let answer = world.ask(webhook, &bad).await.unwrap();
        assert!(!answer.allowed());
        assert!(answer.message().unwrap().contains("request.operation"));
        bad["request"]["uid"] = json!("");
        let error = world.ask(webhook, &bad).await.unwrap_err();
        assert_eq!(error.problem, ReviewProblem::Missing { field: "request.uid" });
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

/// Every field there is spoiled in every way: an answer, never a panic.
#[tokio::test]
async fn every_value_of_a_review_spoiled_in_turn_gets_an_answer() {
    let world = World::new(&[crate::world::keyless("enforce", "**")]);
    let mut object = pod("registry.example.com/shop/web:1");
    object["metadata"]["labels"] = json!({"a": "b"});
    object["spec"]["volumes"] = json!([{"name": "m", "image": {"reference": "m:1"}}]);
    let original = review("UPDATE", &object, Some(&pod("registry.example.com/shop/web:0")));
    let mut refused = 0;
    for wrong in testkit::json::every_field_wrong(&original) {
        for webhook in [Webhook::Mutate, Webhook::Validate] {
            match world.ask(webhook, &wrong.document).await {
                Ok(answer) => {
                    assert!(answer.to_json().len() < 64 * 1024, "{} {}", wrong.pointer, wrong.how);
                    refused += usize::from(!answer.allowed());
                }
                Err(bad) => assert!(bad.uid.is_none(), "{} {}", wrong.pointer, wrong.how),
            }
        }
    }
    assert!(refused > 200, "only {refused} refused");
}
