//! One verification beside its cryptographic floor, in the same run: the signature verifications
//! that no verifier of this evidence can do without, on keys that are ready.
//!
//! `cargo bench -p verify --bench verification`. The trust root is parsed, and the chains inside it
//! checked, before the clock starts; nothing is remembered from one verification to the next.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark measures and prints; the crate itself may not"
)]

mod floor;

use std::hint::black_box;

use criterion::Criterion;
use evidence::{Evidence, UnixTime};
use floor::Step;
use testkit::Scene;
use verify::{Artifact, Case, Piece, Verdict};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let cases = [
        ("v1: hashedrekord, SCT, SET, proof", Scene::v1()),
        ("v2: hashedrekord, SCT, proof, timestamp", Scene::v2()),
    ];
    for (case, scene) in &cases {
        let sealed = scene.seal();
        let json = sealed.bundle_json();
        let steps = floor::of(scene, &sealed);
        let policy = floor::policy(scene, &sealed);
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let now = UnixTime::from_seconds(scene.now);
        let piece = || Piece {
            source: String::new(),
            evidence: Evidence::from_bundle(&json).map_err(Into::into),
        };
        let judge = |pieces: &[Piece]| {
            let case = Case { artifact: &artifact, pieces, obstacles: &[] };
            let verdict = policy.judge(&case, now);
            assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
        };
        let parsed = [piece()];
        let group: Vec<_> = steps.iter().map(|step| step.key.kind().to_string()).collect();
        println!("{case}: {} verifications: {}", steps.len(), group.join(", "));
        let run_floor = || black_box(&steps).iter().for_each(Step::run);
        let run_parsed = || judge(black_box(&parsed));
        let run_json = || judge(&[black_box(piece())]);
        let [floor, from_parsed, from_json] = floor::least([&run_floor, &run_parsed, &run_json]);
        for (how, took) in [("parsed before", from_parsed), ("from JSON", from_json)] {
            let ratio = took.as_secs_f64() / floor.as_secs_f64();
            println!("{case}: {how}: {took:.1?} over a floor of {floor:.1?}: {ratio:.3}");
        }
        let mut group = criterion.benchmark_group(*case);
        group.bench_function("floor", |bencher| bencher.iter(run_floor));
        group.bench_function("parsed before", |bencher| bencher.iter(run_parsed));
        group.bench_function("from JSON", |bencher| bencher.iter(run_json));
        group.finish();
    }
    criterion.final_summary();
}
