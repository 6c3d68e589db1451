//! Why: one line for each check, with what was wanted and what was found.
//!
//! Explaining never decides anything. A silent trace costs nothing, so that the fast path of an
//! admission pays only for reasons somebody will read.

use serde::Serialize;

/// A check that evidence goes through, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The evidence parses.
    Format,
    /// An entry is the log's: its promise verifies.
    LogPromise,
    /// An entry is in the log: its inclusion proof leads to a signed checkpoint.
    LogInclusion,
    /// A timestamp authority saw the signature.
    Timestamp,
    /// At least one trusted time, none in the future.
    Time,
    /// The certificate chains to a trusted authority at those times.
    Certificate,
    /// A CT log promised to publish the certificate.
    CertificateTransparency,
    /// The pinned key is the one that signed.
    Key,
    /// The signature verifies.
    Signature,
    /// The log entry is about this signature, this signer and this content.
    LogBinding,
    /// The signed content is about this artifact.
    Artifact,
    /// The signer is one that the policy wants.
    Identity,
}

impl Check {
    /// What the check is called where people read it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::LogPromise => "log promise",
            Self::LogInclusion => "log inclusion",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Certificate => "certificate",
            Self::CertificateTransparency => "certificate transparency",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::LogBinding => "log entry",
            Self::Artifact => "artifact",
            Self::Identity => "identity",
        }
    }

    /// What the check wants, where a refusal has nothing more precise to say.
    #[must_use]
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Format => "well-formed evidence",
            Self::LogPromise => "a promise signed by a log of the trust root",
            Self::LogInclusion => "inclusion under a checkpoint signed by a log of the trust root",
            Self::Timestamp => "a timestamp over this signature by an authority of the trust root",
            Self::Time => "a time from a log or timestamp authority of the trust root",
            Self::Certificate => "a certificate issued by an authority of the trust root",
            Self::CertificateTransparency => "the promise of a CT log of the trust root",
            Self::Key => "the pinned key",
            Self::Signature => "a signature by this signer over this artifact",
            Self::LogBinding => "a log entry about this signature, this signer and this content",
            Self::Artifact => "signed content about this artifact",
            Self::Identity => "a signer that the policy names",
        }
    }
}

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

/// Where the chain writes down what it does; silent unless somebody asked.
#[derive(Debug)]
pub struct Trace(Option<Vec<Line>>);

impl Trace {
    /// Keeps nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Keeps every line.
    #[must_use]
    pub fn recording() -> Self {
        Self(Some(Vec::new()))
    }

    /// The lines kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<Line> {
        self.0.unwrap_or_default()
    }

    pub(crate) fn passed(&mut self, check: Check, texts: impl FnOnce() -> (String, String)) {
        self.push(check, Outcome::Passed, texts);
    }

    pub(crate) fn skipped(&mut self, check: Check, texts: impl FnOnce() -> (String, String)) {
        self.push(check, Outcome::Skipped, texts);
    }

    pub(crate) fn failed(&mut self, refusal: &crate::Refusal) {
        if let Some(lines) = &mut self.0 {
            let (wanted, found) = refusal.wanted_and_found();
            lines.push(Line {
                check: refusal.check(),
                outcome: Outcome::Failed,
                wanted,
                found,
                hint: refusal.hint().map(str::to_owned),
            });
        }
    }

    fn push(&mut self, check: Check, outcome: Outcome, texts: impl FnOnce() -> (String, String)) {
        if let Some(lines) = &mut self.0 {
            let (wanted, found) = texts();
            lines.push(Line { check, outcome, wanted, found, hint: None });
        }
    }
}
