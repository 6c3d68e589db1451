//! Every place that names an image, in every workload kind, and what is not known to be one.

use admission::Kind;
use admission::images::{
    Before, PLACES_MAX, POINTER_SIZE_MAX, Place, UnreadableObject, Workload, places,
};
use serde_json::{Value, json};

fn kind(group: &str, version: &str, kind: &str) -> Kind {
    Kind { group: group.into(), version: version.into(), kind: kind.into() }
}

fn pod_kind() -> Option<Workload> {
    Workload::of(&kind("", "v1", "Pod"))
}

/// What cannot be read of a Pod.
fn problem(json: &str) -> UnreadableObject {
    places(pod_kind(), json).unwrap_err()
}

/// `(field, image, known)` of every place, known ones first, then by the alphabet: in which order
/// fields stand in a test's object is its maker's choice.
fn found(workload: Option<Workload>, object: Value) -> Vec<(String, String, bool)> {
    let places = places(workload, &object.to_string()).unwrap();
    assert!(places.is_sorted_by_key(|place| !place.known));
    let mut found: Vec<_> =
        places.into_iter().map(|place| (place.field(), place.image, place.known)).collect();
    found.sort_by_key(|(field, _, known)| (!known, field.clone()));
    found
}

fn known(field: &str, image: &str) -> (String, String, bool) {
    (field.to_owned(), image.to_owned(), true)
}

fn unknown(field: &str, image: &str) -> (String, String, bool) {
    (field.to_owned(), image.to_owned(), false)
}

/// A Pod specification with every known place filled.
fn specification() -> Value {
    json!({
        "initContainers": [
            {"name": "init", "image": "init:1"},
            {"name": "sidecar", "image": "sidecar:1", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "web", "image": "web:1"}, {"name": "log", "image": "log:1"}],
        "ephemeralContainers": [{"name": "debug", "image": "debug:1"}],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "model", "image": {"reference": "model:1", "pullPolicy": "Always"}},
        ],
    })
}

const PLACES: [(&str, &str); 6] = [
    ("containers[0].image", "web:1"),
    ("containers[1].image", "log:1"),
    ("ephemeralContainers[0].image", "debug:1"),
    ("initContainers[0].image", "init:1"),
    ("initContainers[1].image", "sidecar:1"),
    ("volumes[1].image.reference", "model:1"),
];

#[test]
fn finds_every_place_of_every_workload() {
    let kinds: &[(&str, &str, &str, &[&str])] = &[
        ("", "Pod", "pods", &["spec"]),
        ("", "ReplicationController", "replicationcontrollers", &["spec", "template", "spec"]),
        ("", "PodTemplate", "podtemplates", &["template", "spec"]),
        ("apps", "ReplicaSet", "replicasets", &["spec", "template", "spec"]),
        ("apps", "Deployment", "deployments", &["spec", "template", "spec"]),
        ("apps", "StatefulSet", "statefulsets", &["spec", "template", "spec"]),
        ("apps", "DaemonSet", "daemonsets", &["spec", "template", "spec"]),
        ("batch", "Job", "jobs", &["spec", "template", "spec"]),
        ("batch", "CronJob", "cronjobs", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ];
    for (group, name, resource, path) in kinds {
        let workload = Workload::of(&kind(group, "v1", name)).unwrap();
        assert_eq!((workload.group(), workload.resource()), (*group, *resource));
        assert_eq!(workload.is_pod(), *name == "Pod");
        let nest = |inner, step: &&str| json!({ *step: inner });
        let object = path.iter().rev().fold(specification(), nest);
        let prefix = path.join(".");
        let wanted = PLACES.map(|(field, image)| known(&format!("{prefix}.{field}"), image));
        assert_eq!(found(Some(workload), object.clone()), wanted, "{name}");
        // To a reader who does not know the kind, each of them is suspect.
        let suspects = found(None, object);
        assert_eq!(suspects.len(), wanted.len(), "{name}");
        assert!(suspects.iter().all(|(field, image, known)| {
            !known && wanted.iter().any(|(f, i, _)| (f, i) == (field, image))
        }));
    }
}

#[test]
fn knows_workloads_by_group_and_version_too() {
    for (group, version, name) in [
        ("", "v1", "Deployment"),
        ("apps", "v1beta1", "Deployment"),
        ("extensions", "v1beta1", "Deployment"),
        ("batch", "v1beta1", "CronJob"),
        ("acme.example", "v1", "Pod"),
        ("", "v1", "pod"),
        ("", "v1", "Namespace"),
    ] {
        assert_eq!(Workload::of(&kind(group, version, name)), None, "{group}/{version} {name}");
    }
}

#[test]
fn names_no_image_where_none_is_given() {
    for object in [
        json!({}),
        json!({"spec": null}),
        json!({"spec": {}}),
        json!({"spec": {"containers": null, "volumes": null}}),
        json!({"spec": {"containers": [], "initContainers": []}}),
        json!({"spec": {"containers": [{"name": "a"}]}}),
        json!({"spec": {"containers": [{"name": "a", "image": null}]}}),
        json!({"spec": {"containers": [{"name": "a", "image": ""}]}}),
        json!({"spec": {"volumes": [{"name": "a", "image": null}]}}),
        json!({"spec": {"volumes": [{"name": "a", "image": {}}]}}),
        json!({"spec": {"volumes": [{"name": "a", "image": {"reference": ""}}]}}),
    ] {
        assert_eq!(found(pod_kind(), object.clone()), [], "{object}");
    }
}

#[test]
fn suspects_images_in_places_it_does_not_know() {
    let in_spec = |value: Value| found(pod_kind(), json!({"spec": value}));
    assert_eq!(
        in_spec(json!({"hypervisor": {"image": "evil:1"}})),
        [unknown("spec.hypervisor.image", "evil:1")]
    );
    assert_eq!(
        in_spec(json!({"bootstrapContainers": [{"name": "a", "image": "evil:1"}]})),
        [unknown("spec.bootstrapContainers[0].image", "evil:1")]
    );
    assert_eq!(
        in_spec(json!({"containers": [{"name": "a", "image": "web:1",
            "debugger": {"image": {"reference": "evil:1"}}}]})),
        [
            known("spec.containers[0].image", "web:1"),
            unknown("spec.containers[0].debugger.image.reference", "evil:1")
        ]
    );
    assert_eq!(
        in_spec(json!({"volumes": [{"name": "a", "artifact": {"reference": "evil:1"}}]})),
        [unknown("spec.volumes[0].artifact.reference", "evil:1")]
    );
    // Beside the Pod specification, too.
    let deployment = Workload::of(&kind("apps", "v1", "Deployment"));
    assert_eq!(
        found(deployment, json!({"spec": {"canary": {"spec": {"image": "evil:1"}}}, "image": "x"})),
        [unknown("image", "x"), unknown("spec.canary.spec.image", "evil:1")]
    );
    assert_eq!(
        in_spec(json!({"future": {"image": ["evil:1", "evil:2"]}})),
        [unknown("spec.future.image[0]", "evil:1"), unknown("spec.future.image[1]", "evil:2")]
    );
    // A step with a slash or a tilde keeps its place in the pointer.
    let object = json!({"a/b~c": {"image": "evil:1"}});
    let place = places(None, &object.to_string()).unwrap().remove(0);
    assert_eq!((place.pointer.as_str(), place.field().as_str()), ("/a~1b~0c/image", "a/b~c.image"));
    assert_eq!(object.pointer(&place.pointer), Some(&json!("evil:1")));
}

/// A Pod specification with the user's own words wherever Kubernetes has a map of them.
fn free_words() -> Value {
    let words = json!({"image": "a", "reference": "b"});
    let selector = json!({"matchLabels": words});
    let term =
        json!({"topologyKey": "k", "labelSelector": selector, "namespaceSelector": selector});
    let affinity = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
    });
    let resources = json!({"limits": words, "requests": words});
    json!({
        "affinity": {"podAffinity": affinity, "podAntiAffinity": affinity},
        "nodeSelector": words,
        "overhead": words,
        "resources": resources,
        "topologySpreadConstraints": [{"labelSelector": selector}],
        "containers": [{"name": "a", "env": [{"name": "image", "value": "x"}],
            "resources": resources}],
        "volumes": [
            {"name": "a", "rbd": {"image": "block-device", "pool": "p"}},
            {"name": "b", "csi": {"driver": "d", "volumeAttributes": words}},
            {"name": "c", "flexVolume": {"driver": "d", "options": words}},
            {"name": "d", "ephemeral": {"volumeClaimTemplate": {
                "metadata": {"labels": words, "annotations": words},
                "spec": {"selector": selector, "resources": resources}}}},
        ],
    })
}

#[test]
fn suspects_nothing_where_users_choose_the_words() {
    let words = json!({"image": "a", "reference": "b"});
    let selector = json!({"matchLabels": words});
    let metadata = json!({"labels": words, "annotations": words,
        "managedFields": [{"fieldsV1": {"f:image": {}, "image": "x"}}]});
    let whole = |spec: Value| {
        json!({"metadata": metadata, "spec": spec,
            "status": {"containerStatuses": [{"image": "web:1"}]}})
    };
    let template = json!({"metadata": {"labels": words, "annotations": words},
        "spec": free_words()});
    let set = json!({"selector": selector, "template": template});
    let claim = json!({"metadata": {"labels": words},
        "spec": {"selector": selector, "resources": {"requests": words}}});
    let mut stateful = set.clone();
    stateful["volumeClaimTemplates"] = json!([claim]);
    let cron = json!({"jobTemplate": {"metadata": {"labels": words}, "spec": set}});
    for (group, name, object) in [
        ("", "Pod", whole(free_words())),
        ("", "ReplicationController", whole(json!({"selector": words, "template": template}))),
        ("", "PodTemplate", json!({"metadata": metadata, "template": template})),
        ("apps", "ReplicaSet", whole(set.clone())),
        ("apps", "Deployment", whole(set.clone())),
        ("apps", "StatefulSet", whole(stateful)),
        ("apps", "DaemonSet", whole(set.clone())),
        ("batch", "Job", whole(set.clone())),
        ("batch", "CronJob", whole(cron)),
    ] {
        assert_eq!(found(Workload::of(&kind(group, "v1", name)), object), [], "{name}");
    }
    // Of any other kind nothing is known but what all objects have.
    let other = json!({"metadata": metadata, "status": {"image": "x"}, "spec": {"replicas": 3}});
    assert_eq!(found(None, other), []);
}

/// The same names elsewhere are not known to be maps of words.
#[test]
fn suspects_words_of_users_in_other_places() {
    for name in [
        "annotations",
        "labels",
        "matchLabels",
        "nodeSelector",
        "volumeAttributes",
        "options",
        "limits",
        "requests",
        "overhead",
        "rbd",
        "metadata",
        "status",
    ] {
        for (place, spec) in [
            ("spec.future", json!({"future": {name: {"image": "evil:1"}}})),
            (
                "spec.containers[0]",
                json!({"containers": [{"name": "a", name: {"image": "evil:1"}}]}),
            ),
            ("spec.volumes[0]", json!({"volumes": [{"name": "a", name: {"image": "evil:1"}}]})),
        ] {
            if (place, name) == ("spec.volumes[0]", "rbd") {
                continue;
            }
            let wanted = [unknown(&format!("{place}.{name}.image"), "evil:1")];
            assert_eq!(found(pod_kind(), json!({"spec": spec})), wanted);
        }
    }
    for name in ["options", "limits", "requests", "volumeAttributes", "labels", "matchLabels"] {
        let wanted = [unknown(&format!("spec.{name}.image"), "evil:1")];
        let object = json!({"spec": {name: {"image": "evil:1"}}});
        assert_eq!(found(pod_kind(), object.clone()), wanted);
        assert_eq!(found(None, object), wanted);
    }
    // What is a map of words where it is one, is looked through where it is something else.
    for spec in [
        json!({"nodeSelector": null, "affinity": [{"image": "evil:1"}]}),
        json!({"topologySpreadConstraints": {"image": "evil:1"}}),
        json!({"containers": [{"name": {"image": "evil:1"}}]}),
    ] {
        let places = found(pod_kind(), json!({"spec": spec}));
        assert!(matches!(places.as_slice(), [(_, _, false)]), "{places:?}");
    }
}

#[test]
fn refuses_objects_it_cannot_read() {
    let unreadable = |object: Value| match problem(&object.to_string()) {
        UnreadableObject::WrongType { pointer, wanted, found } => (pointer, wanted, found),
        other => panic!("{other:?}"),
    };
    for (object, pointer, wanted, found) in [
        (json!({"spec": []}), "/spec", "a map", "a list"),
        (json!({"spec": {"containers": {}}}), "/spec/containers", "a list", "a map"),
        (json!({"spec": {"containers": ["a"]}}), "/spec/containers/0", "a map", "text"),
        (json!({"spec": {"containers": [null]}}), "/spec/containers/0", "a map", "null"),
        (
            json!({"spec": {"containers": [{"image": 5}]}}),
            "/spec/containers/0/image",
            "text",
            "a number",
        ),
        (
            json!({"spec": {"initContainers": [{"image": {"reference": "a"}}]}}),
            "/spec/initContainers/0/image",
            "text",
            "a map",
        ),
        (json!({"spec": {"volumes": true}}), "/spec/volumes", "a list", "a Boolean"),
        (json!({"spec": {"volumes": [{"image": "a"}]}}), "/spec/volumes/0/image", "a map", "text"),
        (
            json!({"spec": {"volumes": [{"image": {"reference": ["a"]}}]}}),
            "/spec/volumes/0/image/reference",
            "text",
            "a list",
        ),
    ] {
        assert_eq!(unreadable(object), (pointer.to_owned(), wanted, found));
    }
}

#[test]
fn bounds_the_number_of_places() {
    let containers = |count| {
        let container = |number| json!({"name": format!("c{number}"), "image": "a"});
        let containers: Vec<_> = (0..count).map(container).collect();
        json!({"spec": {"containers": containers}, "image": "b"}).to_string()
    };
    let most = places(pod_kind(), &containers(PLACES_MAX - 1)).unwrap();
    assert_eq!(most.len(), PLACES_MAX);
    assert_eq!(problem(&containers(PLACES_MAX)), UnreadableObject::TooMany);
    let below = |length: usize| json!({"x".repeat(length): {"image": "a"}}).to_string();
    // Two slashes and `image` are 7 bytes.
    let longest = places(None, &below(POINTER_SIZE_MAX - 7)).unwrap();
    assert_eq!(longest[0].pointer.len(), POINTER_SIZE_MAX);
    assert_eq!(places(None, &below(POINTER_SIZE_MAX - 6)), Err(UnreadableObject::TooLong));
}

/// Readers disagree on which of two counts: we might judge the one, and Kubernetes start the other.
#[test]
fn refuses_what_stands_twice_on_the_way_to_an_image() {
    let twice = |json: &str| match problem(json) {
        UnreadableObject::Twice { pointer } => pointer,
        other => panic!("{json}: {other:?}"),
    };
    for (json, pointer) in [
        (r#"{"spec":{},"spec":{}}"#, "/spec"),
        (r#"{"spec":{"containers":[],"containers":[{"image":"a"}]}}"#, "/spec/containers"),
        (r#"{"spec":{"volumes":null,"volumes":[]}}"#, "/spec/volumes"),
        (r#"{"spec":{"containers":[{"image":"a","image":"b"}]}}"#, "/spec/containers/0/image"),
        (r#"{"spec":{"containers":[{"name":"a","name":"b"}]}}"#, "/spec/containers/0/name"),
        // The same field, spelled otherwise.
        (r#"{"spec":{"containers":[{"image":"a","\u0069mage":"b"}]}}"#, "/spec/containers/0/image"),
        (
            r#"{"spec":{"volumes":[{"image":{"reference":"a","reference":""}}]}}"#,
            "/spec/volumes/0/image/reference",
        ),
    ] {
        assert_eq!(twice(json), pointer);
    }
    // Both of a place that is not known are suspects.
    let suspects = places(pod_kind(), r#"{"spec":{"future":{"image":"a","image":"b"}}}"#).unwrap();
    assert_eq!(suspects.len(), 2);
}

#[test]
fn refuses_what_is_nested_too_deep_to_be_looked_through() {
    let nested = |depth: usize| {
        format!(r#"{{"spec":{{"x":{}{{"image":"a"}}{}}}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(places(pod_kind(), &nested(120)).unwrap().len(), 1);
    assert!(matches!(problem(&nested(128)), UnreadableObject::Malformed { .. }));
    assert!(matches!(problem(&nested(100_000)), UnreadableObject::Malformed { .. }));
}

#[test]
fn tells_what_is_unchanged_by_list_and_name() {
    let of = |object: Value| places(pod_kind(), &object.to_string()).unwrap();
    let old = of(json!({"spec": {
        "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}],
        "volumes": [{"name": "m", "image": {"reference": "m:1"}}],
        "future": {"image": "f:1"},
    }}));
    let changed = |new: Vec<Place>| {
        let before = Before::of(&old);
        let changed = new.iter().filter(|place| !before.held(place));
        let mut changed: Vec<_> = changed.map(Place::field).collect();
        changed.sort();
        changed
    };
    assert_eq!(changed(old.clone()), Vec::<String>::new());
    // Another order is no other image.
    let reordered = of(json!({"spec": {
        "containers": [{"name": "b", "image": "b:1"}, {"name": "a", "image": "a:1"}],
    }}));
    assert_eq!(changed(reordered), Vec::<String>::new());
    // An image that runs in one container is no grounds for another.
    let moved = of(json!({"spec": {
        "containers": [{"name": "a", "image": "b:1"}, {"name": "c", "image": "a:1"}],
        "initContainers": [{"name": "a", "image": "a:1"}],
        "volumes": [{"name": "n", "image": {"reference": "m:1"}}],
        "future": {"image": "f:2"},
    }}));
    assert_eq!(
        changed(moved),
        [
            "spec.containers[0].image",
            "spec.containers[1].image",
            "spec.future.image",
            "spec.initContainers[0].image",
            "spec.volumes[0].image.reference",
        ]
    );
}
