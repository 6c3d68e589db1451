//! Regular expressions as Go's `regexp` package reads them, matched by the `regex` crate.
//!
//! Policies are written for Go's RE2 syntax (`regexp/syntax`, Perl flags). The `regex` crate is a
//! close relative with other meanings in places: `[a&&b]`, `[[a]b]` and `\<` mean something else,
//! `\d`, `\w`, `\s` and `\b` are Unicode, `a**` is allowed. So the text is read by Go's grammar and
//! handed on in a spelling that means the same there. What cannot be handed on faithfully — `\p{…}`,
//! `\B`, `\C` — is refused by name, and so is a repetition straight after `(?flags)`.
//!
//! As in cosign, an expression matches if it matches *anywhere* in the value: write `^…$` to
//! match all of it ([`Regexp::is_anchored`] tells whether that was done). Matching takes time
//! linear in the value; size and nesting are bounded, and who has a long value of somebody else's
//! bounds that ([`Regexp::look_through`]).

mod translate;

use std::fmt;

/// Longest expression read, in bytes.
pub const REGEXP_SIZE_MAX: usize = 4096;

/// Deepest nesting of groups; Go stops at 1000, the `regex` crate at 250.
pub const GROUP_DEPTH_MAX: usize = 100;

/// Bound on the compiled program and on the lazy automaton, in bytes each: ten times what the
/// identities of GitHub's and GitLab's documentation need.
const PROGRAM_SIZE_MAX: usize = 1 << 20;

/// Largest program, in bytes, of an expression of usual size.
const USUAL_PROGRAM_SIZE: usize = 64 << 10;

/// Longest text, in bytes, that an expression of usual size looks through where the text is a
/// stranger's, and one that is larger. No match can be interrupted, and the worst takes, for each byte
/// of the text, time in proportion to the program: about ten microseconds the usual, a hundred and
/// fifty the largest. So none takes longer than about ten seconds.
const TEXT_SIZE_MAX: [usize; 2] = [1 << 20, 64 << 10];

/// A compiled expression.
#[derive(Clone)]
pub struct Regexp {
    text: String,
    anchored: bool,
    program: regex::Regex,
    text_size_max: usize,
}

/// A text that is longer than an expression of that size looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text of {found} bytes is longer than the {max} that a regular expression looks through")]
pub struct TextTooLong {
    /// Its length in bytes.
    pub found: usize,
    /// The most, in bytes; less for an expression that is large.
    pub max: usize,
}

/// Why text is no regular expression that is read here. `at` counts characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRegexpError {
    /// Longer than [`REGEXP_SIZE_MAX`].
    #[error("a regular expression of {found} bytes is longer than the {REGEXP_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// `*`, `+`, `?` or `{n}` with nothing to repeat.
    #[error("bad regular expression: nothing to repeat at character {at}")]
    NothingToRepeat {
        /// Where.
        at: usize,
    },
    /// One repetition straight after another, as in `a**`.
    #[error("bad regular expression: a repetition of a repetition at character {at}")]
    RepeatedRepetition {
        /// Where.
        at: usize,
    },
    /// `{n,m}` out of order or beyond 1000.
    #[error(
        "bad regular expression: repetition counts at character {at} out of order or above 1000"
    )]
    BadRepetition {
        /// Where.
        at: usize,
    },
    /// A parenthesis without its partner.
    #[error("bad regular expression: a parenthesis without its partner at character {at}")]
    Parenthesis {
        /// Where.
        at: usize,
    },
    /// `(?` and something that does not follow it.
    #[error("bad regular expression: unknown kind of group at character {at}")]
    BadGroup {
        /// Where.
        at: usize,
    },
    /// Groups nested deeper than [`GROUP_DEPTH_MAX`].
    #[error("bad regular expression: groups nested deeper than {GROUP_DEPTH_MAX}")]
    TooDeep,
    /// A bracket without its partner, a range backwards, an unknown named class.
    #[error("bad regular expression: bad character class at character {at}")]
    BadClass {
        /// Where.
        at: usize,
    },
    /// A backslash and something that does not follow it.
    #[error("bad regular expression: bad escape at character {at}")]
    BadEscape {
        /// Where.
        at: usize,
    },
    /// Valid in Go, and not carried out here.
    #[error("regular expression not supported: {what} at character {at}")]
    Unsupported {
        /// Where.
        at: usize,
        /// What.
        what: &'static str,
    },
    /// Compiles to more than the bound.
    #[error("regular expression too large when compiled")]
    TooLarge,
}

impl Regexp {
    /// Parses and compiles.
    ///
    /// # Errors
    /// When Go would refuse it, a bound is passed, or a construct is not supported.
    pub fn parse(text: &str) -> Result<Self, ParseRegexpError> {
        if text.len() > REGEXP_SIZE_MAX {
            return Err(ParseRegexpError::TooLong { found: text.len() });
        }
        let (translated, anchored) = translate::translate(text)?;
        let build = |size_max| {
            regex::RegexBuilder::new(&translated)
                .size_limit(size_max)
                .dfa_size_limit(PROGRAM_SIZE_MAX)
                .build()
        };
        let [of_usual, of_large] = TEXT_SIZE_MAX;
        let (program, text_size_max) = match build(USUAL_PROGRAM_SIZE) {
            Ok(program) => (program, of_usual),
            Err(_) => {
                let program = build(PROGRAM_SIZE_MAX).map_err(|_| ParseRegexpError::TooLarge)?;
                (program, of_large)
            }
        };
        Ok(Self { text: text.to_owned(), anchored, program, text_size_max })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The expression compiled, its text in the syntax of the `regex` crate with the same meaning.
    #[must_use]
    pub fn program(&self) -> &regex::Regex {
        &self.program
    }

    /// Whether it matches anywhere in `value`.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.program.is_match(value)
    }

    /// The same in a text that is somebody else's and may be long.
    ///
    /// # Errors
    /// When it is so long that looking through it could take more than about ten seconds.
    pub fn look_through(&self, text: &str) -> Result<bool, TextTooLong> {
        let (found, max) = (text.len(), self.text_size_max);
        if found > max { Err(TextTooLong { found, max }) } else { Ok(self.matches(text)) }
    }

    /// Whether it is written `^…$` (or `\A…\z`) around everything, so that it must match all of a
    /// value. May say no where a cleverer reader would say yes; never the other way round.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }
}

impl fmt::Debug for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regexp({:?})", self.text)
    }
}

impl PartialEq for Regexp {
    /// Equal as written.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regexp {}
