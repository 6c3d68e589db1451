//! Verdicts for people: what was decided, on what ground, and what would change it.

use std::fmt::Write;

use verify::explain::Outcome;
use verify::time::Observer;
use verify::{Explanation, Ground, ObstacleKind, Reason, Refusal, Verdict, WantedIn};

use super::{Question, Shown};
use crate::ui::{BAD, FAINT, GOOD, UNSURE, plain, shell};

/// Adds a line. Text takes every line there is.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($argument:tt)*) => {{
        let _ = writeln!($out, $($argument)*);
    }};
}

/// The verdict for people, with every line ended.
pub(super) fn text(question: Question, shown: &Shown<'_>) -> String {
    let mut text = String::new();
    let out = &mut text;
    let name = plain(shown.name);
    match shown.verdict {
        Verdict::Admit(grounds) if question == Question::WhoSigned => {
            line!(out, "{UNSURE}signed{UNSURE:#} {name}");
            print_artifact(out, shown);
            grounds.0.iter().for_each(|ground| print_ground(out, ground));
            print_field(
                out,
                "but",
                "nobody was named who must have signed, so this is no verification",
            );
            let hint = "name the signer with --certificate-identity and --certificate-oidc-issuer, \
                or with --key";
            print_field(out, "hint", hint);
        }
        Verdict::Admit(grounds) => {
            line!(out, "{GOOD}verified{GOOD:#} {name}");
            print_artifact(out, shown);
            grounds.0.iter().for_each(|ground| print_ground(out, ground));
        }
        Verdict::Refuse(reasons) => {
            line!(out, "{BAD}not verified{BAD:#} {name}");
            print_artifact(out, shown);
            reasons.iter().for_each(|reason| print_reason(out, reason, shown));
        }
        Verdict::Unknown(obstacles, reasons) => {
            line!(out, "{UNSURE}could not tell{UNSURE:#} {name}");
            print_artifact(out, shown);
            for obstacle in obstacles {
                print_field(out, "obstacle", &obstacle.to_string());
            }
            let mut hints: Vec<_> = obstacles.iter().filter_map(|it| way_round(it.kind)).collect();
            hints.dedup();
            hints.into_iter().for_each(|hint| print_field(out, "hint", hint));
            // What was not seen may be there.
            let told = reasons.iter().filter(|reason| reason.refusal != Refusal::NoEvidence);
            told.for_each(|reason| print_reason(out, reason, shown));
        }
    }
    if let Some(hint) = shown.hint {
        print_field(out, "hint", hint);
    }
    shown.explanations.iter().for_each(|explanation| print_explanation(out, explanation));
    text
}

/// What the verdict is about.
fn print_artifact(out: &mut String, shown: &Shown<'_>) {
    let digest = shown.digest.to_string();
    // Some are called by their digest.
    if !shown.name.ends_with(&digest) {
        print_field(out, "digest", &digest);
    }
    if let Some(within) = shown.within {
        let platforms = within.platforms.join(", ");
        print_field(out, "platform", if platforms.is_empty() { "not said" } else { &platforms });
    }
}

fn print_field(out: &mut String, name: &str, value: &str) {
    line!(out, "  {FAINT}{name:>9}{FAINT:#}  {}", plain(value));
}

fn print_ground(out: &mut String, ground: &Ground) {
    match ground {
        Ground::Static { authority } => print_field(out, "admitted", &format!("by {authority}")),
        Ground::Claim { source, claim, .. } => {
            match claim.signer().subject() {
                Some(subject) => {
                    print_field(out, "signer", subject);
                    let provider = claim.signer().issuer().map(|issuer| format!("by {issuer}"));
                    let alone =
                        || "by its authority alone: it names no identity provider".to_owned();
                    print_field(out, "vouched", &provider.unwrap_or_else(alone));
                }
                None => {
                    let signer = format!("the holder of the {}", claim.signer().key());
                    print_field(out, "signer", &signer);
                }
            }
            for time in claim.times() {
                let at = time.time();
                match time.observer() {
                    Observer::Log => {
                        print_field(out, "seen", &format!("{at} by the transparency log"));
                    }
                    Observer::TimestampAuthority(uri) => {
                        print_field(out, "seen", &format!("{at} by {uri}"));
                    }
                    Observer::Now => print_field(out, "judged", &format!("as of {at}, now")),
                }
            }
            for entry in claim.entries() {
                print_field(
                    out,
                    "logged",
                    &format!("as entry {} of {}", entry.log_index(), entry.log_name()),
                );
            }
            if let Some(statement) = claim.statement() {
                print_field(out, "says", &statement.predicate_type);
            }
            for check in claim.waived() {
                print_field(out, "waived", &format!("{}: not known", check.title()));
            }
            print_field(out, "evidence", source);
        }
    }
}

fn print_reason(out: &mut String, reason: &Reason, shown: &Shown<'_>) {
    let message = reason.refusal.full_message();
    print_field(out, "because", &message);
    if shown.hint.is_some() && reason.refusal == Refusal::NoEvidence {
        // What is known of this image says more than what can be said of any.
        return;
    }
    let (wanted, found) = reason.refusal.wanted_and_found();
    print_field(out, "wanted", &wanted);
    if found != message {
        print_field(out, "found", &found);
    }
    if let Some(source) = &reason.source {
        print_field(out, "evidence", source);
    }
    if let Some(hint) = hint(&reason.refusal, shown.wanted_in) {
        print_field(out, "hint", &hint);
    }
}

/// One piece of evidence at a glance: a check that held takes a line, one that did not says what
/// was wanted, what was found, and what would accept it.
fn print_explanation(out: &mut String, explanation: &Explanation) {
    let failed = explanation.lines.iter().any(|line| line.outcome == Outcome::Failed);
    let (style, says) = if failed { (BAD, "refused") } else { (GOOD, "holds") };
    line!(out);
    line!(out, "{style}{says}{style:#} under {}", plain(&explanation.authority));
    line!(out, "  {FAINT}{}{FAINT:#}", plain(&explanation.source));
    for line in &explanation.lines {
        let title = line.check.title();
        match line.outcome {
            Outcome::Passed => line!(out, "  {GOOD}ok{GOOD:#}  {title:<24} {}", plain(&line.found)),
            Outcome::Skipped => {
                line!(out, "  {UNSURE}--{UNSURE:#}  {title:<24} {}", plain(&line.found));
            }
            Outcome::Waived => {
                line!(out, "  {UNSURE}!!{UNSURE:#}  {title:<24} {}", plain(&line.found));
            }
            Outcome::Failed => {
                line!(out, "  {BAD}NO{BAD:#}  {BAD}{title}{BAD:#}");
                line!(out, "      {FAINT}wanted{FAINT:#}  {}", plain(&line.wanted));
                line!(out, "      {FAINT}found{FAINT:#}   {}", plain(&line.found));
            }
        }
        if let Some(hint) = &line.hint {
            line!(out, "      {FAINT}hint{FAINT:#}    {}", plain(hint));
        }
    }
}

/// What can be done about something in the way.
fn way_round(kind: ObstacleKind) -> Option<&'static str> {
    Some(match kind {
        ObstacleKind::Unauthorized => {
            "log in to the registry (`countersign login HOST`), or check user and password"
        }
        ObstacleKind::Forbidden => "ask for access, or log in as somebody who has it",
        ObstacleKind::RateLimited => "wait, log in for a higher limit, or use a --registry-mirror",
        ObstacleKind::TimedOut => "allow more time with --timeout",
        ObstacleKind::Unreachable => "check that the host can be reached from here",
        ObstacleKind::Tls => {
            "check the host's certificate; --registry-cacert names a private authority"
        }
        ObstacleKind::ServerError => "try again later: nothing was found out about the image",
        _ => return None,
    })
}

/// What would accept it, if that can be right: for another signer, the very flags, or the line of a
/// policy file.
fn hint(refusal: &Refusal, wanted_in: WantedIn) -> Option<String> {
    let Refusal::WrongIdentity { issuer, subject, .. } = refusal else {
        return refusal.hint(wanted_in).map(str::to_owned);
    };
    if issuer.is_empty() {
        return refusal.hint(wanted_in).map(str::to_owned);
    }
    Some(match wanted_in {
        WantedIn::Flags => format!(
            "if this signer is right: --certificate-identity={} --certificate-oidc-issuer={}",
            shell::quote(subject),
            shell::quote(issuer),
        ),
        // A text of JSON is one of YAML.
        WantedIn::PolicyFile => format!(
            "if this signer is right, under `signers`: - {{issuer: {}, subject: {}}}",
            serde_json::Value::from(issuer.as_str()),
            serde_json::Value::from(subject.as_str()),
        ),
    })
}
