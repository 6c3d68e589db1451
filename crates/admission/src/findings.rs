//! What was found about one image, in words: the only place where a verdict becomes a refusal or a
//! warning.

use evidence::Digest;
use evidence::image::{ImageRef, ParseImageRefError};
use policy::cluster_image_policy::Mode;
use verify::verdict::Reason;
use verify::{NonEmpty, Obstacle, Verdict};

use crate::images::{Place, UnreadableObject};

/// Most reasons told of one verdict: the first of them is nearly always the one.
const REASONS_MAX: usize = 3;

/// What follows when no policy covers an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMatch {
    /// It is admitted.
    Allow,
    /// It is admitted with a warning.
    Warn,
    /// It is refused.
    Deny,
}

/// Something to tell, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Refused: something is known to be wrong.
    Refuse,
    /// Refused: it could not be told whether anything is wrong.
    RefuseUnknown,
    /// Admitted with a warning.
    Warn,
}

impl Level {
    fn certain(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Refuse,
            Mode::Warn => Self::Warn,
        }
    }

    fn unknown(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::RefuseUnknown,
            Mode::Warn => Self::Warn,
        }
    }
}

/// What follows from a verdict; nothing, if it admits.
pub(crate) fn of_verdict(
    place: &Place,
    policy: &str,
    mode: Mode,
    verdict: &Verdict,
) -> Option<Finding> {
    let (level, why) = match verdict {
        Verdict::Admit(_) => return None,
        Verdict::Refuse(reasons) => {
            (Level::certain(mode), format!("refused: {}", all_of(reasons.iter().map(reason))))
        }
        Verdict::Unknown(obstacles, _) => {
            (Level::unknown(mode), format!("could not tell: {}", obstacles_text(obstacles)))
        }
    };
    let text = format!("{}: policy `{policy}`: {why}", subject(place));
    Some(Finding { level, text })
}

/// A tag, where only a digest can be judged. Names the digest, so that it can be written down.
pub(crate) fn of_tag(
    place: &Place,
    image: &ImageRef,
    policies: &[&str],
    mode: Mode,
    resolved: &Result<Digest, Obstacle>,
) -> Finding {
    let policies = policies.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (level, what_to_do) = match resolved {
        Ok(digest) => {
            (Level::certain(mode), format!("write `{}`", pinned(&place.image, image, digest)))
        }
        Err(obstacle) => (Level::unknown(mode), format!("could not tell its digest: {obstacle}")),
    };
    let text = format!(
        "{}: policy {policies}: a tag can move, so only a digest is judged; {what_to_do}",
        subject(place)
    );
    Finding { level, text }
}

/// An image that no policy covers; nothing, if that is allowed.
pub(crate) fn of_no_match(place: &Place, no_match: NoMatch) -> Option<Finding> {
    let level = match no_match {
        NoMatch::Allow => return None,
        NoMatch::Warn => Level::Warn,
        NoMatch::Deny => Level::Refuse,
    };
    Some(Finding { level, text: format!("{}: no policy covers it", subject(place)) })
}

/// A text that names no image that is safe to act on.
pub(crate) fn of_bad_name(place: &Place, mode: Mode, error: &ParseImageRefError) -> Finding {
    Finding { level: Level::certain(mode), text: format!("{}: {error}", subject(place)) }
}

/// A place that is not known to name an image, and may.
pub(crate) fn of_unknown_place(place: &Place, kind: &str, mode: Mode) -> Finding {
    let text = format!(
        "{}: not a place where a {kind} is known to name an image, so it cannot be judged",
        subject(place)
    );
    Finding { level: Level::certain(mode), text }
}

/// An object in which images cannot be found.
pub(crate) fn of_unreadable(mode: Mode, error: &UnreadableObject) -> Finding {
    Finding { level: Level::certain(mode), text: format!("the object cannot be judged: {error}") }
}

/// The user's text with the digest that its tag was found to stand for.
///
/// The spelling stays the user's, as mirrors and other webhooks may depend on it; only a missing
/// tag is written out, because it says what was resolved.
pub(crate) fn pinned(text: &str, image: &ImageRef, digest: &Digest) -> String {
    match image.tag() {
        Some(tag) if !text.ends_with(&format!(":{tag}")) => format!("{text}:{tag}@{digest}"),
        _ => format!("{text}@{digest}"),
    }
}

fn subject(place: &Place) -> String {
    let image: String = place.image.chars().take(300).flat_map(char::escape_debug).collect();
    format!("{} `{image}`", place.field())
}

fn reason(reason: &Reason) -> String {
    let (wanted, found) = reason.refusal.wanted_and_found();
    let fact = reason.refusal.to_string();
    // Where nothing in particular was wanted, what was found repeats the fact and its causes.
    if found.starts_with(&fact) { found } else { format!("{fact}: wanted {wanted}, found {found}") }
}

fn obstacles_text(obstacles: &NonEmpty<Obstacle>) -> String {
    all_of(obstacles.iter().map(ToString::to_string))
}

/// Each text once, at most [`REASONS_MAX`].
fn all_of(texts: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut left_out = 0;
    for text in texts {
        if shown.contains(&text) {
            continue;
        }
        if shown.len() < REASONS_MAX { shown.push(text) } else { left_out += 1 }
    }
    if left_out > 0 {
        shown.push(format!("and {left_out} more"));
    }
    shown.join(", ")
}
