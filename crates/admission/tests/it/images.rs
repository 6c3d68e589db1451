//! Every place that names an image, in every workload kind, and what is not known to be one.

use admission::images::{PLACES_MAX, Place, UnreadableObject, Workload, changed, places};
use admission::review::Kind;
use serde_json::{Map, Value, json};

fn kind(group: &str, version: &str, kind: &str) -> Kind {
    Kind { group: group.into(), version: version.into(), kind: kind.into() }
}

fn pod_kind() -> Option<Workload> {
    Workload::of(&kind("", "v1", "Pod"))
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

/// `(field, image, known)` of every place.
fn found(workload: Option<Workload>, object: Value) -> Vec<(String, String, bool)> {
    let places = places(workload, &map(object)).unwrap();
    places.into_iter().map(|place| (place.field(), place.image, place.known)).collect()
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
    ("initContainers[0].image", "init:1"),
    ("initContainers[1].image", "sidecar:1"),
    ("containers[0].image", "web:1"),
    ("containers[1].image", "log:1"),
    ("ephemeralContainers[0].image", "debug:1"),
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
        let wanted: Vec<_> = PLACES
            .iter()
            .map(|(field, image)| known(&format!("{prefix}.{field}"), image))
            .collect();
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
    let object = map(json!({"a/b~c": {"image": "evil:1"}}));
    let place = places(None, &object).unwrap().remove(0);
    assert_eq!((place.pointer.as_str(), place.field().as_str()), ("/a~1b~0c/image", "a/b~c.image"));
    assert_eq!(Value::Object(object).pointer(&place.pointer), Some(&json!("evil:1")));
}

#[test]
fn suspects_nothing_where_users_choose_the_words() {
    let selector = json!({"labelSelector": {"matchLabels": {"image": "a", "reference": "b"}}});
    let object = json!({
        "metadata": {"labels": {"image": "a"}, "annotations": {"reference": "b"},
            "managedFields": [{"fieldsV1": {"f:image": {}}}]},
        "status": {"containerStatuses": [{"image": "web:1"}]},
        "spec": {
            "nodeSelector": {"image": "ubuntu"},
            "topologySpreadConstraints": [selector],
            "containers": [{"name": "a", "env": [{"name": "image", "value": "x"}],
                "resources": {"limits": {"image": "1"}, "requests": {"image": "1"}}}],
            "volumes": [
                {"name": "a", "rbd": {"image": "block-device", "pool": "p"}},
                {"name": "b", "csi": {"driver": "d", "volumeAttributes": {"image": "x"}}},
                {"name": "c", "flexVolume": {"driver": "d", "options": {"image": "x"}}},
                {"name": "d", "ephemeral": {"volumeClaimTemplate": {
                    "metadata": {"labels": {"image": "x"}, "annotations": {"image": "x"}},
                    "spec": {"selector": {"matchLabels": {"image": "x"}},
                        "resources": {"requests": {"image": "1"}}}}}},
            ],
        },
    });
    assert_eq!(found(pod_kind(), object), []);
}

#[test]
fn refuses_objects_it_cannot_read() {
    let unreadable = |object: Value| match places(pod_kind(), &map(object)) {
        Err(UnreadableObject::WrongType { pointer, wanted, found }) => (pointer, wanted, found),
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
        map(json!({"spec": {"containers": (0..count).map(container).collect::<Vec<_>>()}}))
    };
    assert_eq!(places(pod_kind(), &containers(PLACES_MAX)).unwrap().len(), PLACES_MAX);
    assert_eq!(places(pod_kind(), &containers(PLACES_MAX + 1)), Err(UnreadableObject::TooMany));
}

#[test]
fn tells_what_is_unchanged_by_list_and_name() {
    let of = |object: Value| places(pod_kind(), &map(object)).unwrap();
    let fields = |places: Vec<Place>| places.iter().map(Place::field).collect::<Vec<_>>();
    let old = of(json!({"spec": {
        "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}],
        "volumes": [{"name": "m", "image": {"reference": "m:1"}}],
        "future": {"image": "f:1"},
    }}));
    assert_eq!(fields(changed(old.clone(), &old)), Vec::<String>::new());
    // Another order is no other image.
    let reordered = of(json!({"spec": {
        "containers": [{"name": "b", "image": "b:1"}, {"name": "a", "image": "a:1"}],
    }}));
    assert_eq!(fields(changed(reordered, &old)), Vec::<String>::new());
    // An image that runs in one container is no grounds for another.
    let moved = of(json!({"spec": {
        "containers": [{"name": "a", "image": "b:1"}, {"name": "c", "image": "a:1"}],
        "initContainers": [{"name": "a", "image": "a:1"}],
        "volumes": [{"name": "n", "image": {"reference": "m:1"}}],
        "future": {"image": "f:2"},
    }}));
    assert_eq!(
        fields(changed(moved, &old)),
        [
            "spec.initContainers[0].image",
            "spec.containers[0].image",
            "spec.containers[1].image",
            "spec.volumes[0].image.reference",
            "spec.future.image"
        ]
    );
}
