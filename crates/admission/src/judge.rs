//! The judge at the door: which images of a review are new, which policies cover them, what the
//! verdicts are; in this order, so that nothing is fetched that decides nothing.
//!
//! - What the API server will store is judged (`object`); `oldObject` only tells what is unchanged,
//!   and what is unchanged was judged when it came, or runs already. So a finalizer can be removed,
//!   a Deployment scaled and a status written while the registry is down, and an image changed on
//!   an object that is being deleted is judged all the same. But only a policy that covered the
//!   image in the old object has judged it: one that a new label brings it under has not.
//! - No decision rests on owner references, annotations, the user or the verb: whoever may create a
//!   Pod may write what he likes there.
//! - All policies must be met. A warning never stands in for a refusal, nor a refusal for *could
//!   not tell*.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evidence::image::ImageRef;
use evidence::{Digest, UnixTime};
use futures::StreamExt;
use policy::cluster_image_policy::{ImageNames, ImagePolicy, Mode, Object, Rule};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use verify::{Artifact, Case, NonEmpty, Obstacle, ObstacleKind, Policy, Verdict};

use crate::answer::{Answer, Patch};
use crate::findings::{self, Finding, Level, NoMatch};
use crate::images::{Before, Place, UnreadableObject, Workload};
use crate::kind::Kind;
use crate::memory::{Held, Memory, TIERS};
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
    memory: Memory,
}

/// Why a review gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It is none, and its UID, by which it could be refused, cannot be read.
    #[error("not an AdmissionReview")]
    Bad(#[from] BadReview),
    /// Others were still being read when it was due.
    #[error("too many reviews are being read at once")]
    Busy,
    /// Reading it failed.
    #[error("the review was lost while it was read")]
    Lost,
}

/// The images of a review that have to be looked at.
struct Subject {
    object: Object,
    /// The object as it was, as far as it can vouch for anything.
    old: Option<Object>,
    kind: String,
    workload: Option<Workload>,
    places: Vec<Seen>,
}

/// A place, and whether it named the same image before.
struct Seen {
    place: Place,
    before: bool,
}

/// An object in which images cannot be found, as far as it could be read.
struct Unreadable {
    object: Option<Object>,
    error: UnreadableObject,
}

/// An image that a policy has to judge, with every place that names it.
struct Suspect<'a> {
    seen: &'a Seen,
    image: ImageRef,
    policies: Vec<(&'a ImagePolicy, &'a Arc<Policy>)>,
}

/// What was learnt about one image.
enum Learnt {
    Verdicts(Verdicts),
    Digest(Result<Digest, Obstacle>),
}

/// What each policy says. By the policy itself, not by its name: nothing here keeps two policies
/// from having one name, and then one could answer for the other.
struct Verdicts(Vec<(Arc<Policy>, Verdict)>);

impl Verdicts {
    fn of(&self, policy: &Arc<Policy>) -> Option<&Verdict> {
        let known = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, policy));
        known.map(|(_, verdict)| verdict)
    }

    fn all_admit(&self) -> bool {
        self.0.iter().all(|(_, verdict)| matches!(verdict, Verdict::Admit(_)))
    }
}

impl<I: Images> Admission<I> {
    /// Judges under these policies.
    #[must_use]
    pub fn new(policies: Vec<ImagePolicy>, images: I, no_match: NoMatch) -> Self {
        Self { policies, images, no_match, memory: Memory::new() }
    }

    /// Answers a review, at `deadline` at the latest. What is not known by then is not admitted
    /// under a policy that is enforced. `body` is given up as soon as it is read.
    ///
    /// # Errors
    /// When not even the review's UID can be read; a review that is bad otherwise is refused. And
    /// when others are still being read at `deadline`.
    pub async fn answer(
        &self,
        webhook: Webhook,
        body: impl AsRef<[u8]> + Send + 'static,
        now: UnixTime,
        deadline: Instant,
    ) -> Result<Answer, Unanswered> {
        let review = match self.read(body, deadline).await? {
            Ok(review) => review,
            Err(BadReview { uid: Some(uid), problem }) => {
                return Ok(Answer::refuse(
                    &uid,
                    &format!("the review cannot be judged: {problem}"),
                ));
            }
            Err(bad) => return Err(Unanswered::Bad(bad)),
        };
        let answer = match webhook {
            Webhook::Mutate => self.mutate(&review, deadline).await,
            Webhook::Validate => self.validate(&review, now, deadline).await,
        };
        Ok(answer.about(&review))
    }

    /// Reads a review where that keeps nobody's socket waiting, a few at a time.
    async fn read(
        &self,
        body: impl AsRef<[u8]> + Send + 'static,
        deadline: Instant,
    ) -> Result<Result<Review, BadReview>, Unanswered> {
        let turn = timeout_at(deadline, self.memory.reading()).await;
        let turn = turn.map_err(|_| Unanswered::Busy)?;
        let reading = tokio::task::spawn_blocking(move || {
            let review = Review::parse(body.as_ref());
            drop((body, turn));
            review
        });
        reading.await.map_err(|_| Unanswered::Lost)
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
        // What runs already is not started anew because a label changed.
        let tags = suspects.iter().filter(|it| !it.seen.before && it.image.digest().is_none());
        let tags: Vec<_> = tags.collect();
        let learnt = ask_each(tags.iter().map(|suspect| &suspect.image), |image| async move {
            self.resolve(&image, deadline).await
        })
        .await;
        let patches = tags.iter().filter_map(|suspect| {
            let digest = learnt.get(&suspect.image)?.as_ref().ok()?;
            let place = &suspect.seen.place;
            let image = findings::pinned(&place.image, &suspect.image, digest);
            Some(Patch { pointer: place.pointer.clone(), image })
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
        let object = |labels| object_of(&review.kind, workload, labels);
        let unreadable = |object, error: &UnreadableObject| {
            Box::new(Unreadable { object, error: error.clone() })
        };
        let labels = content.labels.as_ref().map_err(|error| unreadable(None, error))?;
        let object_now = object(labels.clone());
        let places = match &content.places {
            Ok(places) => places,
            Err(error) => return Err(unreadable(Some(object_now), error)),
        };
        // An old object that cannot be read vouches for nothing.
        let old = review.old_object.as_ref().filter(|_| review.operation == Operation::Update);
        let old = old.and_then(|old| Some((old.labels.as_ref().ok()?, old.places.as_ref().ok()?)));
        let before = Before::of(old.map(|(_, places)| places.as_slice()).unwrap_or_default());
        let seen = |place: &Place| Seen { place: place.clone(), before: before.held(place) };
        Ok(Some(Subject {
            object: object_now,
            old: old.map(|(labels, _)| object(labels.clone())),
            kind: review.kind.kind.clone(),
            workload,
            places: places.iter().map(seen).collect(),
        }))
    }

    /// The strictest consequence among the policies that an object can fall under; of all of them,
    /// if not even the object could be read.
    fn strictest(&self, object: Option<&Object>) -> Option<Mode> {
        let selecting =
            self.policies.iter().filter(|policy| object.is_none_or(|it| policy.selects(it)));
        strictest(selecting.map(ImagePolicy::mode))
    }

    /// The same for a place that could not be looked at closer: the policies that could have looked
    /// at it in the old object had their say.
    fn strictest_about(&self, subject: &Subject, seen: &Seen) -> Option<Mode> {
        let old = subject.old.as_ref().filter(|_| seen.before);
        let selecting = self.policies.iter().filter(|policy| {
            policy.selects(&subject.object) && !old.is_some_and(|old| policy.selects(old))
        });
        strictest(selecting.map(ImagePolicy::mode))
    }

    /// Everything that can be said without asking anybody, and what then remains to be asked.
    fn sift<'a>(&'a self, subject: &'a Subject) -> (Vec<Suspect<'a>>, Vec<Finding>) {
        let mut suspects = Vec::new();
        let mut found = Vec::new();
        for seen in &subject.places {
            let place = &seen.place;
            if !place.known {
                let (mode, kind) = (self.strictest_about(subject, seen), &subject.kind);
                found.extend(mode.map(|mode| findings::of_unknown_place(place, kind, mode)));
                continue;
            }
            // Which policies would cover it cannot be told of a name that cannot be read.
            let image: ImageRef = match place.image.parse() {
                Ok(image) => image,
                Err(error) => {
                    let mode = self.strictest_about(subject, seen);
                    found.extend(mode.map(|mode| findings::of_bad_name(place, mode, &error)));
                    continue;
                }
            };
            let names = ImageNames::of(&image);
            let old = subject.old.as_ref().filter(|_| seen.before);
            let judged_before =
                |policy: &&ImagePolicy| old.is_some_and(|old| policy.rule(&names, old).is_some());
            let mut covered = false;
            let mut policies = Vec::new();
            for policy in &self.policies {
                let Some(rule) = policy.rule(&names, &subject.object) else { continue };
                covered = true;
                if judged_before(&policy) {
                    continue;
                }
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
            // That no policy covers it is news only if one did before.
            let is_news = old.is_none() || self.policies.iter().any(|it| judged_before(&it));
            if !covered && is_news {
                found.extend(findings::of_no_match(place, self.no_match));
            }
            if !policies.is_empty() {
                suspects.push(Suspect { seen, image, policies });
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
        let one_large = &Semaphore::new(1);
        let learnt = ask_each(suspects.iter().map(|suspect| &suspect.image), |image| {
            let policies: Vec<_> = wanted[&image].iter().map(|policy| Arc::clone(policy)).collect();
            async move {
                match image.digest() {
                    Some(digest) => {
                        let asked =
                            Asked { image: &image, digest: *digest, policies, now, deadline };
                        Learnt::Verdicts(self.verdicts(asked, one_large).await)
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
                    for (policy, judge) in &suspect.policies {
                        let unasked = unknown(ObstacleKind::Internal, "the verdict", "was lost");
                        let verdict = verdicts.of(judge).unwrap_or(&unasked);
                        let (name, mode) = (policy.name(), policy.mode());
                        found.extend(findings::of_verdict(
                            &suspect.seen.place,
                            name,
                            mode,
                            verdict,
                        ));
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

    /// The verdict of each policy: under a little evidence, and under more of it only where there is
    /// more and the little was not enough.
    async fn verdicts(&self, asked: Asked<'_>, one_large: &Semaphore) -> Verdicts {
        let what = format!("evidence about {}", asked.image);
        let mut verdicts = Verdicts(Vec::new());
        for (number, tier) in TIERS.iter().enumerate() {
            let is_last = number + 1 == TIERS.len();
            let room = async {
                // One review must not take all the room that there is for the largest.
                let own = if is_last { one_large.acquire().await.ok() } else { None };
                (own, self.memory.room(number).await)
            };
            let Ok((_own, room)) = timeout_at(early(asked.deadline), room).await else {
                return asked.all(&unknown(ObstacleKind::Busy, &what, tier.why_busy));
            };
            let gathering = self.images.evidence(asked.image, tier.size, early(asked.deadline));
            let gathered = match timeout_at(asked.deadline, gathering).await {
                Ok(gathered) => gathered,
                Err(_) => Gathered {
                    obstacles: vec![obstacle(ObstacleKind::TimedOut, &what, "")],
                    ..Gathered::default()
                },
            };
            let left_out = gathered.left_out;
            verdicts = self.judge_evidence(&asked, gathered, room).await;
            if verdicts.all_admit() || !left_out {
                break;
            }
        }
        verdicts
    }

    async fn judge_evidence(&self, asked: &Asked<'_>, gathered: Gathered, room: Held) -> Verdicts {
        let (image, digest, now, deadline) = (asked.image, asked.digest, asked.now, asked.deadline);
        let what = format!("the judgement of {image}");
        let Ok(turn) = timeout_at(deadline, self.memory.judging()).await else {
            return asked.all(&unknown(ObstacleKind::Busy, &what, ""));
        };
        let policies = asked.policies.clone();
        // Cryptography takes milliseconds, which other requests' sockets need not wait for.
        let judged = tokio::task::spawn_blocking(move || {
            let artifact = Artifact::from_digest(digest);
            let (pieces, obstacles) = (&gathered.pieces, &gathered.obstacles);
            let case = Case { artifact: &artifact, pieces, obstacles };
            let verdict = |policy: Arc<Policy>| {
                let verdict = policy.judge(&case, now);
                (policy, verdict)
            };
            let verdicts = Verdicts(policies.into_iter().map(verdict).collect());
            drop((gathered, room, turn));
            verdicts
        });
        match timeout_at(deadline, judged).await {
            Ok(Ok(verdicts)) => verdicts,
            // A panic in the judge is nobody's signature.
            Ok(Err(_)) => asked.all(&unknown(ObstacleKind::Internal, &what, "failed")),
            Err(_) => asked.all(&unknown(ObstacleKind::TimedOut, &what, "")),
        }
    }
}

/// What is asked about one image.
struct Asked<'a> {
    image: &'a ImageRef,
    digest: Digest,
    policies: Vec<Arc<Policy>>,
    now: UnixTime,
    deadline: Instant,
}

impl Asked<'_> {
    /// The same verdict of every policy.
    fn all(&self, verdict: &Verdict) -> Verdicts {
        let policies = self.policies.iter();
        Verdicts(policies.map(|policy| (Arc::clone(policy), verdict.clone())).collect())
    }
}

fn object_of(
    kind: &Kind,
    workload: Option<Workload>,
    labels: std::collections::BTreeMap<String, String>,
) -> Object {
    let (group, resource) = match workload {
        Some(workload) => (workload.group(), workload.resource()),
        None => (kind.group.as_str(), ""),
    };
    let (group, resource) = (group.to_owned(), resource.to_owned());
    Object { group, version: kind.version.clone(), resource, labels }
}

/// What becomes of a tag that a policy covers: it is refused, in a Pod as in a template, and the
/// digest is named. Pods come here pinned by [`Webhook::Mutate`]; whoever writes a template writes
/// down the digest, so that what was judged is what will run.
fn refuse_tag(suspect: &Suspect<'_>, resolved: &Result<Digest, Obstacle>) -> Finding {
    let names: Vec<_> = suspect.policies.iter().map(|(policy, _)| policy.name()).collect();
    let mode = strictest(suspect.policies.iter().map(|(policy, _)| policy.mode()));
    let mode = mode.unwrap_or(Mode::Enforce);
    findings::of_tag(&suspect.seen.place, &suspect.image, &names, mode, resolved)
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

fn obstacle(kind: ObstacleKind, what: &str, detail: &str) -> Obstacle {
    Obstacle { kind, what: what.to_owned(), detail: detail.to_owned() }
}

fn unknown(kind: ObstacleKind, what: &str, detail: &str) -> Verdict {
    Verdict::Unknown(NonEmpty::new(obstacle(kind, what, detail)), Vec::new())
}
