//! `policy test`: what a policy is expected to say of images that are known, and whether it does.
//!
//! Who judges is elsewhere; here is what was expected, and the comparison.

use verify::Verdict;

use super::VERSION;
use crate::fields::{Found, Place};
use crate::problem::{Problem, Problems, Wrong};
use crate::yaml::{self, Value};

/// One image and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The image, or the file beside which its bundle lies, as it is written.
    pub image: String,
    /// The verdict expected.
    pub expected: Expected,
    /// What one of the reasons must contain, for a refusal that is to be for the right reason.
    pub because: Option<String>,
}

/// A kind of verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is admitted.
    Admit,
    /// It is refused.
    Refuse,
    /// It cannot be told.
    Unknown,
}

/// A verdict that is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// Another kind of verdict.
    #[error("wanted {}, found {}: {}", wanted.word(), found.word(), reasons.join("; "))]
    Verdict {
        /// The one expected.
        wanted: Expected,
        /// The one found.
        found: Expected,
        /// Why, if it was no admission.
        reasons: Vec<String>,
    },
    /// The right kind, for another reason.
    #[error("wanted a reason with `{wanted}`, found {}", found.join("; "))]
    Reason {
        /// What a reason should contain.
        wanted: String,
        /// The reasons found.
        found: Vec<String>,
    },
}

impl Expected {
    /// How it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Refuse => "refuse",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads the expectations.
///
/// # Errors
/// With everything found wrong.
pub fn parse(text: &str) -> Result<Vec<Expectation>, Problems> {
    let documents = yaml::documents(text)?;
    let mut found = Found::new();
    let [document] = documents.as_slice() else {
        return Err(Problem { line: None, field: String::new(), wrong: Wrong::Missing }.into());
    };
    let mut expectations = Vec::new();
    if let Some(mut fields) = Place::root(document).map(&mut found) {
        if let Some(version) = fields.require("version", &mut found)
            && !matches!(&version.node.value, Value::Number(it) | Value::Text(it) if it == VERSION)
        {
            let (wanted, found_version) = (&[VERSION], version.node.value.kind().to_owned());
            found.push(version.problem(Wrong::NotOneOf { wanted, found: found_version }));
        }
        for place in fields.require_list("cases", &mut found) {
            expectations.extend(expectation(&place, &mut found));
        }
        fields.close(&mut found);
    }
    Problems::check(found, Some(expectations))
}

fn expectation(place: &Place<'_>, found: &mut Found) -> Option<Expectation> {
    let mut fields = place.map(found)?;
    let image = fields.require_text("image", found).map(str::to_owned);
    let expected = fields.require_text("expect", found).and_then(|word| {
        let known = [Expected::Admit, Expected::Refuse, Expected::Unknown];
        let expected = known.into_iter().find(|expected| expected.word() == word);
        if expected.is_none() {
            let wanted = &["admit", "refuse", "unknown"];
            let wrong = Wrong::NotOneOf { wanted, found: word.to_owned() };
            found.push(fields.problem("expect", wrong));
        }
        expected
    });
    let because = fields.text("because", found).map(str::to_owned);
    if because.is_some() && expected == Some(Expected::Admit) {
        found.push(fields.problem("because", Wrong::Beside { beside: "expect: admit" }));
    }
    fields.close(found);
    Some(Expectation { image: image?, expected: expected?, because })
}

impl Expectation {
    /// Compares what the policy said.
    ///
    /// # Errors
    /// When it is something else.
    pub fn check(&self, verdict: &Verdict) -> Result<(), Unexpected> {
        let (found, reasons): (_, Vec<String>) = match verdict {
            Verdict::Admit(_) => (Expected::Admit, Vec::new()),
            Verdict::Refuse(reasons) => {
                let told = reasons.iter().map(|reason| reason.refusal.full_message());
                (Expected::Refuse, told.collect())
            }
            Verdict::Unknown(obstacles, reasons) => {
                let obstacles = obstacles.iter().map(ToString::to_string);
                let told = reasons.iter().map(|reason| reason.refusal.full_message());
                (Expected::Unknown, obstacles.chain(told).collect())
            }
        };
        if found != self.expected {
            return Err(Unexpected::Verdict { wanted: self.expected, found, reasons });
        }
        match &self.because {
            Some(wanted) if !reasons.iter().any(|reason| reason.contains(wanted)) => {
                Err(Unexpected::Reason { wanted: wanted.clone(), found: reasons })
            }
            _ => Ok(()),
        }
    }
}
