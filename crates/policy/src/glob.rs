//! Globs over image names, one matcher for each dialect's rules.
//!
//! Nothing here turns a pattern into a regular expression: what a policy's author writes is walked
//! as it stands, in time bounded by pattern length × name length, whatever either contains.

use std::fmt;
use std::str::FromStr;

/// Longest glob read, in bytes. The longest name a registry allows is 255 bytes of host and 255 of
/// repository, with 128 of tag (OCI distribution specification v1.1) and 71 of `@sha256:…`.
pub const GLOB_SIZE_MAX: usize = 1024;

/// A glob as policy-controller's ClusterImagePolicy has it (`pkg/apis/glob`).
///
/// `*` stands for any run of characters other than `/`, also an empty one; `**` for any run at all;
/// everything else for itself. A glob covers the whole name. Neither `:` nor `@` stops a `*`, so
/// `ghcr.io/acme/*` covers every tag and digest, and `ghcr.io/acme/app` covers only the name
/// written without either.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterImagePolicyGlob {
    text: String,
    pattern: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    /// `*`: any run without `/`.
    Segment,
    /// `**`: any run.
    Anything,
}

/// Why text is no glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseGlobError {
    /// No text at all.
    #[error("the glob is empty")]
    Empty,
    /// Longer than [`GLOB_SIZE_MAX`].
    #[error("a glob of {found} bytes is longer than the {GLOB_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// A character that no glob of this dialect has; `?`, `[` and `{` are the likely ones.
    #[error("a glob has letters, digits and `-_:/*.@` only, found `{}`", found.escape_default())]
    BadCharacter {
        /// The first such character.
        found: char,
    },
}

impl FromStr for ClusterImagePolicyGlob {
    type Err = ParseGlobError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseGlobError::Empty);
        }
        if text.len() > GLOB_SIZE_MAX {
            return Err(ParseGlobError::TooLong { found: text.len() });
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_:/*.@".contains(c);
        if let Some(found) = text.chars().find(|&c| !legal(c)) {
            return Err(ParseGlobError::BadCharacter { found });
        }
        // These two, and only these two, are read as meaning Docker Hub.
        let meant = match text {
            "*" => "index.docker.io/library/*",
            "*/*" => "index.docker.io/*/*",
            other => other,
        };
        Ok(Self { text: text.to_owned(), pattern: pieces(meant.as_bytes()) })
    }
}

fn pieces(mut rest: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(rest.len());
    loop {
        // Two stars are taken before one, from the left, so that `***` is `**` and then `*`.
        let (piece, taken) = match rest {
            [] => return pieces,
            [b'*', b'*', ..] => (Piece::Anything, 2),
            [b'*', ..] => (Piece::Segment, 1),
            [byte, ..] => (Piece::Byte(*byte), 1),
        };
        pieces.push(piece);
        rest = &rest[taken..];
    }
}

impl ClusterImagePolicyGlob {
    /// The glob as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the glob covers exactly this spelling of a name.
    ///
    /// Which spellings of an image are to be tried is the caller's question: see
    /// [`crate::cluster_image_policy::ImageNames`].
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        // `reached[i]`: the first `i` pieces can consume what was read of the name so far.
        let mut reached = vec![false; self.pattern.len() + 1];
        reached[0] = true;
        self.skip_stars(&mut reached);
        for &byte in name.as_bytes() {
            let mut next = vec![false; reached.len()];
            for (index, piece) in self.pattern.iter().enumerate().filter(|(i, _)| reached[*i]) {
                match piece {
                    Piece::Byte(wanted) => next[index + 1] |= *wanted == byte,
                    Piece::Segment => next[index] |= byte != b'/',
                    Piece::Anything => next[index] = true,
                }
            }
            self.skip_stars(&mut next);
            reached = next;
        }
        reached[self.pattern.len()]
    }

    /// A star may stand for nothing: whoever has reached it has also reached what follows it.
    fn skip_stars(&self, reached: &mut [bool]) {
        for (index, piece) in self.pattern.iter().enumerate() {
            if reached[index] && !matches!(piece, Piece::Byte(_)) {
                reached[index + 1] = true;
            }
        }
    }
}

impl fmt::Display for ClusterImagePolicyGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ClusterImagePolicyGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}
