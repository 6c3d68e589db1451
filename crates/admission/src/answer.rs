//! What the API server is told: `AdmissionReview` of `admission.k8s.io/v1` with its response.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::findings::{Finding, Level};
use crate::review::Review;

/// Longest warning, in bytes: longer ones may be cut anywhere by whoever passes them on
/// (`AdmissionResponse.warnings`).
pub const WARNING_SIZE_MAX: usize = 256;

/// Most bytes of warnings in one answer: beyond that the API server drops them, and other webhooks'
/// with them.
pub const WARNINGS_SIZE_MAX: usize = 4096;

/// Longest message of a refusal, in bytes: it goes to a terminal.
pub const MESSAGE_SIZE_MAX: usize = 8192;

/// An answer to one review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    uid: String,
    about: String,
    refused: Option<Refused>,
    warnings: Vec<String>,
    patches: Vec<Patch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    message: String,
    /// Whether something is known to be wrong, or nothing could be told.
    certain: bool,
}

/// A text to put in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// JSON pointer to the text.
    pub pointer: String,
    /// The text to put there.
    pub image: String,
}

impl Answer {
    fn new(uid: &str) -> Self {
        let (about, warnings, patches) = (String::new(), Vec::new(), Vec::new());
        Self { uid: uid.to_owned(), about, refused: None, warnings, patches }
    }

    /// Admits, with changes to the object.
    pub(crate) fn admit(uid: &str, patches: Vec<Patch>) -> Self {
        Self { patches, ..Self::new(uid) }
    }

    /// Refuses for one reason.
    pub(crate) fn refuse(uid: &str, message: &str) -> Self {
        let message = cut(message, MESSAGE_SIZE_MAX);
        Self { refused: Some(Refused { message, certain: true }), ..Self::new(uid) }
    }

    /// Admits unless a finding refuses; every other finding becomes a warning.
    pub(crate) fn from_findings(uid: &str, findings: &[Finding]) -> Self {
        let of = |level| findings.iter().filter(move |finding| finding.level == level);
        // What is certain comes first: it will not go away by trying again.
        let refusals = of(Level::Refuse).chain(of(Level::RefuseUnknown));
        let refusals: Vec<_> = refusals.map(|finding| finding.text.as_str()).collect();
        let refused = (!refusals.is_empty()).then(|| Refused {
            message: cut(&refusals.join("; "), MESSAGE_SIZE_MAX),
            certain: of(Level::Refuse).next().is_some(),
        });
        let warnings = warnings(of(Level::Warn).map(|finding| finding.text.as_str()));
        Self { refused, warnings, ..Self::new(uid) }
    }

    /// Names the object that was asked about.
    pub(crate) fn about(mut self, review: &Review) -> Self {
        let Review { kind, namespace, name, .. } = review;
        let text = format!("{} {namespace}/{name}", kind.kind);
        self.about = text.chars().flat_map(char::escape_debug).collect();
        self
    }

    /// Which object was asked about, e.g. `Pod shop/web`, for a log; empty if that was not told.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.about
    }

    /// Whether it is refused only because something could not be told.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| !refused.certain)
    }

    /// Whether the object is admitted.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.refused.is_none()
    }

    /// Why the object is refused.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.refused.as_ref().map(|refused| refused.message.as_str())
    }

    /// What the user is told although the object is admitted, or beside the refusal.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Changes to the object.
    #[must_use]
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// The answer as it goes on the wire.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let status = self.refused.as_ref().map(|refused| match refused.certain {
            true => Status { code: 403, reason: "Forbidden", message: &refused.message },
            false => Status { code: 503, reason: "ServiceUnavailable", message: &refused.message },
        });
        let patch = |patch: &Patch| PatchJson {
            op: "replace",
            path: patch.pointer.clone(),
            value: patch.image.clone(),
        };
        let patches: Vec<_> = self.patches.iter().map(patch).collect();
        let patch = (!patches.is_empty())
            .then(|| STANDARD.encode(serde_json::to_vec(&patches).expect("text is always JSON")));
        let response = ResponseJson {
            uid: &self.uid,
            allowed: self.allowed(),
            status,
            warnings: &self.warnings,
            patch_type: patch.as_ref().map(|_| "JSONPatch"),
            patch,
        };
        let review =
            ReviewJson { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
        serde_json::to_vec(&review).expect("text is always JSON")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReviewJson<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: ResponseJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// JSON Patch (RFC 6902) in base64, as Go writes bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct PatchJson {
    op: &'static str,
    path: String,
    value: String,
}

/// As many as fit; the last says how many did not.
fn warnings<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    const ROOM_FOR_LAST: usize = 64;
    let mut shown: Vec<String> = Vec::new();
    let mut size = 0;
    let mut left_out = 0;
    for text in texts {
        let text = cut(text, WARNING_SIZE_MAX);
        if size + text.len() > WARNINGS_SIZE_MAX - ROOM_FOR_LAST {
            left_out += 1;
            continue;
        }
        size += text.len();
        shown.push(text);
    }
    if left_out > 0 {
        shown.push(format!("and {left_out} more warnings like these"));
    }
    shown
}

/// At most `max` bytes, never within a character.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max - '…'.len_utf8());
    format!("{}…", &text[..end])
}
