//! The judge at the door: which images of a review are new, which policies cover them, what the
//! verdicts are; in this order, so that nothing is fetched that decides nothing.
//!
//! - What the API server will store is judged (`object`); `oldObject` only tells what is unchanged,
//!   and what is unchanged was judged when it came, or runs already. So a finalizer can be removed,
//!   a Deployment scaled and a status written while the registry is down, and an image changed on
//!   an object that is being deleted is judged all the same.
//! - No decision rests on owner references, annotations, the user or the verb: whoever may create a
//!   Pod may write what he likes there.
//! - All policies must be met. A warning never stands in for a refusal, nor a refusal for *could
//!   not tell*.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use evidence::image::ImageRef;
use evidence::{Digest, UnixTime};
use futures::StreamExt;
use policy::cluster_image_policy::{ImageNames, ImagePolicy, Mode, Object, Rule};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};
use verify::{Artifact, Case, NonEmpty, Obstacle, ObstacleKind, Policy, Verdict};

use crate::answer::{Answer, Patch};
use crate::findings::{self, Finding, Level, NoMatch};
use crate::images::{self, Place, UnreadableObject, Workload};
use crate::review::{BadReview, Operation, Review};
use crate::source::{Gathered, Images};

/// Images of one review that are asked about at the same time.
const CONCURRENT_MAX: usize = 8;

/// Time kept back from looking for evidence, to judge what was found: a hundred times what one
/// verification takes.
const JUDGING_TIME: Duration = Duration::from_millis(100);

/// Which of the two webhooks was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// Pins tags; refuses nothing, for the other one follows.
    Mutate,
    /// Judges digests.
    Validate,
}

/// The policies, and the outside that is asked about images.
#[derive(Debug)]
pub struct Admission<I> {
    policies: Vec<ImagePolicy>,
    images: I,
    no_match: NoMatch,
}

/// The images of a review that have to be looked at.
struct Subject {
    object: Object,
    kind: String,
    workload: Option<Workload>,
    places: Vec<Place>,
}

/// An object in which images cannot be found, as far as it could be read.
struct Unreadable {
    object: Option<Object>,
    error: UnreadableObject,
}

/// An image that a policy has to judge, with every place that names it.
struct Suspect<'a> {
    place: &'a Place,
    image: ImageRef,
    policies: Vec<(&'a ImagePolicy, &'a Arc<Policy>)>,
}

/// What was learnt about one image.
enum Learnt {
    Verdicts(HashMap<String, Verdict>),
    Digest(Result<Digest, Obstacle>),
}

impl<I: Images> Admission<I> {
    /// Judges under these policies.
    #[must_use]
    pub fn new(policies: Vec<ImagePolicy>, images: I, no_match: NoMatch) -> Self {
        Self { policies, images, no_match }
    }

    /// Answers a review, at `deadline` at the latest. What is not known by then is not admitted
    /// under a policy that is enforced.
    ///
    /// # Errors
    /// When not even the review's UID can be read; a review that is bad otherwise is refused.
    pub async fn answer(
        &self,
        webhook: Webhook,
        body: &[u8],
        now: UnixTime,
        deadline: Instant,
    ) -> Result<Answer, BadReview> {
        let review = match Review::parse(body) {
            Ok(review) => review,
            Err(BadReview { uid: Some(uid), problem }) => {
                return Ok(Answer::refuse(
                    &uid,
                    &format!("the review cannot be judged: {problem}"),
                ));
            }
            Err(bad) => return Err(bad),
        };
        let answer = match webhook {
            Webhook::Mutate => self.mutate(&review, deadline).await,
            Webhook::Validate => self.validate(&review, now, deadline).await,
        };
        Ok(answer.about(&review))
    }

    async fn validate(&self, review: &Review, now: UnixTime, deadline: Instant) -> Answer {
        let findings = match self.subject(review) {
            Ok(None) => Vec::new(),
            Ok(Some(subject)) => self.judge(&subject, now, deadline).await,
            Err(unreadable) => {
                let mode = self.strictest(unreadable.object.as_ref());
                let finding = mode.map(|mode| findings::of_unreadable(mode, &unreadable.error));
                finding.into_iter().collect()
            }
        };
        Answer::from_findings(&review.uid, &findings)
    }

    /// Pins the tags of Pods that a policy will judge. What cannot be resolved stays as it is, and
    /// [`Self::validate`], which sees it next, says why. Templates stay as they are: their digests
    /// would be undone, and their Jobs found changed, by whoever keeps them in Git.
    async fn mutate(&self, review: &Review, deadline: Instant) -> Answer {
        let Ok(Some(subject)) = self.subject(review) else {
            return Answer::admit(&review.uid, Vec::new());
        };
        if !subject.workload.is_some_and(|workload| workload.is_pod()) {
            return Answer::admit(&review.uid, Vec::new());
        }
        let (suspects, findings) = self.sift(&subject);
        if findings.iter().any(|finding| finding.level == Level::Refuse) {
            return Answer::admit(&review.uid, Vec::new());
        }
        let tags = suspects.iter().filter(|suspect| suspect.image.digest().is_none());
        let tags: Vec<_> = tags.collect();
        let learnt = ask_each(tags.iter().map(|suspect| &suspect.image), |image| async move {
            self.resolve(&image, deadline).await
        })
        .await;
        let patches = tags.iter().filter_map(|suspect| {
            let digest = learnt.get(&suspect.image)?.as_ref().ok()?;
            let image = findings::pinned(&suspect.place.image, &suspect.image, digest);
            Some(Patch { pointer: suspect.place.pointer.clone(), image })
        });
        Answer::admit(&review.uid, patches.collect())
    }

    /// What has to be looked at; `None` if nothing.
    fn subject(&self, review: &Review) -> Result<Option<Subject>, Box<Unreadable>> {
        if matches!(review.operation, Operation::Delete | Operation::Connect) {
            return Ok(None);
        }
        // The parser has made sure that what is created or updated is there.
        let Some(content) = &review.object else { return Ok(None) };
        let workload = Workload::of(&review.kind);
        let (group, resource) = match workload {
            Some(workload) => (workload.group(), workload.resource()),
            None => (review.kind.group.as_str(), ""),
        };
        let object = Object {
            group: group.to_owned(),
            version: review.kind.version.clone(),
            resource: resource.to_owned(),
            labels: labels(content)
                .map_err(|error| Box::new(Unreadable { object: None, error }))?,
        };
        let places = match images::places(workload, content) {
            Ok(places) => places,
            Err(error) => return Err(Box::new(Unreadable { object: Some(object), error })),
        };
        // An old object that cannot be read vouches for nothing.
        let old = review.old_object.as_ref().and_then(|old| images::places(workload, old).ok());
        let places = match (review.operation, old) {
            (Operation::Update, Some(old)) => images::changed(places, &old),
            _ => places,
        };
        if places.is_empty() {
            return Ok(None);
        }
        Ok(Some(Subject { object, kind: review.kind.kind.clone(), workload, places }))
    }

    /// The strictest consequence among the policies that an object can fall under; of all of them,
    /// if not even the object could be read.
    fn strictest(&self, object: Option<&Object>) -> Option<Mode> {
        let selecting =
            self.policies.iter().filter(|policy| object.is_none_or(|it| policy.selects(it)));
        strictest(selecting.map(ImagePolicy::mode))
    }

    /// Everything that can be said without asking anybody, and what then remains to be asked.
    fn sift<'a>(&'a self, subject: &'a Subject) -> (Vec<Suspect<'a>>, Vec<Finding>) {
        let mut suspects = Vec::new();
        let mut found = Vec::new();
        let strictest = self.strictest(Some(&subject.object));
        for place in &subject.places {
            if !place.known {
                let kind = &subject.kind;
                found.extend(strictest.map(|it| findings::of_unknown_place(place, kind, it)));
                continue;
            }
            // Which policies would cover it cannot be told of a name that cannot be read.
            let image: ImageRef = match place.image.parse() {
                Ok(image) => image,
                Err(error) => {
                    found.extend(strictest.map(|it| findings::of_bad_name(place, it, &error)));
                    continue;
                }
            };
            let names = ImageNames::of(&image);
            let rules = self.policies.iter().filter_map(|policy| {
                policy.rule(&names, &subject.object).map(|rule| (policy, rule))
            });
            let mut covered = false;
            let mut policies = Vec::new();
            for (policy, rule) in rules {
                covered = true;
                match rule {
                    Rule::Pass { .. } => {}
                    Rule::Fail(reasons) => {
                        let verdict = Verdict::Refuse(reasons);
                        let (name, mode) = (policy.name(), policy.mode());
                        found.extend(findings::of_verdict(place, name, mode, &verdict));
                    }
                    Rule::Judge(judge) => policies.push((policy, judge)),
                }
            }
            if !covered {
                found.extend(findings::of_no_match(place, self.no_match));
            }
            if !policies.is_empty() {
                suspects.push(Suspect { place, image, policies });
            }
        }
        (suspects, found)
    }

    async fn judge(&self, subject: &Subject, now: UnixTime, deadline: Instant) -> Vec<Finding> {
        let (suspects, mut found) = self.sift(subject);
        // Refused already: nothing that could be fetched would change that.
        if found.iter().any(|finding| finding.level == Level::Refuse) {
            return found;
        }
        let mut wanted: HashMap<&ImageRef, Vec<&Arc<Policy>>> = HashMap::new();
        for suspect in &suspects {
            let judges = wanted.entry(&suspect.image).or_default();
            for (_, policy) in &suspect.policies {
                if !judges.iter().any(|known| Arc::ptr_eq(known, policy)) {
                    judges.push(policy);
                }
            }
        }
        let learnt = ask_each(suspects.iter().map(|suspect| &suspect.image), |image| {
            let policies: Vec<_> = wanted[&image].iter().map(|policy| Arc::clone(policy)).collect();
            async move {
                match image.digest() {
                    Some(digest) => {
                        let digest = *digest;
                        let verdicts = self.verdicts(&image, digest, policies, now, deadline);
                        Learnt::Verdicts(verdicts.await)
                    }
                    None => Learnt::Digest(self.resolve(&image, deadline).await),
                }
            }
        })
        .await;
        for suspect in &suspects {
            match learnt.get(&suspect.image) {
                Some(Learnt::Digest(digest)) => found.push(refuse_tag(suspect, digest)),
                Some(Learnt::Verdicts(verdicts)) => {
                    for (policy, _) in &suspect.policies {
                        let unasked = unknown(ObstacleKind::Internal, "the verdict", "was lost");
                        let verdict = verdicts.get(policy.name()).unwrap_or(&unasked);
                        let (name, mode) = (policy.name(), policy.mode());
                        found.extend(findings::of_verdict(suspect.place, name, mode, verdict));
                    }
                }
                // Every suspect was asked about; were it not so, this still refuses.
                None => found.push(refuse_tag(
                    suspect,
                    &Err(obstacle(ObstacleKind::Internal, "the answer", "was lost")),
                )),
            }
        }
        found
    }

    async fn resolve(&self, image: &ImageRef, deadline: Instant) -> Result<Digest, Obstacle> {
        let late = |_| obstacle(ObstacleKind::TimedOut, &format!("the digest of {image}"), "");
        timeout_at(deadline, self.images.resolve(image, early(deadline))).await.map_err(late)?
    }

    /// The verdict of each policy, by its name.
    async fn verdicts(
        &self,
        image: &ImageRef,
        digest: Digest,
        policies: Vec<Arc<Policy>>,
        now: UnixTime,
        deadline: Instant,
    ) -> HashMap<String, Verdict> {
        let names: Vec<_> = policies.iter().map(|policy| policy.name.clone()).collect();
        let gathering = self.images.evidence(image, early(deadline));
        let gathered = match timeout_at(deadline, gathering).await {
            Ok(gathered) => gathered,
            Err(_) => {
                let what = format!("evidence about {image}");
                let obstacles = vec![obstacle(ObstacleKind::TimedOut, &what, "")];
                Gathered { pieces: Vec::new(), obstacles }
            }
        };
        // Cryptography takes milliseconds, which other requests' sockets need not wait for.
        let judged = tokio::task::spawn_blocking(move || {
            let artifact = Artifact::from_digest(digest);
            let (pieces, obstacles) = (&gathered.pieces, &gathered.obstacles);
            let case = Case { artifact: &artifact, pieces, obstacles };
            let verdict = |policy: Arc<Policy>| (policy.name.clone(), policy.judge(&case, now));
            policies.into_iter().map(verdict).collect::<HashMap<_, _>>()
        });
        let what = format!("the judgement of {image}");
        let failed = match timeout_at(deadline, judged).await {
            Ok(Ok(verdicts)) => return verdicts,
            // A panic in the judge is nobody's signature.
            Ok(Err(_)) => unknown(ObstacleKind::Internal, &what, "failed"),
            Err(_) => unknown(ObstacleKind::TimedOut, &what, ""),
        };
        names.into_iter().map(|name| (name, failed.clone())).collect()
    }
}

/// What becomes of a tag that a policy covers: it is refused, in a Pod as in a template, and the
/// digest is named. Pods come here pinned by [`Webhook::Mutate`]; whoever writes a template writes
/// down the digest, so that what was judged is what will run.
fn refuse_tag(suspect: &Suspect<'_>, resolved: &Result<Digest, Obstacle>) -> Finding {
    let names: Vec<_> = suspect.policies.iter().map(|(policy, _)| policy.name()).collect();
    let mode = strictest(suspect.policies.iter().map(|(policy, _)| policy.mode()));
    let mode = mode.unwrap_or(Mode::Enforce);
    findings::of_tag(suspect.place, &suspect.image, &names, mode, resolved)
}

fn strictest(modes: impl Iterator<Item = Mode>) -> Option<Mode> {
    modes.reduce(|first, next| match (first, next) {
        (Mode::Warn, Mode::Warn) => Mode::Warn,
        _ => Mode::Enforce,
    })
}

/// Asks about each image once, some at a time, whatever number of places name it.
async fn ask_each<'a, T, F: Future<Output = T>>(
    images: impl Iterator<Item = &'a ImageRef>,
    ask: impl Fn(ImageRef) -> F,
) -> HashMap<ImageRef, T> {
    let unique: std::collections::HashSet<&ImageRef> = images.collect();
    futures::stream::iter(unique.into_iter().cloned())
        .map(|image| {
            let answer = ask(image.clone());
            async move { (image, answer.await) }
        })
        .buffer_unordered(CONCURRENT_MAX)
        .collect()
        .await
}

/// When looking has to stop, so that what was found can still be judged.
fn early(deadline: Instant) -> Instant {
    deadline.checked_sub(JUDGING_TIME).unwrap_or(deadline)
}

/// The object's own labels.
fn labels(object: &Map<String, Value>) -> Result<BTreeMap<String, String>, UnreadableObject> {
    let wrong = |pointer: &str, wanted, found: &Value| UnreadableObject::WrongType {
        pointer: pointer.to_owned(),
        wanted,
        found: crate::review::type_name(found),
    };
    let field = |from: &Value, name: &str, pointer: &str| match from.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(other) => Err(wrong(pointer, "a map", other)),
    };
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(metadata @ Value::Object(_)) => metadata,
        Some(other) => return Err(wrong("/metadata", "a map", other)),
    };
    let labels = field(metadata, "labels", "/metadata/labels")?;
    let label = |(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        other => Err(wrong("/metadata/labels", "text", &other)),
    };
    labels.into_iter().map(label).collect()
}

fn obstacle(kind: ObstacleKind, what: &str, detail: &str) -> Obstacle {
    Obstacle { kind, what: what.to_owned(), detail: detail.to_owned() }
}

fn unknown(kind: ObstacleKind, what: &str, detail: &str) -> Verdict {
    Verdict::Unknown(NonEmpty::new(obstacle(kind, what, detail)), Vec::new())
}
