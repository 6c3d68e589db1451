//! What code may reach for, rule by rule.

use crate::{caught, product};
use xtask::tidy::reach::check;
use xtask::tidy::source::{Place, Source};

fn in_package(package: &str, text: &str) -> Vec<String> {
    caught(&check(&product(package, "x.rs", text)))
}

#[test]
fn only_the_binary_prints() {
    let text = "//! X.\nfn f() {\n    println!(\"x\");\n    std::eprint!(\"y\");\n    dbg!(1);\n}";
    assert_eq!(in_package("verify", text), ["3 reach", "4 reach", "5 reach"]);
    assert!(in_package("countersign", text).is_empty());
}

#[test]
fn printing_inside_the_arguments_of_a_macro_is_seen() {
    let text = "fn f() { assert!({ println!(\"x\"); true }); }";
    assert_eq!(in_package("tlog", text), ["1 reach"]);
}

#[test]
fn only_the_binary_exits() {
    let text = "use std::process;\nfn f() { process::exit(1) }";
    assert_eq!(in_package("client", text), ["2 reach"]);
    let text = "use std::process::abort as stop;\nfn f() { stop() }";
    assert_eq!(in_package("client", text), ["1 reach", "2 reach"]);
}

#[test]
fn only_the_binary_reads_the_environment() {
    assert_eq!(in_package("client", "fn f() { std::env::var(\"X\"); }"), ["1 reach"]);
    assert_eq!(in_package("client", "use std::{env, fs};\nfn f() { env::args(); }").len(), 2);
    assert!(in_package("client", "const V: &str = env!(\"CARGO_PKG_VERSION\");").is_empty());
    assert!(in_package("countersign", "fn f() { std::env::var(\"X\"); }").is_empty());
}

#[test]
fn only_the_binary_reads_the_clock() {
    let imported = "use std::time::SystemTime;\nfn f() { SystemTime::now(); }";
    assert_eq!(in_package("authority", imported), ["2 reach"]);
    let renamed = "use std::time::{Instant as Watch};\nfn f() { Watch::now(); }";
    assert_eq!(in_package("authority", renamed), ["2 reach"]);
    let handed_in = "fn f(t: std::time::SystemTime) { t.elapsed(); }";
    assert_eq!(in_package("authority", handed_in), ["1 reach"]);
    assert_eq!(in_package("authority", "fn f() { jiff::Timestamp::now(); }"), ["1 reach"]);
    // Deadlines of the async runtime, and times that were handed in, are allowed.
    let deadline = "use tokio::time::Instant;\nfn f() { Instant::now().elapsed(); }";
    assert!(in_package("authority", deadline).is_empty());
    assert!(in_package("authority", "fn f(now: std::time::SystemTime) {}").is_empty());
}

#[test]
fn tests_may_print_but_only_where_they_are_tests() {
    let text = "#[cfg(test)]\nmod tests {\n    fn f() { println!(\"x\"); }\n}\nfn g() { println!(\"y\"); }";
    assert_eq!(in_package("verify", text), ["5 reach"]);
    let text = "#[cfg(not(test))]\nmod m { fn f() { println!(\"x\"); } }";
    assert_eq!(in_package("verify", text), ["2 reach"]);
    let outside = Source::parse(
        "verify",
        "crates/verify/tests/it/main.rs",
        Place::Around,
        "fn f() { println!(\"skipped\"); }".to_owned(),
    );
    assert!(check(&outside.unwrap()).is_empty());
}

#[test]
fn the_pure_crates_have_no_input_or_output() {
    assert_eq!(in_package("evidence", "use std::fs;\nfn f() { fs::read(p); }").len(), 2);
    assert_eq!(in_package("verify", "fn f(s: std::net::TcpStream) {}"), ["1 pure"]);
    assert_eq!(in_package("verify", "fn f() { tokio::spawn(x); }"), ["1 pure"]);
    assert!(in_package("evidence", "fn f(a: std::net::Ipv4Addr) {}").is_empty(), "only a value");
    assert!(in_package("tlog", "use std::fs;").is_empty());
}

#[test]
fn the_pure_crates_wait_for_nothing_and_keep_nothing() {
    assert_eq!(in_package("verify", "async fn f() {}"), ["1 pure"]);
    assert_eq!(in_package("verify", "fn f() { g().await; }"), ["1 pure"]);
    assert_eq!(in_package("evidence", "static COUNT: u8 = 0;"), ["1 pure"]);
    assert_eq!(in_package("evidence", "thread_local! { const A: u8 = 0; }"), ["1 pure"]);
    let cell = "use std::sync::OnceLock;\nfn f() -> OnceLock<u8> { x }";
    assert_eq!(in_package("evidence", cell), ["1 pure", "2 pure"]);
    assert!(in_package("evidence", "fn f() -> &'static str { \"\" }").is_empty());
    assert!(in_package("tlog", "async fn f() {}").is_empty());
}

#[test]
fn only_one_crate_names_the_backend() {
    assert_eq!(in_package("verify", "use aws_lc_rs::digest;"), ["1 libraries"]);
    assert_eq!(in_package("authority", "fn f() { ring::rand::fill(x); }"), ["1 libraries"]);
    assert!(in_package("crypto", "use aws_lc_rs::digest;").is_empty());
    // A TLS stack names its own backend.
    let tls = "fn f() { rustls::crypto::aws_lc_rs::default_provider(); }";
    assert!(in_package("countersign", tls).is_empty());
    // A variable or a module of ours may share a library's name.
    assert!(in_package("verify", "mod ring;\nfn f() { ring::turn() }").is_empty());
    assert!(in_package("verify", "fn f(ring: u8) -> u8 { ring }").is_empty());
}

#[test]
fn only_one_crate_names_the_http_client_and_only_one_the_kubernetes_client() {
    assert_eq!(in_package("admission", "use reqwest::Client;"), ["1 libraries"]);
    assert!(in_package("client", "use reqwest::Client;").is_empty());
    assert_eq!(in_package("countersign", "use kube::Api;"), ["1 libraries"]);
    assert!(in_package("admission", "use kube::Api;").is_empty());
}

#[test]
fn only_the_demo_starts_what_is_for_development() {
    let text = "use devkit::registry::Registry;\nfn f() { Registry::start(); }";
    assert_eq!(in_package("countersign", text).len(), 2);
    let inline = "async fn f() { devkit::issuer::Issuer::start().await; }";
    assert_eq!(in_package("countersign", inline), ["1 libraries"]);
    for file in ["commands/demo.rs", "commands/demo/world.rs"] {
        assert!(check(&product("countersign", file, text)).is_empty(), "{file}");
    }
    let test = "#[cfg(test)]\nmod tests { fn f() { devkit::image::Image::new(); } }";
    assert!(in_package("countersign", test).is_empty());
}

#[test]
fn requests_of_strangers_are_read_strictly() {
    let at = |path: &str, text: &str| {
        let source = Source::parse("countersign", path, Place::Product, text.to_owned()).unwrap();
        caught(&check(&source))
    };
    let http = "crates/countersign/src/http/log.rs";
    for text in [
        "fn f(b: &[u8]) { serde_json::from_slice(b) }",
        "fn f(b: &[u8]) { let a: A = serde_json::from_slice::<A>(b); }",
        "fn f(b: &str) { serde_json::de::from_str(b) }",
        "fn f(b: &[u8]) { serde_json::Deserializer::from_slice(b) }",
    ] {
        assert_eq!(at(http, text), ["1 json"], "{text}");
        assert_eq!(at("crates/tlog/src/intake/v1.rs", text), ["1 json"], "{text}");
        // What the instance itself has written is read as it pleases.
        assert!(at("crates/countersign/src/instance.rs", text).is_empty(), "{text}");
    }
    let renamed = "use serde_json::from_str as read;\nfn f(b: &str) { read(b) }";
    assert_eq!(at(http, renamed), ["1 json", "2 json"]);
    let test = "#[cfg(test)]\nmod tests { fn f(b: &[u8]) { serde_json::from_slice(b) } }";
    assert!(at(http, test).is_empty());
    assert!(
        at(http, "fn f(b: &[u8]) { evidence::json::read(b); serde_json::json!(1) }").is_empty()
    );
    let walker = "crates/admission/src/images/find.rs";
    assert!(at(walker, "fn f(t: &str) { serde_json::Deserializer::from_str(t) }").is_empty());
}
