//! Bundles that nobody here made, each with its expected result. Skipped where they are absent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::PublicKey;
use evidence::ParseEvidenceError;
use evidence::bundle::ParseBundleError;
use evidence::{Evidence, UnixTime};
use verify::{
    Artifact, Authority, Case, Demands, IdentityPattern, NonEmpty, Pattern, Piece, Policy, Reason,
    Refusal, Requirement, TrustRoot, Verdict, WantedIn,
};

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Later than every recorded bundle, so that only a time meant to be in the future is.
const NOW: UnixTime = UnixTime::from_seconds(1_795_000_000);

fn recorded() -> Option<PathBuf> {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = start.ancestors().map(|up| up.join("shared/data/bundles")).find(|dir| dir.is_dir());
    if found.is_none() {
        println!("skipped: no recorded bundles beside the project");
    }
    found
}

fn text(path: &Path, otherwise: &str) -> String {
    std::fs::read_to_string(path).map_or(otherwise.to_owned(), |text| text.trim().to_owned())
}

/// Judges one case; an unusable trust root is the verdict's own text.
fn judge(case: &Path, by_digest_only: bool) -> Result<Verdict, String> {
    let trust_root = case.join("trusted_root.json");
    let roots = match std::fs::read(trust_root) {
        Ok(json) => TrustRoot::pin(&json).map_err(|error| format!("{error:?}"))?,
        Err(_) => TrustRoot::public_good(),
    };
    let roots = Arc::new(roots);
    let name = "the test".to_owned();
    let authority = match std::fs::read(case.join("key.pub")) {
        Ok(pem) => {
            let key = PublicKey::from_pem(&pem).map_err(|error| format!("{error:?}"))?;
            Authority::Key { name, roots, key: Box::new(key), demands: Demands::all() }
        }
        Err(_) => Authority::Keyless {
            name,
            roots,
            identities: NonEmpty::new(IdentityPattern {
                issuer: Pattern::exact(&text(&case.join("issuer"), ISSUER)).unwrap(),
                subject: Pattern::exact(&text(&case.join("identity"), IDENTITY)).unwrap(),
                extensions: Vec::new(),
            }),
            demands: Demands::all(),
        },
    };
    let policy = Policy {
        name: "test".to_owned(),
        requirements: NonEmpty::new(Requirement::any_claim_by(NonEmpty::new(authority))),
    };
    let bytes = std::fs::read(case.join("artifact"))
        .or_else(|_| std::fs::read(case.parent().unwrap().join("a.txt")))
        .unwrap();
    let digest = evidence::Digest::sha256(&bytes);
    let artifact =
        if by_digest_only { Artifact::from_digest(digest) } else { Artifact::from_bytes(&bytes) };
    let bundle = std::fs::read(case.join("bundle.sigstore.json")).unwrap();
    let pieces = [Piece {
        source: "bundle".to_owned(),
        evidence: Evidence::from_bundle(&bundle).map_err(Into::into),
    }];
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    let (verdict, explanations) = policy.explain(&case, NOW, WantedIn::Flags);
    for line in explanations.iter().flat_map(|explanation| &explanation.lines) {
        println!("  {:?}", line);
    }
    Ok(verdict)
}

#[test]
fn every_recorded_bundle_gets_its_expected_result() {
    let Some(folder) = recorded() else { return };
    let mut wrong = Vec::new();
    let mut judged = 0;
    for case in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !case.is_dir() {
            continue;
        }
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        for by_digest_only in [false, true] {
            println!("{name} (by digest: {by_digest_only})");
            let verdict = judge(&case, by_digest_only);
            let admitted = matches!(verdict, Ok(Verdict::Admit(_)));
            judged += 1;
            if admitted == name.ends_with("_fail") {
                wrong.push(format!("{name}: {verdict:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {judged}:\n{}", wrong.join("\n"));
    assert!(judged > 0, "the folder holds no case");
}

fn refusal(case: &str) -> Option<Refusal> {
    match judge(&recorded()?.join(case), false) {
        Ok(Verdict::Refuse(reasons)) => {
            let Reason { refusal, .. } = reasons.first().clone();
            Some(refusal)
        }
        other => panic!("{case}: {other:?}"),
    }
}

macro_rules! refused_because {
    ($($name:ident: $case:literal => $reason:pat,)*) => {
        $(#[test]
        fn $name() {
            let Some(refusal) = refusal($case) else { return };
            assert!(matches!(refusal, $reason), "{refusal:?}");
        })*
    };
}

refused_because! {
    an_empty_chain: "bundle-empty-certificate-chain_fail" =>
        Refusal::Malformed(ParseEvidenceError::Bundle(ParseBundleError::Missing { .. })),
    a_root_in_the_chain: "bundle-with-root-cert_fail" =>
        Refusal::Malformed(ParseEvidenceError::Bundle(ParseBundleError::RootInChain)),
    a_checkpoint_of_another_tree: "checkpoint-wrong-roothash_fail" =>
        Refusal::CheckpointMismatch { .. },
    an_envelope_not_logged: "dsse-mismatch-envelope_fail" => Refusal::EntryMismatch { .. },
    a_corrupted_proof: "inclusion-proof-corrupted-hash_fail" => Refusal::BadInclusionProof { .. },
    a_promise_after_the_certificate: "integrated-time-in-future_fail" =>
        Refusal::NotValidAtTime { .. },
    an_authority_outside_its_window: "intoto-expired-certificate_fail" =>
        Refusal::NotValidAtTime { .. },
    another_ct_key: "invalid-ct-key_fail" =>
        Refusal::NoCertificateTimestamp { found: 1 },

    another_message_digest: "message-digest-mismatch_fail" => Refusal::WrongArtifact { .. },
    a_checkpoint_without_origin: "rekor2-checkpoint-missing-origin_fail" =>
        Refusal::MalformedCheckpoint { .. },
    no_timestamp: "rekor2-no-timestamp_fail" => Refusal::NoTrustedTime,
    an_unknown_timestamp_authority: "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail" =>
        Refusal::UnknownTimestampAuthority { .. },
    a_bad_promise: "set-invalid-signature_fail" => Refusal::BadPromise { .. },
    another_entry: "wrong-hashedrekord-entry_fail" => Refusal::EntryMismatch { .. },
}

#[test]
fn a_trust_root_without_a_start_of_validity() {
    let Some(folder) = recorded() else { return };
    let refused = judge(&folder.join("trust-root-tlog-missing-validity-start_fail"), false);
    assert!(refused.is_err_and(|error| error.contains("start of validity")));
}
