//! What is known of the objects that start Pods: where they name images, and where their users
//! write words of their own.
//!
//! Kubernetes API reference v1.35, `core/v1`, `apps/v1` and `batch/v1`. Only what matters here is
//! written down: a field that is not, is looked through.

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: whatever in it is called an image may be one.
    Nothing,
    /// A map, of which these fields are known.
    Map(&'static [(&'static str, Known)]),
    /// A list of such.
    List(&'static Known),
    /// It starts nothing, whatever is in it: a map of the user's own words, or words about the
    /// object.
    Free,
    /// The name of an image.
    Image,
    /// The name of an entry of a list, by which it is the same entry in another version.
    Name,
}

use Known::{Free, Image, List, Map, Name};

impl Known {
    /// Whether a value of another type would hide a place that names an image.
    pub(super) fn leads_to_image(&self) -> bool {
        match self {
            Self::Image => true,
            Self::Map(fields) => fields.iter().any(|(_, known)| known.leads_to_image()),
            Self::List(item) => item.leads_to_image(),
            Self::Nothing | Self::Free | Self::Name => false,
        }
    }
}

const SELECTOR: Known = Map(&[("matchLabels", Free)]);
const RESOURCES: Known = Map(&[("limits", Free), ("requests", Free)]);
/// The metadata of a template. The object's own are [`Free`] as a whole.
const METADATA: Known = Map(&[("annotations", Free), ("labels", Free)]);

const CONTAINER: Known = Map(&[("name", Name), ("image", Image), ("resources", RESOURCES)]);

const VOLUME_CLAIM: Known = Map(&[
    ("metadata", METADATA),
    ("spec", Map(&[("selector", SELECTOR), ("resources", RESOURCES)])),
]);

const VOLUME: Known = Map(&[
    ("name", Name),
    ("image", Map(&[("reference", Image)])),
    ("csi", Map(&[("volumeAttributes", Free)])),
    ("ephemeral", Map(&[("volumeClaimTemplate", VOLUME_CLAIM)])),
    ("flexVolume", Map(&[("options", Free)])),
    // A Ceph cluster calls the name of a block device its image.
    ("rbd", Map(&[("image", Free)])),
]);

const AFFINITY_TERM: Known = Map(&[("labelSelector", SELECTOR), ("namespaceSelector", SELECTOR)]);
const POD_AFFINITY: Known = Map(&[
    ("requiredDuringSchedulingIgnoredDuringExecution", List(&AFFINITY_TERM)),
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        List(&Map(&[("podAffinityTerm", AFFINITY_TERM)])),
    ),
]);

const POD: Known = Map(&[
    ("initContainers", List(&CONTAINER)),
    ("containers", List(&CONTAINER)),
    ("ephemeralContainers", List(&CONTAINER)),
    ("volumes", List(&VOLUME)),
    ("affinity", Map(&[("podAffinity", POD_AFFINITY), ("podAntiAffinity", POD_AFFINITY)])),
    ("nodeSelector", Free),
    ("overhead", Free),
    ("resources", RESOURCES),
    ("topologySpreadConstraints", List(&Map(&[("labelSelector", SELECTOR)]))),
]);

const TEMPLATE: Known = Map(&[("metadata", METADATA), ("spec", POD)]);
const TEMPLATE_AND_SELECTOR: Known = Map(&[("selector", SELECTOR), ("template", TEMPLATE)]);

/// An object of which nothing is known but what every object has.
pub(super) const OBJECT: Known = Map(&[("metadata", Free), ("status", Free)]);

/// A Pod.
pub(super) const POD_OBJECT: Known = Map(&[("metadata", Free), ("status", Free), ("spec", POD)]);

/// A `PodTemplate`.
pub(super) const TEMPLATE_OBJECT: Known =
    Map(&[("metadata", Free), ("status", Free), ("template", TEMPLATE)]);

/// Whatever keeps Pods of a template running that it finds by a selector, or runs them once.
pub(super) const SET_OBJECT: Known =
    Map(&[("metadata", Free), ("status", Free), ("spec", TEMPLATE_AND_SELECTOR)]);

/// A `ReplicationController`, whose selector is a map of labels.
pub(super) const REPLICATION_CONTROLLER: Known = Map(&[
    ("metadata", Free),
    ("status", Free),
    ("spec", Map(&[("selector", Free), ("template", TEMPLATE)])),
]);

/// A `StatefulSet`.
pub(super) const STATEFUL_SET: Known = Map(&[
    ("metadata", Free),
    ("status", Free),
    (
        "spec",
        Map(&[
            ("selector", SELECTOR),
            ("template", TEMPLATE),
            ("volumeClaimTemplates", List(&VOLUME_CLAIM)),
        ]),
    ),
]);

/// A `CronJob`.
pub(super) const CRON_JOB: Known = Map(&[
    ("metadata", Free),
    ("status", Free),
    (
        "spec",
        Map(&[("jobTemplate", Map(&[("metadata", METADATA), ("spec", TEMPLATE_AND_SELECTOR)]))]),
    ),
]);
