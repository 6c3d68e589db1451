//! `policy suggest`, `policy test`, `policy check` and `policy schema`.

use serde_json::Value;

use super::world::{RELEASE, World};

#[test]
fn what_is_suggested_admits_the_good_image_and_no_other() {
    let world = World::new();
    let (good, other) = (world.push("acme/app", "good"), world.push("acme/app", "other"));
    let unsigned = world.push("acme/app", "unsigned");
    world.run(&format!("sign {good}")).ends(0);
    world.run("generate-key-pair").ends(0);
    world.run(&format!("sign --key cosign.key {other}")).ends(0);
    world.run(&format!("policy suggest {good} --out p.yaml")).ends(0).without_result();
    let printed = world.run(&format!("policy suggest {good}")).ends(0).stdout;
    assert_eq!(printed, world.read("p.yaml"));
    assert!(printed.contains(RELEASE) && printed.contains("refs/heads/main"), "{printed}");
    world.run("policy check p.yaml").ends(0).says(&["ok  p.yaml"]);
    let verify = |image: &str| world.run(&format!("verify --policy-file p.yaml {image}"));
    verify(&good).ends(0);
    verify(&other).ends(12).without_result();
    verify(&unsigned).ends(10).without_result();

    world.write(
        "cases.yaml",
        format!(
            "version: 1\ncases:\n- {{image: '{good}', expect: admit}}\n- {{image: '{unsigned}', \
             expect: refuse, because: no signature}}\n"
        ),
    );
    let said = world.run("policy test p.yaml cases.yaml").ends(0);
    said.says(&["ok      ", "2 as expected, 0 not"]);
    let cases = world.read("cases.yaml");
    world.write("cases.yaml", cases.replace("expect: admit", "expect: refuse"));
    let said = world.run("policy test p.yaml cases.yaml").ends(1);
    said.says(&["FAILED", "wanted refuse, found admit", "1 as expected, 1 not"]);
    world.write("cases.yaml", cases.replace("because: no signature", "because: too old"));
    world.run("policy test p.yaml cases.yaml").ends(1).says(&["`too old`"]);
    world.write("cases.yaml", cases.replace("expect: admit", "expect: admitted"));
    world.run("policy test p.yaml cases.yaml").ends(2).says(&["admitted", "unknown"]);
    // From what is not signed nothing follows.
    world.run(&format!("policy suggest {unsigned} --out q.yaml")).ends(12);
    world.run(&format!("policy suggest {good} {unsigned} --out q.yaml")).ends(12);
    assert!(!world.path("q.yaml").exists());
    world.run(&format!("policy suggest {}", good.replace(":good", ":absent"))).ends(3);
}

#[test]
fn a_file_that_cannot_be_used_says_where() {
    let world = World::new();
    world.write("p.yaml", "version: 1\nrequirements:\n- name: x\n  signer: []\n");
    let said = world.run("policy check p.yaml").ends(2).without_result();
    said.says(&["cannot use the policy file p.yaml", "line 4", "signer"]);
    world.write("p.yaml", [0xff]);
    world.run("policy check p.yaml").ends(2).says(&["not text"]);
    world.run("policy check absent.yaml").ends(2).says(&["absent.yaml"]);
}

#[test]
fn the_schema_is_printed() {
    let schema: Value = World::new().run_alone("policy schema").ends(0).json();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    assert!(schema["properties"]["requirements"].is_object());
}
