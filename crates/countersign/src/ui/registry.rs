//! What `registry check` reports: a line for each question, what follows, and what to ask of whoever
//! runs the registry.

use client::FetchError;
use client::registry::RegistryProbe;
use client::registry::probe::{
    Conclusion, Conditions, DockerSubject, Doubt, Finding, Login, OperatorTask, Reason, Referrer,
    SKEW_MAX_MS, SigningMode, Skew, Taken, Tracking,
};
use serde::Serialize;

use super::{BAD, FAINT, GOOD, UNSURE, plain};
use crate::ui::terminal::println;

/// Name and version of the JSON that [`print_json`] prints. A field may be added in a version; one
/// that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/registry-check/v1";

/// One question and its answer.
#[derive(Serialize)]
struct Line {
    /// What was asked, as programs know it.
    check: &'static str,
    outcome: Outcome,
    finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Yes,
    No,
    Unknown,
}

/// Prints a line for each question, what remains, and what follows.
pub(crate) fn print_text(repository: &str, found: &RegistryProbe) {
    println!("{}\n", plain(repository));
    for line in lines(found) {
        let (mark, style) = match line.outcome {
            Outcome::Yes => ("✓", GOOD),
            Outcome::No => ("✗", BAD),
            Outcome::Unknown => ("?", UNSURE),
        };
        println!("{style}{mark}{style:#} {:<22} {}", line.check, plain(&line.finding));
        if let Some(hint) = line.hint {
            println!("{:25}{FAINT}{}{FAINT:#}", "", plain(&hint));
        }
    }
    if !found.remains.is_empty() {
        println!("\nStill there, or not known to be gone:");
        for remains in &found.remains {
            println!("  {}: {}", remains.item, plain(&remains.reason.to_string()));
        }
    }
    let tasks = found.operator_tasks();
    if !tasks.is_empty() {
        println!("\nFor whoever runs the registry:");
        tasks.into_iter().for_each(|task| println!("  - {}", request(task)));
    }
    let (style, text) = match found.conclusion() {
        Conclusion::Sign(mode, reason) => {
            (GOOD, format!("sign with --formats {}: {}", name(mode), why(reason)))
        }
        Conclusion::CannotSign => (BAD, "signatures cannot be kept here".to_owned()),
        Conclusion::CouldNotTell => (UNSURE, "it could not be told how to sign here".to_owned()),
    };
    println!("\n{style}{text}{style:#}");
}

/// Prints one document.
pub(crate) fn print_json(repository: &str, found: &RegistryProbe) {
    let remains = found.remains.iter().map(|remains| {
        let (item, reason) = (remains.item.to_string(), remains.reason.to_string());
        serde_json::json!({"item": item, "reason": reason})
    });
    let conclusion = match found.conclusion() {
        Conclusion::Sign(mode, reason) => {
            serde_json::json!({"outcome": "yes", "formats": name(mode), "reason": why(reason)})
        }
        Conclusion::CannotSign => serde_json::json!({"outcome": "no"}),
        Conclusion::CouldNotTell => serde_json::json!({"outcome": "unknown"}),
    };
    let rate_limits: serde_json::Map<_, _> = found
        .rate_limits
        .known()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let document = serde_json::json!({
        "schema": SCHEMA,
        "repository": repository,
        "conclusion": conclusion,
        "checks": lines(found),
        "rateLimits": rate_limits,
        "remains": remains.collect::<Vec<_>>(),
        "operator": found.operator_tasks().into_iter().map(request).collect::<Vec<_>>(),
    });
    println!("{document:#}");
}

fn lines(found: &RegistryProbe) -> Vec<Line> {
    vec![
        login(&found.login),
        taken(
            "push",
            &found.push,
            "an image can be pushed",
            "log in as somebody who may push here",
        ),
        taken("read", &found.read, "it comes back as it was", "something before it alters content"),
        taken(
            "media types",
            &found.media_types,
            "artifacts of unknown types are taken",
            "only types that the registry knows can be kept here",
        ),
        referrer(&found.referrer),
        tracking(&found.tracking),
        taken(
            "signature tag",
            &found.signature_tag,
            "Cosign's tag sha256-….sig can be written and read",
            "--formats cosign does not work here",
        ),
        taken(
            "second signature",
            &found.signature_tag_anew,
            "a second signature can be put under that tag",
            "with --formats cosign only the first signature can be kept",
        ),
        docker_subject(&found.docker_subject),
        taken(
            "tags set anew",
            &found.tag_anew,
            "a tag can be pointed at another manifest",
            "tags never change here: what shares a tag is kept once only",
        ),
        conditions(&found.conditions),
        taken(
            "delete by tag",
            &found.delete_tag,
            "a tag can be deleted",
            "`clean` deletes by digest instead, where that works",
        ),
        taken(
            "delete by digest",
            &found.delete_digest,
            "a manifest can be deleted",
            "`clean` cannot remove signatures here",
        ),
        rate_limits(&found.rate_limits),
        clock(&found.clock),
    ]
}

impl Line {
    fn yes(check: &'static str, finding: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Yes, finding: finding.into(), hint: None }
    }

    fn no(check: &'static str, finding: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { check, outcome: Outcome::No, finding: finding.into(), hint }
    }

    /// The host did not do what it was asked.
    fn refused(check: &'static str, error: &FetchError, hint: &str) -> Self {
        Self::no(check, error.kind().to_string(), hint)
    }

    fn unknown(check: &'static str, doubt: &Doubt) -> Self {
        let hint = match doubt {
            Doubt::Unsettled(error) => error.hint(),
            Doubt::NotAsked(_) => None,
        };
        let finding = format!("could not tell: {doubt}");
        Self { check, outcome: Outcome::Unknown, finding, hint }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// The answer to a question that has no other answers than yes and no.
fn taken(check: &'static str, finding: &Finding<Taken>, yes: &str, hint: &str) -> Line {
    match finding {
        Finding::Known(Taken::Yes) => Line::yes(check, yes),
        Finding::Known(Taken::No(error)) => Line::refused(check, error, hint),
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn login(finding: &Finding<Login>) -> Line {
    let check = "login";
    match finding {
        Finding::Known(Login::NotAsked) => {
            Line::yes(check, "anonymous: the registry does not ask who we are")
        }
        Finding::Known(Login::Anonymous) => {
            Line::yes(check, "anonymous: the registry gives a token to anybody who asks")
        }
        Finding::Known(Login::As { user: Some(user), .. }) => {
            Line::yes(check, format!("as {user}"))
        }
        Finding::Known(Login::As { kind, user: None }) => Line::yes(check, format!("with {kind}")),
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn referrer(finding: &Finding<Referrer>) -> Line {
    let check = "bundle as referrer";
    match finding {
        Finding::Known(Referrer::Taken { announced: true }) => {
            Line::yes(check, "taken, and answered with OCI-Subject")
        }
        Finding::Known(Referrer::Taken { announced: false }) => {
            Line::yes(check, "taken, without OCI-Subject")
        }
        Finding::Known(Referrer::Refused(error)) => {
            Line::refused(check, error, "--formats bundle does not work here")
        }
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn tracking(finding: &Finding<Tracking>) -> Line {
    let check = "referrers";
    match finding {
        Finding::Known(Tracking::Api { at_once: true }) => {
            Line::yes(check, "the referrers API lists it at once")
        }
        Finding::Known(Tracking::Api { at_once: false }) => {
            Line::yes(check, "the referrers API lists it, but not at once")
                .hint("who verifies right after signing may find nothing")
        }
        Finding::Known(Tracking::Unlisted) => Line::no(
            check,
            "there is a referrers API, and it does not list what was taken",
            "bundles are not found here",
        ),
        Finding::Known(Tracking::FallbackTag) => {
            Line::yes(check, "no referrers API; the fallback tag can be written and read")
                .hint("all signers share that tag")
        }
        Finding::Known(Tracking::FallbackRefused(error)) => {
            let finding = format!("no referrers API, and no fallback tag: {}", error.kind());
            Line::no(check, finding, "bundles are not found here")
        }
        Finding::Known(Tracking::AnnouncedOnly) => Line::no(
            check,
            "OCI-Subject says that it is kept track of, and there is no referrers API",
            "bundles are not found here",
        ),
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn docker_subject(finding: &Finding<DockerSubject>) -> Line {
    let check = "beside Docker images";
    match finding {
        Finding::Known(DockerSubject::Taken) => {
            Line::yes(check, "a bundle is taken beside an image in Docker's format")
        }
        Finding::Known(DockerSubject::Refused(error)) => Line::refused(
            check,
            error,
            "sign such images with --formats cosign, or push them in OCI's format",
        ),
        Finding::Known(DockerSubject::NoSuchImages(error)) => {
            Line::refused(check, error, "images in Docker's format are not taken here at all")
        }
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn conditions(finding: &Finding<Conditions>) -> Line {
    let check = "conditional writes";
    let hint = "signers that write one tag at the same time can lose each other's entries";
    match finding {
        Finding::Known(Conditions::Honoured) => {
            Line::yes(check, "a wrong If-Match is refused, the right one taken")
        }
        Finding::Known(Conditions::NotOffered) => Line::no(check, "there are no ETags", hint),
        Finding::Known(Conditions::Ignored) => {
            Line::no(check, "a wrong If-Match is taken all the same", hint)
        }
        Finding::Known(Conditions::AlwaysRefused) => {
            Line::no(check, "wrong and right If-Match are refused alike", hint)
        }
        Finding::Unknown(doubt) => Line::unknown(check, doubt),
    }
}

fn rate_limits(finding: &Finding<Vec<(String, String)>>) -> Line {
    let check = "rate limit headers";
    let seen = match finding {
        Finding::Known(seen) => seen,
        Finding::Unknown(doubt) => return Line::unknown(check, doubt),
    };
    if seen.is_empty() {
        return Line::yes(check, "none seen");
    }
    let seen: Vec<_> = seen.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    Line::yes(check, seen.join(", "))
}

fn clock(finding: &Finding<Skew>) -> Line {
    let check = "clock";
    let skew = match finding {
        Finding::Known(skew) => skew.certain_ms(),
        Finding::Unknown(doubt) => return Line::unknown(check, doubt),
    };
    let seconds = skew.unsigned_abs().div_ceil(1000);
    match skew {
        0 => Line::yes(check, "the registry's and ours agree"),
        _ if skew.abs() <= SKEW_MAX_MS => {
            Line::yes(check, format!("the registry's differs from ours by about {seconds} s"))
        }
        _ => {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            let finding = format!("the registry's is about {seconds} s {side} ours");
            Line::no(check, finding, "tokens and certificates live for minutes: correct the clock")
        }
    }
}

fn name(mode: SigningMode) -> &'static str {
    match mode {
        SigningMode::Bundle => "bundle",
        SigningMode::Cosign => "cosign",
        SigningMode::Both => "both",
    }
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::ReferrersApi => "the registry itself keeps track of bundles",
        Reason::GuardedFallbackTag => {
            "bundles share a tag, and conditional writes keep every signer's entry"
        }
        Reason::UnguardedFallbackTag => {
            "bundles share a tag that signers can overwrite for each other; what one place loses the \
             other may still have"
        }
        Reason::OnlyBundles => "Cosign's tag is not known to work here",
        Reason::OnlyCosign => "bundles cannot be kept here so that they are found",
    }
}

fn request(task: OperatorTask) -> &'static str {
    match task {
        OperatorTask::OfferReferrersApi => {
            "offer the referrers API (OCI distribution specification v1.1)"
        }
        OperatorTask::ListReferrers => "list a referrer as soon as it was taken",
        OperatorTask::AnnounceSubjects => {
            "answer OCI-Subject where referrers are kept track of, and only there"
        }
        OperatorTask::TakeReferrers => "take manifests that have a subject",
        OperatorTask::TakeDockerSubjects => {
            "take manifests whose subject is an image in Docker's format"
        }
        OperatorTask::TakeMediaTypes => "take artifacts and layers of any media type",
        OperatorTask::ExemptSignatureTags => {
            "except tags like sha256-* from the rule that tags never change"
        }
        OperatorTask::HonourConditions => "honour If-Match when a tag is written",
        OperatorTask::AllowDeletes => "let this login delete manifests by digest",
        OperatorTask::CompareClocks => {
            "compare the registry's clock with a time server, and ours too"
        }
        OperatorTask::RemoveRemains => "remove the tags and manifests that are still there",
    }
}
