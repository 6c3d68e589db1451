//! Why: one line for each check, with what was wanted and what was found.
//!
//! Explaining never decides anything. A silent trace costs nothing, so that the fast path of an
//! admission pays only for reasons somebody will read.

use serde::Serialize;

use crate::check::Check;
use crate::refusal::{Refusal, WantedIn};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not.
    Failed,
    /// It proved nothing, and nothing depended on it.
    Skipped,
    /// It proved nothing, and the policy does without it.
    Waived,
}

/// One check of one piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which check.
    pub check: Check,
    /// How it went.
    pub outcome: Outcome,
    /// What was wanted.
    pub wanted: String,
    /// What was found.
    pub found: String,
    /// What an operator may change to accept this, if that can be a right decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Everything that was checked about one piece of evidence under one authority of a requirement.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Where the evidence was found.
    pub source: String,
    /// The requirement's authority it was judged under.
    pub authority: String,
    /// Line by line.
    pub lines: Vec<Line>,
}

/// What is written down while a case is judged.
pub(crate) struct Record {
    pub(crate) wanted_in: WantedIn,
    pub(crate) explanations: Vec<Explanation>,
}

/// Where the chain writes down what it does; silent unless somebody asked.
#[derive(Debug)]
pub struct Trace(Option<Lines>);

#[derive(Debug)]
struct Lines {
    wanted_in: WantedIn,
    lines: Vec<Line>,
}

impl Trace {
    /// Keeps nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Keeps every line.
    #[must_use]
    pub fn recording(wanted_in: WantedIn) -> Self {
        Self(Some(Lines { wanted_in, lines: Vec::new() }))
    }

    /// The lines kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<Line> {
        self.0.map(|kept| kept.lines).unwrap_or_default()
    }

    pub(crate) fn passed(&mut self, check: Check, texts: impl FnOnce() -> (String, String)) {
        self.push(check, Outcome::Passed, texts);
    }

    pub(crate) fn skipped(&mut self, check: Check, texts: impl FnOnce() -> (String, String)) {
        self.push(check, Outcome::Skipped, texts);
    }

    pub(crate) fn waived(&mut self, check: Check, texts: impl FnOnce() -> (String, String)) {
        self.push(check, Outcome::Waived, texts);
    }

    pub(crate) fn failed(&mut self, refusal: &Refusal) {
        if let Some(Lines { wanted_in, lines }) = &mut self.0 {
            let (wanted, found) = refusal.wanted_and_found();
            lines.push(Line {
                check: refusal.check(),
                outcome: Outcome::Failed,
                wanted,
                found,
                hint: refusal.hint(*wanted_in).map(str::to_owned),
            });
        }
    }

    fn push(&mut self, check: Check, outcome: Outcome, texts: impl FnOnce() -> (String, String)) {
        if let Some(Lines { lines, .. }) = &mut self.0 {
            let (wanted, found) = texts();
            lines.push(Line { check, outcome, wanted, found, hint: None });
        }
    }
}
