//! How arguments and variables are spelled: as in Cosign.

use super::world::{RELEASE, World};

#[test]
fn every_flag_can_stand_in_a_variable() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let annotated = [("COSIGN_ANNOTATIONS", "env=prod"), ("COUNTERSIGN_FORMATS", "cosign")];
    world.run_with(&format!("sign {image}"), &annotated).ends(0);
    let issuer = world.issuer.url();
    let by = [("COSIGN_CERTIFICATE_IDENTITY", RELEASE), ("COSIGN_CERTIFICATE_OIDC_ISSUER", issuer)];
    let verify = format!("verify {image}");
    world.run_with(&verify, &by).ends(0);
    world.run_with(&verify, &[&by[..], &annotated[..1]].concat()).ends(0);
    let wrong = [("COSIGN_ANNOTATIONS", "env=dev")];
    world.run_with(&verify, &[&by[..], &wrong].concat()).ends(12);
    let text = [("COSIGN_OUTPUT", "text")];
    world.run_with(&verify, &[&by[..], &text].concat()).ends(0).says(&["verified"]);
    // What the command line says counts more.
    let line = format!("{verify} {}", world.by("https://example.com/somebody-else"));
    world.run_with(&line, &by).ends(12);
    // CI systems set variables that are empty: they say nothing.
    let empty =
        ["KEY", "LOCAL_IMAGE", "MAX_WORKERS", "TIMEOUT", "OUTPUT", "CERTIFICATE_IDENTITY_REGEXP"];
    let empty = empty.map(|name| format!("COSIGN_{name}"));
    let empty: Vec<_> = empty.iter().map(|name| (name.as_str(), "")).collect();
    world.run_with(&verify, &[&by[..], &empty].concat()).ends(0);
    world.run_with(&verify, &[&by[..], &[("COSIGN_LOCAL_IMAGE", "maybe")]].concat()).ends(2);
}

#[test]
fn switches_take_values_as_in_go() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run(&format!("sign --recursive=false --upload=1 --yes=true {image}")).ends(0);
    let by = world.by_release();
    world.run(&format!("verify {by} --local-image=false --check-claims=T {image}")).ends(0);
    world.run(&format!("verify {by} --local-image=true {image}")).ends(3);
    // Also against its variable.
    let local = [("COSIGN_LOCAL_IMAGE", "true")];
    world.run_with(&format!("verify {by} {image}"), &local).ends(3);
    world.run_with(&format!("verify {by} --local-image=false {image}"), &local).ends(0);
    let said = world.run(&format!("verify {by} --local-image=perhaps {image}")).ends(2);
    said.says(&["perhaps"]);
}

#[test]
fn older_names_of_flags_are_read() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    let issuer = world.issuer.url();
    let line = format!(
        "verify-blob --cert-identity {RELEASE} --cert-oidc-issuer {issuer} --bundle b.json app.tar"
    );
    world.run(&line).ends(0);
}

#[test]
fn flags_that_do_nothing_any_more_are_taken_with_a_note() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let sign = "sign --tlog-upload --record-creation-timestamp --registry-referrers-mode oci-1-1";
    let said = world.run(&format!("{sign} --output-signature s.sig {image}")).ends(0);
    said.says(&[
        "note: --tlog-upload",
        "note: --output-signature",
        "note: --registry-referrers-mode",
    ]);
    assert!(!world.path("s.sig").exists());
    let by = world.by_release();
    let line = format!("verify {by} --experimental-oci11 --rekor-url https://log.example {image}");
    let said = world.run(&line).ends(0);
    assert!(said.stdout.starts_with('['), "notes are no result: {}", said.stdout);
    said.says(&["note: --experimental-oci11", "note: --rekor-url"]);
    // The other value of such a switch would mean something.
    world.write("app.tar", "the application");
    let size = world.log_size();
    let sign = "sign-blob --bundle b.json app.tar";
    let said = world.run(&format!("{sign} --tlog-upload=false")).ends(2);
    said.says(&["--tlog-upload", "false", "logged"]);
    world.run(&format!("{sign} --new-bundle-format=false")).ends(2).says(&["--new-bundle-format"]);
    assert_eq!(world.log_size(), size);
    let variable = [("COSIGN_TLOG_UPLOAD", "false")];
    world.run_with(sign, &variable).ends(2).says(&["--tlog-upload"]);
    world.run(&format!("{sign} --new-bundle-format --tlog-upload=true")).ends(0);
    // No check is turned off by a flag that is not known.
    for flag in ["--insecure-ignore-all", "--sct=sct.json", "--attachment=sbom"] {
        let said = world.run(&format!("verify {by} {flag} {image}")).ends(2);
        said.without_result().says(&[flag.split_once('=').map_or(flag, |it| it.0)]);
    }
}
