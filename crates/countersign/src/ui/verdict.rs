//! Verdicts for people and for programs.

use anstream::println;
use evidence::Digest;
use serde::Serialize;
use verify::explain::Outcome;
use verify::time::Observer;
use verify::{Explanation, Ground, Obstacle, Reason, Refusal, Verdict, VerifiedClaim};

use super::{BAD, FAINT, GOOD, UNSURE, plain};
use crate::exit::Exit;

/// Name and version of the JSON that [`print_json`] prints. A field may be added in a version; one
/// that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/verdict/v1";

/// What there is to show.
pub(crate) struct Shown<'a> {
    /// What the user called the artifact.
    pub(crate) name: &'a str,
    /// Its digest.
    pub(crate) digest: &'a Digest,
    /// The verdict.
    pub(crate) verdict: &'a Verdict,
    /// Every check, if they were asked for.
    pub(crate) explanations: &'a [Explanation],
}

/// The exit code that tells the verdict.
pub(crate) fn exit(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Admit(_) => Exit::Success,
        Verdict::Unknown(..) => Exit::Unknown,
        Verdict::Refuse(reasons) => {
            let unsigned = reasons.iter().all(|reason| reason.refusal == Refusal::NoEvidence);
            if unsigned { Exit::Unsigned } else { Exit::Untrusted }
        }
    }
}

/// Prints for people.
pub(crate) fn print_text(shown: &Shown<'_>) {
    let Shown { name, digest, .. } = shown;
    let name = plain(name);
    match shown.verdict {
        Verdict::Admit(grounds) => {
            println!("{GOOD}verified{GOOD:#} {name}");
            print_field("digest", &digest.to_string());
            grounds.0.iter().for_each(print_ground);
        }
        Verdict::Refuse(reasons) => {
            println!("{BAD}not verified{BAD:#} {name}");
            print_field("digest", &digest.to_string());
            reasons.iter().for_each(print_reason);
        }
        Verdict::Unknown(obstacles, reasons) => {
            println!("{UNSURE}could not tell{UNSURE:#} {name}");
            print_field("digest", &digest.to_string());
            for obstacle in obstacles {
                print_field("obstacle", &obstacle.to_string());
            }
            reasons.iter().for_each(print_reason);
        }
    }
    shown.explanations.iter().for_each(print_explanation);
}

fn print_field(name: &str, value: &str) {
    println!("  {FAINT}{name:>9}{FAINT:#}  {}", plain(value));
}

fn print_ground(ground: &Ground) {
    match ground {
        Ground::Static { authority } => print_field("admitted", &format!("by {authority}")),
        Ground::Claim { source, claim, .. } => {
            match (claim.signer().subject(), claim.signer().issuer()) {
                (Some(subject), Some(issuer)) => {
                    print_field("signer", subject);
                    print_field("vouched", &format!("by {issuer}"));
                }
                _ => print_field("signer", &format!("the holder of {:?}", claim.signer().key())),
            }
            for time in claim.times() {
                let observer = match time.observer() {
                    Observer::Log => "the transparency log",
                    Observer::TimestampAuthority(uri) => uri,
                };
                print_field("seen", &format!("{} by {observer}", time.time()));
            }
            for entry in claim.entries() {
                print_field("logged", &format!("as entry {}", entry.log_index()));
            }
            if let Some(statement) = claim.statement() {
                print_field("says", &statement.predicate_type);
            }
            print_field("evidence", source);
        }
    }
}

fn print_reason(reason: &Reason) {
    let message = reason.refusal.full_message();
    print_field("because", &message);
    let (wanted, found) = reason.refusal.wanted_and_found();
    print_field("wanted", &wanted);
    if found != message {
        print_field("found", &found);
    }
    if let Some(source) = &reason.source {
        print_field("evidence", source);
    }
    if let Some(hint) = reason.refusal.hint() {
        print_field("hint", hint);
    }
}

fn print_explanation(explanation: &Explanation) {
    println!();
    println!("checks of {} under {}", plain(&explanation.source), plain(&explanation.authority));
    for line in &explanation.lines {
        let (style, mark) = match line.outcome {
            Outcome::Passed => (GOOD, "ok"),
            Outcome::Failed => (BAD, "FAILED"),
            Outcome::Skipped => (UNSURE, "skipped"),
        };
        println!("  {style}{mark:>7}{style:#}  {}", line.check.title());
        println!("           {FAINT}wanted{FAINT:#} {}", plain(&line.wanted));
        println!("           {FAINT}found{FAINT:#}  {}", plain(&line.found));
        if let Some(hint) = &line.hint {
            println!("           {FAINT}hint{FAINT:#}   {}", plain(hint));
        }
    }
}

/// Prints for programs.
pub(crate) fn print_json(shown: &Shown<'_>) {
    let json = serde_json::to_string_pretty(&document(shown))
        .expect("a verdict has only text and numbers, so it always serialises");
    println!("{json}");
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
    explanations: &'a [Explanation],
}

#[derive(Serialize)]
struct ArtifactJson<'a> {
    name: &'a str,
    digest: String,
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

fn document<'a>(shown: &Shown<'a>) -> Document<'a> {
    let none = (Vec::new(), Vec::new(), Vec::new());
    let (verdict, (grounds, reasons, obstacles)) = match shown.verdict {
        Verdict::Admit(grounds) => {
            ("admit", (grounds.0.iter().map(ground_json).collect(), none.1, none.2))
        }
        Verdict::Refuse(reasons) => {
            ("refuse", (none.0, reasons.iter().map(reason_json).collect(), none.2))
        }
        Verdict::Unknown(obstacles, reasons) => {
            let obstacles = obstacles.iter().map(Obstacle::to_string).collect();
            ("unknown", (none.0, reasons.iter().map(reason_json).collect(), obstacles))
        }
    };
    Document {
        schema: SCHEMA,
        verdict,
        artifact: ArtifactJson { name: shown.name, digest: shown.digest.to_string() },
        grounds,
        reasons,
        obstacles,
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
            predicate_type: None,
        },
        Ground::Claim { source, authority, claim } => GroundJson {
            authority,
            source: Some(source),
            signer: Some(signer_json(claim)),
            times: claim.times().iter().map(time_json).collect(),
            log_entries: claim.entries().iter().map(verify::VerifiedEntry::log_index).collect(),
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
    };
    TimeJson { time: time.time().to_string(), observer }
}

fn reason_json(reason: &Reason) -> ReasonJson<'_> {
    let (wanted, found) = reason.refusal.wanted_and_found();
    ReasonJson {
        authority: &reason.authority,
        source: reason.source.as_deref(),
        check: reason.refusal.check(),
        message: reason.refusal.full_message(),
        wanted,
        found,
        hint: reason.refusal.hint(),
    }
}
