//! Verdicts: the exit code that tells one, and how they are printed.

mod json;
mod text;

use evidence::Digest;
use verify::{Explanation, Refusal, Verdict};

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
    println!("{}", text::text(shown).trim_end());
}

/// Prints for people, beside a result for programs.
pub(crate) fn print_error_text(shown: &Shown<'_>) {
    eprintln!("{}", text::text(shown).trim_end());
}

/// Prints for programs.
pub(crate) fn print_json(shown: &Shown<'_>) {
    println!("{}", json::text(shown));
}
