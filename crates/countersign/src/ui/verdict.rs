//! Verdicts: the exit code that tells one, and how they are printed.

mod json;
pub(crate) mod summary;
mod text;

use evidence::Digest;
use serde::{Serialize, Serializer};
use verify::{Explanation, Refusal, Verdict, WantedIn};

use super::terminal::{eprintln, println};
use crate::exit::Exit;

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
    /// Its place in the index that was named, if it was looked at because of that.
    pub(crate) within: Option<&'a Within>,
    /// What can be done, beyond what the reasons of the verdict say.
    pub(crate) hint: Option<&'a str>,
    /// Where it is said what is wanted, which is what hints name.
    pub(crate) wanted_in: WantedIn,
}

/// What was asked about the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it is as somebody demands.
    Verification,
    /// Who signed, whoever that is: that somebody did is no admission.
    WhoSigned,
}

/// The place of a manifest in an index.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Within {
    /// The index that names it.
    #[serde(serialize_with = "as_text")]
    pub(crate) index: Digest,
    /// The platforms that it is for, as the index says.
    pub(crate) platforms: Vec<String>,
}

fn as_text<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
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

/// Prints for people, as a result.
pub(crate) fn print_text(shown: &Shown<'_>) {
    print_text_to(Question::Verification, shown);
}

/// Prints for people what was asked, as a result.
pub(crate) fn print_text_to(question: Question, shown: &Shown<'_>) {
    println!("{}", text::text(question, shown).trim_end());
}

/// Prints for people, beside a result for programs.
pub(crate) fn print_error_text(shown: &Shown<'_>) {
    eprintln!("{}", text::text(Question::Verification, shown).trim_end());
}

/// Prints for programs.
pub(crate) fn print_json(shown: &Shown<'_>) {
    print_json_to(Question::Verification, shown);
}

/// Prints for programs what was asked.
pub(crate) fn print_json_to(question: Question, shown: &Shown<'_>) {
    println!("{}", json::text(question, shown));
}
