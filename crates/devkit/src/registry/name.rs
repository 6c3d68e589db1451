//! Names: of repositories, of tags, and references, which are a tag or a digest.
//!
//! OCI distribution specification v1.1, "Pulling manifests".

use std::borrow::Borrow;
use std::fmt;

use evidence::Digest;

/// Longest repository name. The specification sets none but tells of clients that stop at 255.
const NAME_SIZE_MAX: usize = 255;

/// Longest tag.
const TAG_SIZE_MAX: usize = 128;

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RepositoryName(String);

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(String);

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Tag(Tag),
    Digest(Digest),
}

impl RepositoryName {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let good = text.len() <= NAME_SIZE_MAX && text.split('/').all(is_path_component);
        good.then(|| Self(text.to_owned()))
    }
}

/// Runs of `[a-z0-9]` with separators between them, and only there.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = text.as_bytes();
    loop {
        let run = rest.iter().take_while(|byte| alphanumeric(byte)).count();
        if run == 0 {
            return false;
        }
        rest = &rest[run..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|byte| !alphanumeric(byte)).count();
        let (between, after) = rest.split_at(separator);
        let good = matches!(between, b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-');
        if !good {
            return false;
        }
        rest = after;
    }
}

impl Tag {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let first = text.bytes().next()?;
        let good = text.len() <= TAG_SIZE_MAX
            && word(first)
            && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        good.then(|| Self(text.to_owned()))
    }
}

impl Reference {
    /// A digest has a colon, which no tag has.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            text.parse().ok().map(Self::Digest)
        } else {
            Tag::parse(text).map(Self::Tag)
        }
    }
}

impl Borrow<str> for RepositoryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RepositoryName, Tag};

    #[test]
    fn repository_names_follow_the_grammar() {
        let long = "a".repeat(255);
        for good in ["a", "0", "team/app", "a.b_c__d-e---f/g", &long] {
            assert!(RepositoryName::parse(good).is_some(), "{good}");
        }
        let longer = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a.-b", "-a", "a-", "a._b", "a b",
            "ä", "a:b", "../a", &longer,
        ] {
            assert!(RepositoryName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        let long = "a".repeat(128);
        for good in ["a", "_", "1.0", "v1.0-rc_2", "sha256-ab.sig", &long] {
            assert!(Tag::parse(good).is_some(), "{good}");
        }
        let longer = "a".repeat(129);
        for bad in ["", ".a", "-a", "a/b", "a:b", "a b", "ä", &longer] {
            assert!(Tag::parse(bad).is_none(), "{bad}");
        }
    }
}
