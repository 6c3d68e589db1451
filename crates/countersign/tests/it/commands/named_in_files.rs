//! `dockerfile verify` and `manifest verify`: the images that files name.

use super::world::World;

#[test]
fn what_a_dockerfile_builds_from_is_verified() {
    let world = World::new();
    let [signed, other, unsigned] =
        ["signed", "other", "unsigned"].map(|tag| world.push("acme/app", tag));
    world.run(&format!("sign {signed} {other}")).ends(0);
    let by = world.by_release();
    let verify = |more: &str| world.run(&format!("dockerfile verify {by} {more}"));
    world.write("good", format!("FROM {signed} AS a\nFROM a\nCOPY --from={other} / /\n"));
    let said = verify("good").ends(0);
    let (base, files) =
        (format!("good builds from {signed}"), format!("good takes files from {other}"));
    let said = said.says(&[&base, &files]);
    assert_eq!(said.json().as_array().unwrap().len(), 2);
    world.write("bad", format!("FROM {unsigned}\nRUN true\nFROM {signed}\n"));
    verify("bad").ends(10).without_result();
    verify("good bad").ends(10).without_result();
    verify("--base-image-only bad").ends(0);
    world.write("copies", format!("FROM {signed}\nCOPY --from={unsigned} / /\n"));
    verify("--base-image-only copies").ends(0);
    verify("copies").ends(10).without_result();

    world.write("argument", format!("ARG TAG\nFROM {}:$TAG\n", signed.rsplit_once(':').unwrap().0));
    verify("argument").ends(2).without_result().says(&["`TAG` has no value", "set TAG"]);
    let line = format!("dockerfile verify {by} argument");
    world.run_with(&line, &[("TAG", "signed")]).ends(0);
    world.run_with(&line, &[("TAG", "unsigned")]).ends(10);
    world.write("nothing", "FROM scratch\n");
    let from_scratch = ["error: the last stage is built from scratch: there is no image to verify"];
    verify("nothing").ends(1).without_result().says(&from_scratch);
    verify("--base-image-only nothing").ends(1).without_result().says(&from_scratch);
    world.write("static", format!("FROM {unsigned} AS a\nFROM scratch\nCOPY --from=a / /\n"));
    verify("--base-image-only static").ends(1).without_result().says(&from_scratch);
    verify("static").ends(10).without_result();
    // Beside others there is nothing in it that could be wrong.
    verify("good nothing").ends(0).says(&["nothing: the last stage is built from scratch"]);
    world.write("empty", "# FROM a\n");
    verify("empty").ends(2).without_result().says(&["there is no `FROM` in it"]);
    world.write("broken", "FROM a b\n");
    verify("broken").ends(2).without_result().says(&["line 1: wanted `FROM"]);
    verify("absent").ends(2).says(&["absent"]);
    // Flags of Cosign that do nothing are taken as by `verify`.
    verify("--new-bundle-format --rekor-url x good").ends(0).says(&["--rekor-url does nothing"]);
}

#[test]
fn what_manifests_run_is_verified() {
    let world = World::new();
    let [signed, unsigned] = ["signed", "unsigned"].map(|tag| world.push("acme/app", tag));
    world.run(&format!("sign {signed}")).ends(0);
    let by = world.by_release();
    let pod = |image: &str| format!("kind: Pod\nspec:\n  containers:\n  - image: {image}\n");
    world.write("good.yaml", pod(&signed));
    world.write("bad.yaml", format!("{}---\n{}", pod(&signed), pod(&unsigned)));
    let verify = |files: &str| world.run(&format!("manifest verify {by} {files}"));
    let said = verify("good.yaml").ends(0);
    assert_eq!(said.json().as_array().unwrap().len(), 1);
    verify("good.yaml good.yaml").ends(0);
    verify("bad.yaml").ends(10).without_result().says(&[&unsigned]);
    verify("good.yaml bad.yaml").ends(10).without_result();
    world.write("none.yaml", "kind: ConfigMap\n");
    verify("none.yaml").ends(2).without_result().says(&["none.yaml names no image"]);
    world.write("broken.yaml", "a: [");
    verify("broken.yaml").ends(2).without_result().says(&["cannot be told what broken.yaml runs"]);
    verify("").ends(2).says(&["FILE"]);
}
