//! Every place of an object that names an image.
//!
//! The known places of every workload kind: containers, init containers (sidecars are some of
//! them), ephemeral containers and image volumes. And the unknown ones: whatever else in the object
//! is called `image` or `reference` may be a place that a newer Kubernetes, or another kind, starts
//! an image from, so it is reported too, for the judge to refuse. Only where Kubernetes has maps of
//! the user's own words, such as labels, are those words no fields.

mod find;
mod known;

use std::collections::HashSet;

use crate::kind::Kind;
use known::Known;

/// Most places read in one object. A Pod with fifty containers is already a rarity.
pub const PLACES_MAX: usize = 512;

/// Longest JSON pointer to a place, in bytes. Those to known places have 60.
pub const POINTER_SIZE_MAX: usize = 4096;

/// A place that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// JSON pointer to the text (RFC 6901), e.g. `/spec/containers/0/image`.
    pub pointer: String,
    /// The text.
    pub image: String,
    /// Whether this place is known to name an image.
    pub known: bool,
    /// Which list it is in, and which entry by name: what makes it the same place in another
    /// version of the object.
    identity: String,
}

impl Place {
    /// The place as people write it, e.g. `spec.containers[0].image`.
    #[must_use]
    pub fn field(&self) -> String {
        let mut field = String::new();
        for step in self.pointer.split('/').skip(1) {
            if step.bytes().all(|byte| byte.is_ascii_digit()) {
                field += &format!("[{step}]");
            } else {
                let dot = if field.is_empty() { "" } else { "." };
                let step = step.replace("~1", "/").replace("~0", "~");
                field.extend(dot.chars().chain(step.chars().flat_map(char::escape_debug)));
            }
        }
        field
    }
}

/// A workload kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    kind: &'static str,
    group: &'static str,
    resource: &'static str,
    known: Known,
}

const WORKLOADS: [Workload; 9] = [
    workload("Pod", "", "pods", known::POD_OBJECT),
    workload("ReplicationController", "", "replicationcontrollers", known::REPLICATION_CONTROLLER),
    workload("PodTemplate", "", "podtemplates", known::TEMPLATE_OBJECT),
    workload("ReplicaSet", "apps", "replicasets", known::SET_OBJECT),
    workload("Deployment", "apps", "deployments", known::SET_OBJECT),
    workload("StatefulSet", "apps", "statefulsets", known::STATEFUL_SET),
    workload("DaemonSet", "apps", "daemonsets", known::SET_OBJECT),
    workload("Job", "batch", "jobs", known::SET_OBJECT),
    workload("CronJob", "batch", "cronjobs", known::CRON_JOB),
];

const fn workload(
    kind: &'static str,
    group: &'static str,
    resource: &'static str,
    known: Known,
) -> Workload {
    Workload { kind, group, resource, known }
}

impl Workload {
    /// The workload of that kind; `None` for every other kind. The API server converts objects to
    /// the version that the webhook's rules name (`matchPolicy: Equivalent`), which is `v1`; another
    /// version might have other fields, so its images are not known places.
    #[must_use]
    pub fn of(kind: &Kind) -> Option<Self> {
        let same =
            |it: &&Self| it.kind == kind.kind && it.group == kind.group && kind.version == "v1";
        WORKLOADS.iter().find(same).copied()
    }

    /// Whether this is the Pod itself, not a template for some.
    #[must_use]
    pub fn is_pod(&self) -> bool {
        self.kind == "Pod"
    }

    /// API group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// Resource in plural.
    #[must_use]
    pub fn resource(&self) -> &'static str {
        self.resource
    }
}

/// An object in which images cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableObject {
    /// A value of another type than Kubernetes has there.
    #[error("{pointer}: wanted {wanted}, found {found}")]
    WrongType {
        /// JSON pointer to the value.
        pointer: String,
        /// The type it has in Kubernetes.
        wanted: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A field that stands twice: readers would disagree on which one counts.
    #[error("{pointer} stands twice")]
    Twice {
        /// JSON pointer to the field.
        pointer: String,
    },
    /// More than [`PLACES_MAX`] places.
    #[error("names more than {PLACES_MAX} images")]
    TooMany,
    /// A place whose pointer is longer than [`POINTER_SIZE_MAX`].
    #[error("names an image in a field whose path is longer than {POINTER_SIZE_MAX} bytes")]
    TooLong,
    /// More labels than are read, or longer ones than Kubernetes knows.
    #[error("has more than {max} labels, or longer ones than any that Kubernetes takes")]
    TooManyLabels {
        /// The most read.
        max: usize,
    },
    /// A value that is not understood, most likely because it is nested deeper than 128.
    #[error("a value cannot be read: {reason}")]
    Malformed {
        /// Why.
        reason: String,
    },
}

/// Every place of an object, which is given as JSON, known ones first, each in the object's order.
///
/// # Errors
/// When a part that leads to a known place has another type or stands twice, or there is too much
/// to be read.
pub fn places(workload: Option<Workload>, object: &str) -> Result<Vec<Place>, UnreadableObject> {
    find::find(object, workload.map_or(known::OBJECT, |workload| workload.known))
}

/// What the places of an object named before it was changed.
#[derive(Debug)]
pub struct Before<'a>(HashSet<(&'a str, &'a str)>);

impl<'a> Before<'a> {
    /// Takes note of an old object's places.
    #[must_use]
    pub fn of(old: &'a [Place]) -> Self {
        Self(old.iter().map(|it| (it.identity.as_str(), it.image.as_str())).collect())
    }

    /// Whether the same place named the same image.
    #[must_use]
    pub fn held(&self, place: &Place) -> bool {
        self.0.contains(&(place.identity.as_str(), place.image.as_str()))
    }
}
