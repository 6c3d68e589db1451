//! Verdicts for programs: one JSON document with a versioned schema.

use serde::Serialize;
use verify::time::Observer;
use verify::{Explanation, Ground, Obstacle, Reason, Verdict, VerifiedClaim, WantedIn};

use super::{Question, Shown, Within};

/// Name and version of the document. A field may be added in a version; one
/// that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/verdict/v1";

/// The document.
pub(super) fn text(question: Question, shown: &Shown<'_>) -> String {
    serde_json::to_string_pretty(&document(question, shown))
        .expect("a verdict has only text and numbers, so it always serialises")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    verdict: &'static str,
    artifact: ArtifactJson<'a>,
    grounds: Vec<GroundJson<'a>>,
    reasons: Vec<ReasonJson<'a>>,
    obstacles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    explanations: &'a [Explanation],
}

#[derive(Serialize)]
struct ArtifactJson<'a> {
    name: &'a str,
    digest: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    within: Option<&'a Within>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroundJson<'a> {
    authority: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<SignerJson<'a>>,
    times: Vec<TimeJson<'a>>,
    log_entries: Vec<u64>,
    /// What the policy does without, and is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waived: Vec<verify::Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignerJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    public_key: String,
    extensions: std::collections::BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimeJson<'a> {
    time: String,
    observer: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasonJson<'a> {
    authority: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    check: verify::Check,
    message: String,
    wanted: String,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

fn document<'a>(question: Question, shown: &Shown<'a>) -> Document<'a> {
    let none = (Vec::new(), Vec::new(), Vec::new());
    let reason = |reason| reason_json(reason, shown.wanted_in);
    let (verdict, (grounds, reasons, obstacles)) = match shown.verdict {
        Verdict::Admit(grounds) => {
            let verdict = match question {
                Question::Verification => "admit",
                Question::WhoSigned => "signed",
            };
            (verdict, (grounds.0.iter().map(ground_json).collect(), none.1, none.2))
        }
        Verdict::Refuse(reasons) => {
            ("refuse", (none.0, reasons.iter().map(reason).collect(), none.2))
        }
        Verdict::Unknown(obstacles, reasons) => {
            let obstacles = obstacles.iter().map(Obstacle::to_string).collect();
            ("unknown", (none.0, reasons.iter().map(reason).collect(), obstacles))
        }
    };
    Document {
        schema: SCHEMA,
        verdict,
        artifact: ArtifactJson {
            name: shown.name,
            digest: shown.digest.to_string(),
            within: shown.within,
        },
        grounds,
        reasons,
        obstacles,
        hint: shown.hint,
        explanations: shown.explanations,
    }
}

fn ground_json(ground: &Ground) -> GroundJson<'_> {
    match ground {
        Ground::Static { authority } => GroundJson {
            authority,
            source: None,
            signer: None,
            times: Vec::new(),
            log_entries: Vec::new(),
            waived: Vec::new(),
            predicate_type: None,
        },
        Ground::Claim { source, authority, claim, .. } => GroundJson {
            authority,
            source: Some(source),
            signer: Some(signer_json(claim)),
            times: claim.times().iter().map(time_json).collect(),
            log_entries: claim.entries().iter().map(verify::VerifiedEntry::log_index).collect(),
            waived: claim.waived(),
            predicate_type: claim.statement().map(|statement| statement.predicate_type.as_str()),
        },
    }
}

fn signer_json(claim: &VerifiedClaim) -> SignerJson<'_> {
    let signer = claim.signer();
    let extensions = signer.extensions().into_iter().flat_map(|extensions| extensions.iter());
    SignerJson {
        subject: signer.subject(),
        issuer: signer.issuer(),
        public_key: signer.key().to_pem(),
        extensions: extensions.map(|(extension, value)| (extension.name(), value)).collect(),
    }
}

fn time_json(time: &verify::VerifiedTime) -> TimeJson<'_> {
    let observer = match time.observer() {
        Observer::Log => "transparency log",
        Observer::TimestampAuthority(uri) => uri,
        Observer::Now => "now",
    };
    TimeJson { time: time.time().to_string(), observer }
}

fn reason_json(reason: &Reason, wanted_in: WantedIn) -> ReasonJson<'_> {
    let (wanted, found) = reason.refusal.wanted_and_found();
    ReasonJson {
        authority: &reason.authority,
        source: reason.source.as_deref(),
        check: reason.refusal.check(),
        message: reason.refusal.full_message(),
        wanted,
        found,
        hint: reason.refusal.hint(wanted_in),
    }
}
