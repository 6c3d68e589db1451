//! `trusted-root create`, `signing-config create` and `initialize`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::world::World;

fn pem(label: &str, der: &Value) -> String {
    let der = STANDARD.decode(der.as_str().unwrap()).unwrap();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn chain(authority: &Value) -> String {
    let certificates = authority["certChain"]["certificates"].as_array().unwrap();
    certificates.iter().map(|it| pem("CERTIFICATE", &it["rawBytes"])).collect()
}

/// The command line that composes the instance's own trusted root from its keys.
fn create_root(world: &World) -> String {
    let root: Value = serde_json::from_slice(&world.get("/trusted_root.json")).unwrap();
    let url = world.url();
    let (ca, tsa) = (&root["certificateAuthorities"][0], &root["timestampAuthorities"][0]);
    world.write("ca.pem", chain(ca));
    world.write("tsa.pem", chain(tsa));
    let mut line = format!(
        "trusted-root create --fulcio url={url},certificate-chain=ca.pem --tsa \
         url={url}/api/v1/timestamp,certificate-chain=tsa.pem"
    );
    let logs = [("rekor", "v1", &root["tlogs"][0]), ("rekor", "v2", &root["tlogs"][1])];
    for (flag, name, log) in logs.into_iter().chain([("ctfe", "ct", &root["ctlogs"][0])]) {
        let key = &log["publicKey"];
        world.write(&format!("{name}.pem"), pem("PUBLIC KEY", &key["rawBytes"]));
        let start = key["validFor"]["start"].as_str().unwrap();
        let log_url = log["baseUrl"].as_str().unwrap();
        line += &format!(" --{flag} url={log_url},public-key={name}.pem,start-time={start}");
        if name == "v2" {
            line += ",origin=127.0.0.1";
        }
    }
    line
}

/// The command line that names the instance's services.
fn create_config(world: &World) -> String {
    let config: Value = serde_json::from_slice(&world.get("/signing_config.json")).unwrap();
    let mut line = "signing-config create --rekor-config ANY --tsa-config ANY".to_owned();
    for (flag, member) in [("fulcio", "caUrls"), ("rekor", "rekorTlogUrls"), ("tsa", "tsaUrls")] {
        for service in config[member].as_array().unwrap() {
            let url = service["url"].as_str().unwrap();
            let start = service["validFor"]["start"].as_str().unwrap();
            let version = &service["majorApiVersion"];
            line += &format!(
                " --{flag} url={url},api-version={version},start-time={start},operator=us"
            );
        }
    }
    line
}

#[test]
fn what_is_composed_from_keys_and_addresses_signs_and_verifies() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run_alone(&format!("{} --out root.json", create_root(&world))).ends(0).without_result();
    world.run_alone(&format!("{} --out services.json", create_config(&world))).ends(0);
    let printed = world.run_alone(&create_root(&world)).ends(0).stdout;
    assert_eq!(printed, world.read("root.json"));
    let sign = "sign-blob --trusted-root root.json --signing-config services.json app.tar";
    // Nobody can be asked whether it may become public, where the log is the public instance's.
    // The same where it is only the certificate that is logged there.
    for (fulcio, rekor) in
        [(world.url(), "https://rekor.sigstore.dev"), ("https://fulcio.sigstore.dev", world.url())]
    {
        let line = format!(
            "sign-blob --trusted-root root.json --fulcio-url {fulcio} --rekor-url {rekor} app.tar \
             --bundle b.json"
        );
        world.run_alone(&line).ends(1).says(&["--yes", "public"]);
    }
    // And of one file that says it all.
    let config = world.read("data/public/trust_config.json");
    let mut config: Value = serde_json::from_str(&config).unwrap();
    for log in config["signingConfig"]["rekorTlogUrls"].as_array_mut().unwrap() {
        log["url"] = "https://rekor.sigstore.dev".into();
    }
    world.write("public.json", config.to_string());
    let line = "sign-blob --trust-config public.json --bundle b.json app.tar";
    world.run_alone(line).ends(1).says(&["--yes", "public"]);
    // A key needs no certificate.
    world.run_alone("generate-key-pair").ends(0);
    let line = format!(
        "sign-blob --key cosign.key --trusted-root root.json --rekor-url {} --fulcio-url \
         https://fulcio.sigstore.dev --bundle key.json app.tar",
        world.url()
    );
    world.run_alone(&line).ends(0);
    let by = world.by_release();
    for (version, bundle) in [("", "b2.json"), ("--log-version 1", "b1.json")] {
        world.run_alone(&format!("{sign} {version} --bundle {bundle}")).ends(0);
        let verify = format!("verify-blob {by} --trusted-root root.json --bundle {bundle} app.tar");
        world.run_alone(&verify).ends(0);
    }
    // By their addresses.
    let url = world.url();
    let services = format!(
        "--fulcio-url {url} --rekor-url {url} --timestamp-server-url {url}/api/v1/timestamp"
    );
    let sign = "sign-blob --yes --bundle named.json --trusted-root root.json app.tar";
    for more in ["", "--use-signing-config=false"] {
        world.run_alone(&format!("{sign} {services} {more}")).ends(0);
        let line = format!("verify-blob {by} --trusted-root root.json --bundle named.json app.tar");
        world.run_alone(&line).ends(0);
    }
    world.run_alone(&format!("{sign} --use-signing-config=false")).ends(2).says(&["--fulcio-url"]);
}

#[test]
fn flags_side_by_side_describe_the_same_services() {
    let world = World::new();
    let line = create_root(&world);
    let root: Value = serde_json::from_slice(&world.get("/trusted_root.json")).unwrap();
    let start = |log: &Value| log["publicKey"]["validFor"]["start"].as_str().unwrap().to_owned();
    let url = world.url();
    let (v1, v2, ct) = (&root["tlogs"][0], &root["tlogs"][1], &root["ctlogs"][0]);
    let [v1_url, v2_url, ct_url] = [v1, v2, ct].map(|log| log["baseUrl"].as_str().unwrap());
    let fulcio = format!("--certificate-chain ca.pem --fulcio-uri {url}");
    let tsa =
        format!("--timestamp-certificate-chain tsa.pem --timestamp-uri {url}/api/v1/timestamp");
    let rekor = format!(
        "--rekor-key v1.pem --rekor-key v2.pem,127.0.0.1 --rekor-url {v1_url} --rekor-url {v2_url}"
    );
    let times = format!("--rekor-start-time {} --rekor-start-time {}", start(v1), start(v2));
    let ctfe = format!("--ctfe-key ct.pem --ctfe-url {ct_url}");
    let ct_start = format!("--ctfe-start-time {}", start(ct));
    let said = world.run_alone(&line).ends(0).stdout;
    let old = format!("trusted-root create {fulcio} {tsa} {rekor} {times} {ctfe} {ct_start}");
    assert_eq!(world.run_alone(&old).ends(0).stdout, said);

    // What is not said of a log has always been so; what belongs to no log is not passed over.
    let sparse = world.run_alone(&format!("trusted-root create {fulcio} --ctfe-key ct.pem"));
    let sparse: Value = serde_json::from_str(&sparse.ends(0).stdout).unwrap();
    assert_eq!(start(&sparse["ctlogs"][0]), "1970-01-01T00:00:00Z");
    let ends = "--ctfe-end-time 2027-01-01T00:00:00Z";
    let said = world.run_alone(&format!("trusted-root create {fulcio} {ctfe} {ends} {ends}"));
    said.ends(2).says(&["--ctfe-end-time is given 2 times and --ctfe-key 1 times"]);
    world.run_alone(&format!("{line} {ctfe}")).ends(2).says(&["--ctfe", "cannot be used with"]);
}

#[test]
fn what_makes_no_trusted_root_is_refused_with_the_flag() {
    let world = World::new();
    let line = create_root(&world);
    world.run_alone(&line.replace("ca.pem", "v1.pem")).ends(2).says(&["--fulcio", "v1.pem"]);
    world.run_alone(&line.replace("v1.pem", "ca.pem")).ends(2).says(&["--rekor", "ca.pem"]);
    world.run_alone(&line.replace("ca.pem", "absent.pem")).ends(2).says(&["absent.pem"]);
    world.write("empty.pem", "");
    world.run_alone(&line.replace("ca.pem", "empty.pem")).ends(2).says(&["no certificate"]);
    let said = world.run_alone(&line.replace("start-time", "starttime")).ends(2);
    said.says(&["`starttime` is no key of it", "start-time"]);
    let said = world.run_alone("trusted-root create --out r.json --no-default-tsa").ends(2);
    said.says(&["--with-default-services"]);
    let said = world.run_alone("trusted-root create --out r.json").ends(2);
    said.says(&["no service is named", "--fulcio, --rekor, --ctfe or --tsa"]);
    assert!(!world.path("r.json").exists());

    let line = create_config(&world);
    let said = world.run_alone(&line.replace("--rekor-config ANY", "--rekor-config MOST")).ends(2);
    said.says(&["--rekor-config MOST", "EXACT:COUNT"]);
    world.run_alone(&line.replace("--rekor-config ANY", "")).ends(2).says(&["--rekor-config"]);
    world.run_alone(&line.replace("api-version=1", "api-version=one")).ends(2).says(&["`one`"]);
    world.run_alone(&line.replace("operator=us", "operator=")).ends(2).says(&["`operator`"]);
}

#[test]
fn a_root_that_is_not_believed_chooses_nothing() {
    let world = World::new();
    world.write("root.json", r#"{"signed": {}, "signatures": []}"#);
    let url = world.url().to_owned();
    let initialize = |more: &str| world.run_alone(&format!("initialize --mirror {url} {more}"));
    initialize("--root root.json").ends(2).says(&["cannot use the TUF root root.json"]);
    initialize("--root absent.json").ends(2).says(&["absent.json"]);
    // A root from elsewhere is what anybody there wants it to be.
    let said = initialize(&format!("--root {url}/trusted_root.json")).ends(2);
    said.says(&["--root-checksum"]);
    let checksum = "00".repeat(32);
    let elsewhere = format!("--root {url}/trusted_root.json --root-checksum {checksum}");
    let code = initialize(&elsewhere);
    assert_ne!(code.stderr, "");
    assert!(!code.stderr.contains("is trusted from now on"), "{}", code.stderr);
    world.run_alone("initialize --staging --mirror https://x").ends(2).says(&["--mirror"]);
    assert!(!world.path("home/tuf").exists());
    // Without a choice the public instance is meant, of which a copy is built in: no packet is sent.
    world.write("app.tar", "the application");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    let line = format!("verify-blob {} --bundle b.json app.tar", world.by_release());
    world.run_alone(&line).ends(12);
}
