//! Every place of an object that names an image.
//!
//! The known places of every workload kind: containers, init containers (sidecars are some of
//! them), ephemeral containers and image volumes. And the unknown ones: whatever else in the object
//! is called `image` or `reference` may be a place that a newer Kubernetes, or another kind, starts
//! an image from, so it is reported too, for the judge to refuse.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::review::{Kind, type_name};

/// Most places read in one object. A Pod with fifty containers is already a rarity.
pub const PLACES_MAX: usize = 512;

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
    /// Path to the Pod specification.
    path: &'static [&'static str],
}

const IN_TEMPLATE: &[&str] = &["spec", "template", "spec"];

const WORKLOADS: [Workload; 9] = [
    workload("Pod", "", "pods", &["spec"]),
    workload("ReplicationController", "", "replicationcontrollers", IN_TEMPLATE),
    workload("PodTemplate", "", "podtemplates", &["template", "spec"]),
    workload("ReplicaSet", "apps", "replicasets", IN_TEMPLATE),
    workload("Deployment", "apps", "deployments", IN_TEMPLATE),
    workload("StatefulSet", "apps", "statefulsets", IN_TEMPLATE),
    workload("DaemonSet", "apps", "daemonsets", IN_TEMPLATE),
    workload("Job", "batch", "jobs", IN_TEMPLATE),
    workload("CronJob", "batch", "cronjobs", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

const fn workload(
    kind: &'static str,
    group: &'static str,
    resource: &'static str,
    path: &'static [&'static str],
) -> Workload {
    Workload { kind, group, resource, path }
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
    /// More than [`PLACES_MAX`] places.
    #[error("names more than {PLACES_MAX} images")]
    TooMany,
}

/// Every place of the object, known ones first.
///
/// # Errors
/// When a part that leads to a known place has another type, or there are too many places.
pub fn places(
    workload: Option<Workload>,
    object: &Map<String, Value>,
) -> Result<Vec<Place>, UnreadableObject> {
    let mut finder = Finder { places: Vec::new(), seen: HashSet::new() };
    if let Some(workload) = workload {
        finder.workload(workload, object)?;
    }
    // What is written in these is about the object, and starts nothing.
    let content = object.iter().filter(|(name, _)| *name != "metadata" && *name != "status");
    finder.unknown_fields(content, "", "")?;
    Ok(finder.places)
}

/// The places of `new` that name another image than the same places of `old`.
#[must_use]
pub fn changed(new: Vec<Place>, old: &[Place]) -> Vec<Place> {
    let before: HashSet<_> = old.iter().map(|it| (&it.identity, &it.image)).collect();
    new.into_iter().filter(|it| !before.contains(&(&it.identity, &it.image))).collect()
}

struct Finder {
    places: Vec<Place>,
    /// Pointers to the texts of known places.
    seen: HashSet<String>,
}

type Found = Result<(), UnreadableObject>;

impl Finder {
    fn workload(&mut self, workload: Workload, object: &Map<String, Value>) -> Found {
        let mut pointer = String::new();
        let mut specification = object;
        for step in workload.path {
            pointer += &format!("/{step}");
            let Some(next) = optional(specification, step) else { return Ok(()) };
            specification = map(next, &pointer)?;
        }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            let pointer = format!("{pointer}/{list}");
            for (entry, container) in entries(specification, list, &pointer)? {
                self.text(container, "image", &entry, &identity(list, container, &entry))?;
            }
        }
        let volumes = format!("{pointer}/volumes");
        for (entry, volume) in entries(specification, "volumes", &volumes)? {
            let Some(image) = optional(volume, "image") else { continue };
            let entry = format!("{entry}/image");
            let of_volume = identity("volumes", volume, &entry);
            self.text(map(image, &entry)?, "reference", &entry, &of_volume)?;
        }
        Ok(())
    }

    /// A known place. Absent and empty are the same to Kubernetes, and name no image: in a template
    /// they are left to whoever fills it in, and the Pod that comes of it is judged.
    fn text(
        &mut self,
        holder: &Map<String, Value>,
        name: &str,
        pointer: &str,
        identity: &str,
    ) -> Found {
        let pointer = format!("{pointer}/{name}");
        self.seen.insert(pointer.clone());
        match optional(holder, name) {
            None => Ok(()),
            Some(Value::String(image)) if image.is_empty() => Ok(()),
            Some(Value::String(image)) => self.push(pointer, image, true, identity.to_owned()),
            Some(other) => Err(wrong_type(&pointer, "text", other)),
        }
    }

    fn push(&mut self, pointer: String, image: &str, known: bool, identity: String) -> Found {
        if self.places.len() == PLACES_MAX {
            return Err(UnreadableObject::TooMany);
        }
        self.places.push(Place { pointer, image: image.to_owned(), known, identity });
        Ok(())
    }

    /// Looks for what may be an image in places that are not known. The recursion is as deep as the
    /// JSON, which was parsed within `serde_json`'s limit of 128.
    fn unknown(&mut self, value: &Value, pointer: String, name: &str) -> Found {
        match value {
            Value::Object(fields) => self.unknown_fields(fields.iter(), &pointer, name),
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.unknown(item, format!("{pointer}/{index}"), name)
            }),
            Value::String(text)
                if matches!(name, "image" | "reference")
                    && !text.is_empty()
                    && !self.seen.contains(&pointer) =>
            {
                self.push(pointer.clone(), text, false, pointer)
            }
            _ => Ok(()),
        }
    }

    fn unknown_fields<'a>(
        &mut self,
        mut fields: impl Iterator<Item = (&'a String, &'a Value)>,
        pointer: &str,
        name: &str,
    ) -> Found {
        fields.try_for_each(|(key, value)| match (name, key.as_str()) {
            (name, _) if is_free(name) => Ok(()),
            // A volume of a Ceph cluster calls the name of a block device its image.
            ("rbd", "image") => Ok(()),
            (_, key) => self.unknown(value, format!("{pointer}/{}", escape(key)), key),
        })
    }
}

/// Maps whose keys are the user's own words, not fields.
fn is_free(name: &str) -> bool {
    matches!(
        name,
        "annotations"
            | "labels"
            | "matchLabels"
            | "nodeSelector"
            | "volumeAttributes"
            | "options"
            | "limits"
            | "requests"
            | "overhead"
    )
}

fn identity(list: &str, entry: &Map<String, Value>, pointer: &str) -> String {
    match entry.get("name") {
        Some(Value::String(name)) => format!("{list}\n{name}"),
        // Unnamed entries are refused by the API server; until then they are told apart by number.
        _ => format!("{list}\n{pointer}"),
    }
}

/// A field's value, unless absent or null.
fn optional<'a>(from: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    from.get(name).filter(|value| !value.is_null())
}

fn map<'a>(value: &'a Value, pointer: &str) -> Result<&'a Map<String, Value>, UnreadableObject> {
    value.as_object().ok_or_else(|| wrong_type(pointer, "a map", value))
}

/// An entry of a list, with its pointer.
type Entry<'a> = (String, &'a Map<String, Value>);

/// The maps in a list; none if the list is absent or null.
fn entries<'a>(
    from: &'a Map<String, Value>,
    name: &str,
    pointer: &str,
) -> Result<Vec<Entry<'a>>, UnreadableObject> {
    let Some(value) = optional(from, name) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| wrong_type(pointer, "a list", value))?;
    let entry = |(index, item)| {
        let pointer = format!("{pointer}/{index}");
        map(item, &pointer).map(|item| (pointer.clone(), item))
    };
    items.iter().enumerate().map(entry).collect()
}

fn wrong_type(pointer: &str, wanted: &'static str, found: &Value) -> UnreadableObject {
    UnreadableObject::WrongType { pointer: pointer.to_owned(), wanted, found: type_name(found) }
}

/// A step of a JSON pointer (RFC 6901 §3).
fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
