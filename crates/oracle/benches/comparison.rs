//! One verification here and by the official Rust verifier, in the same run, beside the
//! cryptographic floor of both.
//!
//! `cargo bench -p oracle --bench comparison`. Trust roots and policies are ready before the clock
//! starts, for both. What they check alike is the same; what differs stands in the tests' tables.
#![allow(missing_docs, reason = "a benchmark is no library")]

#[path = "../../verify/benches/floor/mod.rs"]
mod floor;

use std::hint::black_box;

use criterion::Criterion;
use evidence::{Evidence, UnixTime};
use floor::Step;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::Bundle;
use sigstore_verify::{VerificationPolicy, Verifier};
use testkit::Scene;
use verify::{Artifact, Case, Piece, Verdict};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (case, scene) in [
        ("v1: hashedrekord, SCT, SET, proof", Scene::v1()),
        ("v2: hashedrekord, SCT, proof, timestamp", Scene::v2()),
    ] {
        let sealed = scene.seal();
        let json = sealed.bundle_json();
        let text = sealed.bundle.to_string();
        let steps = floor::of(&scene, &sealed);

        let policy = floor::policy(&scene, &sealed);
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let now = UnixTime::from_seconds(scene.now);
        let piece = || Piece {
            source: String::new(),
            evidence: Evidence::from_bundle(&json).map_err(Into::into),
        };
        let judge = |pieces: &[Piece]| {
            let case = Case { artifact: &artifact, pieces, obstacles: &[] };
            assert!(matches!(policy.judge(&case, now), Verdict::Admit(_)));
        };
        let parsed = [piece()];

        let roots = TrustedRoot::from_json(&sealed.trust_root.to_string()).expect("a trust root");
        let verifier = Verifier::new(&roots).expect("a trust root that holds");
        let wanted = VerificationPolicy::new(&scene.wanted_subject, &scene.wanted_issuer);
        let bundle = || Bundle::from_json(&text).expect("a bundle");
        let verify = |bundle: &Bundle| {
            let outcome = verifier.verify(sealed.artifact.as_slice(), bundle, &wanted);
            black_box(outcome.expect("a right bundle"));
        };
        let their_parsed = bundle();

        let run_floor = || black_box(&steps).iter().for_each(Step::run);
        let ours_parsed = || judge(black_box(&parsed));
        let theirs_parsed = || verify(black_box(&their_parsed));
        let ours_json = || judge(&[black_box(piece())]);
        let theirs_json = || verify(&black_box(bundle()));
        let times =
            floor::least([&run_floor, &ours_parsed, &theirs_parsed, &ours_json, &theirs_json]);
        let [floor, times @ ..] = times;
        let names = [
            "ours, parsed before",
            "theirs, parsed before",
            "ours, from JSON",
            "theirs, from JSON",
        ];
        for (name, took) in names.iter().zip(times) {
            let ratio = took.as_secs_f64() / floor.as_secs_f64();
            println!("{case}: {name}: {took:.1?} over a floor of {floor:.1?}: {ratio:.3}");
        }
        let mut group = criterion.benchmark_group(case);
        group.bench_function("ours, from JSON", |bencher| bencher.iter(ours_json));
        group.bench_function("theirs, from JSON", |bencher| bencher.iter(theirs_json));
        group.finish();
    }
    criterion.final_summary();
}
