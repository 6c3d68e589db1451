//! Pods, put to the webhook as an API server does: first to `/mutate`, then, changed as it said, to
//! `/validate`; and what must come of each.
//!
//! Kubernetes' `admission.k8s.io/v1`, and JSON Patch (RFC 6902) as far as the webhook writes it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::documents::post_document;
use client::{Deadline, Http};
use evidence::{Digest, ImageRef};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::exit::{Exit, Failure};

/// Time that the API server says it waits, its default.
const WEBHOOK_TIMEOUT_S: u64 = 10;
/// Time for an answer: the server may be late by as much again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2 * WEBHOOK_TIMEOUT_S);
/// Longest answer read, in bytes: messages, warnings and patches are bounded far below.
const ANSWER_SIZE_MAX: u64 = 256 * 1024;

/// The webhook, asked as an API server asks.
pub(super) struct Webhook {
    http: Http,
    url: Url,
}

/// What the webhook decided about a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The image of the Pod after `/mutate`.
    pub(super) image: String,
    /// What `/validate` said.
    pub(super) outcome: Outcome,
    /// The review that `/validate` was asked.
    pub(super) review: Vec<u8>,
}

/// Whether a Pod may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It may.
    Admitted,
    /// It may not.
    Refused {
        /// HTTP status: 403 for a violation, 503 where it could not be told.
        code: u16,
        /// What the user is told.
        message: String,
    },
}

/// What must come of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It runs, and exactly this digest.
    Admitted,
    /// It is refused for this reason.
    Refused(&'static str),
}

#[derive(Deserialize)]
struct Answer {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    patch: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
    message: String,
}

#[derive(Deserialize)]
struct Replacement {
    op: String,
    path: String,
    value: Value,
}

impl Webhook {
    pub(super) fn new(http: Http, url: Url) -> Self {
        Self { http, url }
    }

    /// Creates a Pod of that name which runs that image.
    pub(super) async fn create(&self, name: &str, image: &ImageRef) -> Result<Decision, Failure> {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"containers": [{"name": "app", "image": image.to_string()}]},
        });
        let (_, mutated) = self.ask("mutate", &pod).await?;
        if let Some(patch) = mutated.patch {
            apply(&patch, &mut pod)?;
        }
        let (review, validated) = self.ask("validate", &pod).await?;
        let outcome = match (validated.allowed, validated.status) {
            (true, _) => Outcome::Admitted,
            (false, Some(Status { code, message })) => Outcome::Refused { code, message },
            (false, None) => return Err(malformed("a refusal without a reason")),
        };
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
        Ok(Decision { image, outcome, review })
    }

    async fn ask(&self, webhook: &str, pod: &Value) -> Result<(Vec<u8>, Response), Failure> {
        let uid = hex::encode(crypto::random::bytes::<16>());
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": uid,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "name": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
                "operation": "CREATE",
                "userInfo": {"username": "demo"},
                "object": pod,
                "oldObject": null,
                "dryRun": false,
            },
        });
        let review = review.to_string().into_bytes();
        let mut url = self.url.clone();
        url.set_path(webhook);
        url.set_query(Some(&format!("timeout={WEBHOOK_TIMEOUT_S}s")));
        let deadline = Deadline::after(ANSWER_TIMEOUT);
        let asked =
            post_document(&self.http, &url, review.clone(), ANSWER_SIZE_MAX, deadline).await;
        let answer = asked.map_err(|error| {
            Failure::new(Exit::Failure, "the webhook did not answer").caused_by(error)
        })?;
        let Answer { response } = serde_json::from_slice(&answer)
            .map_err(|error| malformed("no AdmissionReview").caused_by(error))?;
        if response.uid != uid {
            return Err(malformed("a review that answers another one"));
        }
        Ok((review, response))
    }
}

impl Wanted {
    /// Checks what came of a Pod whose image's tag stood for `digest`.
    pub(super) fn check(self, digest: &Digest, decision: &Decision) -> Result<(), String> {
        let Decision { image, outcome, .. } = decision;
        if !image.ends_with(&format!("@{digest}")) {
            return Err(format!("its tag must be pinned to {digest}, but became {image}"));
        }
        match (self, outcome) {
            (Self::Admitted, Outcome::Admitted) => Ok(()),
            (Self::Refused(reason), Outcome::Refused { code: 403, message })
                if message.contains(reason) =>
            {
                Ok(())
            }
            (Self::Admitted, Outcome::Refused { message, .. }) => {
                Err(format!("it must be admitted, but was refused: {message}"))
            }
            (Self::Refused(_), Outcome::Admitted) => {
                Err("it must be refused, but was admitted".to_owned())
            }
            (Self::Refused(reason), Outcome::Refused { code, message }) => Err(format!(
                "it must be refused with 403 because `{reason}`, but was with {code}: {message}"
            )),
        }
    }
}

/// Changes an object as a webhook said.
fn apply(patch: &str, object: &mut Value) -> Result<(), Failure> {
    let json = STANDARD.decode(patch).map_err(|error| malformed("a patch").caused_by(error))?;
    let replacements: Vec<Replacement> =
        serde_json::from_slice(&json).map_err(|error| malformed("a patch").caused_by(error))?;
    for Replacement { op, path, value } in replacements {
        match object.pointer_mut(&path) {
            Some(place) if op == "replace" => *place = value,
            _ => return Err(malformed("a patch that does not fit the Pod")),
        }
    }
    Ok(())
}

fn malformed(what: &str) -> Failure {
    Failure::new(Exit::Failure, format!("the webhook's answer makes no sense: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: &str = "no signature was found";

    fn check(wanted: Wanted, pinned: &[u8], outcome: Outcome) -> Result<(), String> {
        let image = format!("127.0.0.1:5000/app:1@{}", Digest::sha256(pinned));
        let decision = Decision { image, outcome, review: Vec::new() };
        wanted.check(&Digest::sha256(b"image"), &decision)
    }

    fn refused(code: u16, message: &str) -> Outcome {
        Outcome::Refused { code, message: message.to_owned() }
    }

    #[test]
    fn only_what_must_come_is_as_it_must_be() {
        let wanted = Wanted::Refused(REASON);
        assert_eq!(check(Wanted::Admitted, b"image", Outcome::Admitted), Ok(()));
        assert_eq!(
            check(wanted, b"image", refused(403, "refused: no signature was found")),
            Ok(())
        );
        for (wanted, pinned, outcome) in [
            (Wanted::Admitted, "image", refused(403, REASON)),
            (Wanted::Admitted, "other", Outcome::Admitted),
            (wanted, "image", Outcome::Admitted),
            (wanted, "image", refused(503, REASON)),
            (wanted, "image", refused(403, "it was signed by somebody else")),
            (wanted, "other", refused(403, REASON)),
        ] {
            let checked = check(wanted, pinned.as_bytes(), outcome.clone());
            assert!(checked.is_err(), "{wanted:?} {pinned} {outcome:?}");
        }
    }

    #[test]
    fn a_patch_replaces_what_is_there_and_nothing_else() {
        let encode = |patch: &str| STANDARD.encode(patch);
        let mut pod = json!({"spec": {"containers": [{"image": "app:1"}]}});
        let path = "/spec/containers/0/image";
        let good = format!(r#"[{{"op":"replace","path":"{path}","value":"app@sha256:1"}}]"#);
        apply(&encode(&good), &mut pod).expect("the path is there");
        assert_eq!(pod["spec"]["containers"][0]["image"], "app@sha256:1");
        for bad in [
            good.replace("replace", "add"),
            good.replace("/0/", "/1/"),
            "[{}]".to_owned(),
            String::new(),
        ] {
            assert!(apply(&encode(&bad), &mut pod.clone()).is_err(), "{bad}");
        }
        assert!(apply("no base64!", &mut pod).is_err());
    }
}
