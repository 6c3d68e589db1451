//! Images named in Kubernetes manifests.

use policy::manifests::images;

const MANIFESTS: &str = "\
apiVersion: v1
kind: Pod
spec:
  initContainers: [{name: a, image: registry.example/init:1}]
  containers:
    - {name: b, image: registry.example/app:1}
    - {name: c}
  volumes:
    - {name: d, image: {reference: registry.example/volume:1}}
    - {name: e, emptyDir: {}}
---
apiVersion: batch/v1
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: registry.example/job:1}]}}}}}
---
apiVersion: v1
kind: ConfigMap
data: {image: not-an-image, containers: text}
";

#[test]
fn every_container_and_image_volume_of_every_document_is_named() {
    let found = images(MANIFESTS).unwrap();
    let wanted =
        ["init:1", "app:1", "volume:1", "job:1"].map(|name| format!("registry.example/{name}"));
    assert_eq!(found, wanted);
    assert_eq!(images(r#"{"spec":{"containers":[{"image":"a"}]}}"#).unwrap(), ["a"]);
    assert!(images("").unwrap().is_empty());
    assert!(images("a: b: c").is_err());
}
