//! Languages in which a policy asks about what was said: Rego, CEL, and a part of CUE. Each becomes
//! a [`verify::Predicate`].
//!
//! What a program is told is in every language the same: `input`, which is the statement as it was
//! signed, and who signed it and when ([`Facts`]). A program has no network, no files and no clock
//! but the time it is told; it answers within bounds, or its answer is no.

pub mod cel;
pub mod cue;
pub mod rego;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use evidence::UnixTime;
use evidence::certificate::FulcioExtension;
use serde_json::{Map, Value, json};
use verify::predicate::{Objection, Predicate, Question};

/// Longest program read, in bytes.
pub const PROGRAM_SIZE_MAX: usize = 256 * 1024;

/// Longest statement that is given to a program, in bytes. Parsed, it takes several times as much.
pub const INPUT_SIZE_MAX: usize = 32 << 20;

/// The time that one statement may take, unless [`Program::within`] says otherwise.
pub const TIME_MAX: Duration = Duration::from_secs(5);

/// Most characters of an engine's own words that are repeated.
const WORDS_MAX: usize = 400;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rego as before Open Policy Agent 1.0, which Cosign reads.
    RegoV0,
    /// Rego since Open Policy Agent 1.0.
    RegoV1,
    /// The Common Expression Language.
    Cel,
    /// The part of CUE that [`cue`] describes.
    Cue,
}

/// Why a program is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct BadProgram {
    /// Line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

impl BadProgram {
    fn new(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }

    fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line: Some(line), problem: problem.into() }
    }
}

impl Language {
    /// The language of a file, by how its name ends, as Cosign tells them apart.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension {
            "rego" => Some(Self::RegoV0),
            "cel" => Some(Self::Cel),
            "cue" => Some(Self::Cue),
            _ => None,
        }
    }

    /// Loads a program; `name` is what it is called where people read it.
    ///
    /// # Errors
    /// When it does not parse, uses what is not offered, or passes a bound.
    pub fn load(self, name: &str, text: &str) -> Result<Program, BadProgram> {
        if text.len() > PROGRAM_SIZE_MAX {
            let problem = format!("longer than the {PROGRAM_SIZE_MAX} bytes read");
            return Err(BadProgram::new(problem));
        }
        let engine: Box<dyn Engine> = match self {
            Self::RegoV0 => Box::new(rego::Rego::load(text, rego::Version::V0)?),
            Self::RegoV1 => Box::new(rego::Rego::load(text, rego::Version::V1)?),
            Self::Cel => Box::new(cel::Cel::load(text)?),
            Self::Cue => Box::new(cue::Cue::load(text)?),
        };
        Ok(Program { name: name.to_owned(), engine, time_max: TIME_MAX })
    }
}

/// What a program is told beside the statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The identity provider; `None` for a pinned key.
    pub issuer: Option<String>,
    /// The signer's name; `None` for a pinned key.
    pub subject: Option<String>,
    /// What the certificate says about the build, by Fulcio's names.
    pub extensions: Vec<(FulcioExtension, String)>,
    /// The key that signed, as bundles name it: base64 of SHA-256 of its SubjectPublicKeyInfo.
    pub key: String,
    /// The artifact.
    pub digest: String,
    /// When a trusted observer first saw the signature, in seconds since 1970; `None` if none did.
    pub seen: Option<i64>,
    /// The time now, in seconds since 1970.
    pub now: i64,
}

impl Facts {
    fn of(question: &Question<'_>) -> Self {
        let Question { claim, now, .. } = question;
        let signer = claim.signer();
        let text = |text: Option<&str>| text.map(str::to_owned);
        let extensions = FulcioExtension::ALL.iter().filter_map(|extension| {
            let value = signer.extensions()?.get(*extension)?;
            Some((*extension, value.to_owned()))
        });
        Self {
            issuer: text(signer.issuer()),
            subject: text(signer.subject()),
            extensions: extensions.collect(),
            key: signer.key().hint(),
            digest: claim.digest().to_string(),
            seen: claim.seen().map(UnixTime::seconds),
            now: now.seconds(),
        }
    }

    /// As programs see them: `signer.issuer`, `signer.subject`, `signer.extensions`, `signer.key`,
    /// `digest`, `seen`, `now`.
    fn to_json(&self) -> Value {
        let named = |(extension, value): &(FulcioExtension, String)| {
            (extension.name().to_owned(), Value::from(value.as_str()))
        };
        json!({
            "signer": {
                "issuer": self.issuer,
                "subject": self.subject,
                "extensions": self.extensions.iter().map(named).collect::<Map<_, _>>(),
                "key": self.key,
            },
            "digest": self.digest,
            "seen": self.seen,
            "now": self.now,
        })
    }
}

/// A loaded program, whatever its language.
trait Engine: std::fmt::Debug + Send + Sync {
    /// Judges a statement, which is JSON text within [`INPUT_SIZE_MAX`], until `watch` says that it
    /// is over.
    fn decide(&self, input: &str, facts: &Facts, watch: Watch) -> Result<(), Objection>;
}

/// How long one statement has been looked at, and may be.
#[derive(Clone, Copy, Debug)]
struct Watch {
    begun: Instant,
    time_max: Duration,
}

impl Watch {
    fn start(time_max: Duration) -> Self {
        Self { begun: Instant::now(), time_max }
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() > self.time_max
    }

    /// What is said when it is over.
    fn over(&self) -> String {
        format!("more than {:?}", self.time_max)
    }
}

/// A program that was loaded and can be asked.
#[derive(Debug)]
pub struct Program {
    name: String,
    engine: Box<dyn Engine>,
    time_max: Duration,
}

impl Program {
    /// The same program, with that time for one statement instead of [`TIME_MAX`]. A step that was
    /// begun is finished: one step may look through a whole text.
    #[must_use]
    pub fn within(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Judges a statement, given as it was signed, with the facts beside it.
    ///
    /// # Errors
    /// When the program says no, or comes to no answer.
    pub fn decide(&self, statement: &[u8], facts: &Facts) -> Result<(), Objection> {
        if statement.len() > INPUT_SIZE_MAX {
            let found = statement.len();
            let problem = format!("a statement of {found} bytes is longer than {INPUT_SIZE_MAX}");
            return Err(failed(problem));
        }
        let input =
            std::str::from_utf8(statement).map_err(|_| failed("the statement is not text"))?;
        // The engines are others'. One that panics has given no answer; it is asked anew each time
        // and keeps nothing that could be left half done.
        let watch = Watch::start(self.time_max);
        catch_unwind(AssertUnwindSafe(|| self.engine.decide(input, facts, watch)))
            .unwrap_or_else(|_| Err(failed("the engine panicked")))?;
        // A step that was begun is not interrupted, whoever's it is.
        if watch.is_over() { Err(failed(watch.over())) } else { Ok(()) }
    }
}

impl Predicate for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn judge(&self, question: &Question<'_>) -> Result<(), Objection> {
        let Some(payload) = question.payload else {
            return Err(failed("a signature over the artifact itself says nothing to judge"));
        };
        self.decide(payload, &Facts::of(question))
    }
}

fn failed(problem: impl Into<String>) -> Objection {
    Objection::Failed { problem: problem.into() }
}

/// An engine's own words in one line that fits a terminal.
fn words(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    if line.chars().nth(WORDS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
