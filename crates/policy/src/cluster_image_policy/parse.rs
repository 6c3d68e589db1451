//! Text into valid policies. Each method of the reader, here and in `authority`, reads one Go type
//! of policy-controller and obeys its `Validate` method.

mod authority;

use std::collections::HashSet;
use std::fmt;

use super::{ClusterImagePolicy, LabelRule, MatchResource, Mode};
use crate::fields::{ENTRIES_MAX, Fields, Found, Place};
use crate::glob::ClusterImagePolicyGlob;
use crate::problem::{Problem, Problems, Wrong};
use crate::quoted::cut;
use crate::yaml;

const API_VERSIONS: [&str; 2] = ["policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"];

/// Resources that admission can judge: policy-controller's seven, and the two it leaves out.
pub(super) const RESOURCES: &[&str] = &[
    "pods",
    "replicasets",
    "deployments",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "replicationcontrollers",
    "podtemplates",
];

/// Fields of `metav1.ObjectMeta`, so that what `kubectl get -o yaml` prints can be read back.
const METADATA: [&str; 14] = [
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Longest object name, in bytes (RFC 1123 subdomain, as Kubernetes has it).
const NAME_SIZE_MAX: usize = 253;

/// Policies read from one text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// At least one, in the order of the text.
    pub policies: Vec<ClusterImagePolicy>,
    /// What is valid and perhaps not meant.
    pub remarks: Vec<Remark>,
}

/// Something valid that its author may want to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Line in the text, counted from 1.
    pub line: usize,
    /// The field.
    pub field: String,
    /// What was noticed.
    pub remarked: Remarked,
}

/// What can be noticed about a valid policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remarked {
    /// A predicate type that is no URI.
    ShortPredicateType,
    /// A regular expression that also accepts values which merely contain a match.
    Unanchored,
    /// A URL that chooses nothing: the trust root given to the controller is what is believed.
    UrlNotContacted,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.remarked {
            Remarked::ShortPredicateType => "deprecated value, a URI is wanted here",
            Remarked::Unanchored => {
                "matches anywhere in a value, as in policy-controller; write ^…$ to match all of it"
            }
            Remarked::UrlNotContacted => {
                "not contacted; certificates and log entries are judged by the trust root given"
            }
        };
        write!(f, "line {}: {}: {text}", self.line, self.field)
    }
}

/// Reads every ClusterImagePolicy in a text of one or more YAML or JSON documents, also inside of
/// a `List`. `controller_namespace` is the only one that a `secretRef` may name.
///
/// # Errors
/// With everything found wrong in the text; also when it holds no policy, or anything else.
pub fn parse(text: &str, controller_namespace: &str) -> Result<Parsed, Problems> {
    let documents = yaml::documents(text)?;
    let mut reader = Reader { found: Vec::new(), remarks: Vec::new(), controller_namespace };
    let mut policies = Vec::new();
    for document in &documents {
        reader.document(&Place::root(document), &mut policies);
    }
    if policies.is_empty() && reader.found.is_empty() {
        reader.found.push(Problem { line: None, field: String::new(), wrong: Wrong::NoPolicy });
    }
    let mut names = HashSet::new();
    for policy in &policies {
        if !names.insert(policy.name.as_str()) {
            let field = format!("metadata.name `{}`", cut(&policy.name));
            reader.found.push(Problem { line: None, field, wrong: Wrong::DuplicateName });
        }
    }
    drop(names);
    Problems::check(reader.found, Some(Parsed { policies, remarks: reader.remarks }))
}

struct Reader<'n> {
    found: Found,
    remarks: Vec<Remark>,
    controller_namespace: &'n str,
}

impl Reader<'_> {
    fn document(&mut self, place: &Place<'_>, policies: &mut Vec<ClusterImagePolicy>) {
        let Some(mut fields) = place.map(&mut self.found) else { return };
        let version = fields.require_text("apiVersion", &mut self.found).unwrap_or_default();
        let kind = fields.require_text("kind", &mut self.found).unwrap_or_default();
        match (version, kind) {
            ("", _) | (_, "") => {}
            ("v1", "List") => self.list(fields, policies),
            (version, "ClusterImagePolicyList") if API_VERSIONS.contains(&version) => {
                self.list(fields, policies);
            }
            (version, "ClusterImagePolicy") if API_VERSIONS.contains(&version) => {
                if let Some(policy) = self.policy(&mut fields) {
                    policies.push(policy);
                }
                fields.close(&mut self.found);
            }
            (_, "TrustRoot") => {
                self.found.push(fields.problem("kind", Wrong::Unsupported));
            }
            (version, "ClusterImagePolicy") => {
                let found = version.to_owned();
                let wrong = Wrong::NotOneOf { wanted: &API_VERSIONS, found };
                self.found.push(fields.problem("apiVersion", wrong));
            }
            (_, kind) => {
                let found = kind.to_owned();
                let wrong = Wrong::NotOneOf { wanted: &["ClusterImagePolicy"], found };
                self.found.push(fields.problem("kind", wrong));
            }
        }
    }

    fn list(&mut self, mut fields: Fields<'_>, policies: &mut Vec<ClusterImagePolicy>) {
        fields.get("metadata");
        for item in fields.list("items", &mut self.found) {
            // A list within a list is no list that Kubernetes makes, and would recurse.
            let kind = item.map(&mut self.found).and_then(|mut item| item.get("kind"));
            let nested = kind.and_then(|kind| kind.text(&mut self.found)).is_some_and(is_list);
            if nested {
                let found = "a list".to_owned();
                let wrong = Wrong::NotOneOf { wanted: &["ClusterImagePolicy"], found };
                self.found.push(item.problem(wrong));
            } else {
                self.document(&item, policies);
            }
        }
        fields.close(&mut self.found);
    }

    /// Everything of a policy but `apiVersion` and `kind`.
    fn policy(&mut self, fields: &mut Fields<'_>) -> Option<ClusterImagePolicy> {
        // Written by the controller; says nothing about what is wanted.
        fields.get("status");
        let name = fields.require("metadata", &mut self.found).and_then(|it| self.metadata(&it));
        let spec = fields.require("spec", &mut self.found)?;
        let mut spec = spec.map(&mut self.found)?;
        let images = self.images(&mut spec);
        // policy-controller can be told to accept none; then nobody could ever vouch.
        let authorities = spec.require_list("authorities", &mut self.found);
        let authorities = authorities
            .iter()
            .enumerate()
            .filter_map(|(index, place)| self.authority(index, place))
            .collect();
        let mode = self.word(&mut spec, "mode", &["enforce", "warn"], |word| match word {
            "warn" => Mode::Warn,
            _ => Mode::Enforce,
        });
        let matches = spec.list("match", &mut self.found);
        let matches = matches.iter().filter_map(|place| self.match_resource(place)).collect();
        let policy = spec.get("policy").and_then(|place| self.program(&place, true));
        spec.close(&mut self.found);
        let mode = mode.unwrap_or_default();
        Some(ClusterImagePolicy { name: name?, mode, images, matches, authorities, policy })
    }

    fn metadata(&mut self, place: &Place<'_>) -> Option<String> {
        let mut fields = place.map(&mut self.found)?;
        METADATA.iter().for_each(|name| drop(fields.get(name)));
        let name = fields.require_text("name", &mut self.found);
        if name.is_some_and(|name| !is_subdomain(name)) {
            let found = name.unwrap_or_default().to_owned();
            let wanted = &["a name of lower-case letters, digits, `-` and `.`"];
            self.found.push(fields.problem("name", Wrong::NotOneOf { wanted, found }));
        }
        fields.close(&mut self.found);
        name.map(str::to_owned)
    }

    fn images(&mut self, spec: &mut Fields<'_>) -> Vec<ClusterImagePolicyGlob> {
        let mut globs = Vec::new();
        for place in spec.require_list("images", &mut self.found) {
            let Some(mut fields) = place.map(&mut self.found) else { continue };
            if let Some(text) = fields.require_text("glob", &mut self.found) {
                match text.parse() {
                    Ok(glob) => globs.push(glob),
                    Err(error) => self.found.push(fields.problem("glob", Wrong::Glob(error))),
                }
            }
            fields.close(&mut self.found);
        }
        globs
    }

    fn match_resource(&mut self, place: &Place<'_>) -> Option<MatchResource> {
        let mut fields = place.map(&mut self.found)?;
        let group = fields.text("group", &mut self.found).unwrap_or_default().to_owned();
        let version = fields.text("version", &mut self.found).unwrap_or_default().to_owned();
        let resource = self.word(&mut fields, "resource", RESOURCES, str::to_owned);
        let resource = resource.unwrap_or_default();
        let selector = fields.get("selector");
        if selector.is_some() && group.is_empty() && version.is_empty() && resource.is_empty() {
            let reason = "it needs a resource beside it";
            self.found.push(fields.problem("selector", Wrong::Selector { reason }));
        }
        let selector = selector.map(|place| self.selector(&place)).unwrap_or_default();
        fields.close(&mut self.found);
        Some(MatchResource { group, version, resource, selector })
    }

    fn selector(&mut self, place: &Place<'_>) -> Vec<LabelRule> {
        let Some(mut fields) = place.map(&mut self.found) else { return Vec::new() };
        let mut rules = Vec::new();
        if let Some(labels) = fields.get("matchLabels") {
            let yaml::Value::Map(entries) = &labels.node.value else {
                let found = labels.node.value.kind();
                self.found.push(labels.problem(Wrong::WrongType { wanted: "a map", found }));
                return Vec::new();
            };
            if entries.len() > ENTRIES_MAX {
                self.found.push(labels.problem(Wrong::TooMany { max: ENTRIES_MAX }));
                return Vec::new();
            }
            for (key, node) in entries {
                let path = format!("{}.{}", labels.path, cut(key));
                let place = Place { node, path };
                // An empty label value is a value, so this is not `Place::text`'s question.
                let yaml::Value::Text(value) = &node.value else {
                    let found = node.value.kind();
                    self.found.push(place.problem(Wrong::WrongType { wanted: "text", found }));
                    continue;
                };
                self.label(&place, key, std::slice::from_ref(value));
                rules.push(LabelRule::In { key: key.clone(), values: vec![value.clone()] });
            }
        }
        for place in fields.list("matchExpressions", &mut self.found) {
            rules.extend(self.label_rule(&place));
        }
        fields.close(&mut self.found);
        rules
    }

    fn label_rule(&mut self, place: &Place<'_>) -> Option<LabelRule> {
        const OPERATORS: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist"];
        let mut fields = place.map(&mut self.found)?;
        let key = fields.require_text("key", &mut self.found).map(str::to_owned);
        let operator = self.require_word(&mut fields, "operator", OPERATORS, str::to_owned);
        let mut values = Vec::new();
        for place in fields.list("values", &mut self.found) {
            match &place.node.value {
                yaml::Value::Text(value) => values.push(value.clone()),
                other => {
                    let found = other.kind();
                    self.found.push(place.problem(Wrong::WrongType { wanted: "text", found }));
                }
            }
        }
        fields.close(&mut self.found);
        let (key, operator) = (key?, operator?);
        self.label(place, &key, &values);
        // Kubernetes: `LabelSelectorAsSelector`.
        let reason = match (operator.as_str(), values.is_empty()) {
            ("In" | "NotIn", true) => "the operators In and NotIn need values",
            ("Exists" | "DoesNotExist", false) => "the operators Exists and DoesNotExist have none",
            _ => "",
        };
        if !reason.is_empty() {
            self.found.push(place.problem(Wrong::Selector { reason }));
            return None;
        }
        Some(match operator.as_str() {
            "In" => LabelRule::In { key, values },
            "NotIn" => LabelRule::NotIn { key, values },
            "Exists" => LabelRule::Exists { key },
            _ => LabelRule::DoesNotExist { key },
        })
    }

    fn label(&mut self, place: &Place<'_>, key: &str, values: &[String]) {
        if !is_label_key(key) {
            let reason =
                "a key is up to 63 letters, digits, `-_.`, after an optional domain and `/`";
            self.found.push(place.problem(Wrong::Selector { reason }));
        }
        if !values.iter().all(|value| value.is_empty() || is_label_name(value)) {
            let reason = "a value is up to 63 letters, digits and inner `-_.`";
            self.found.push(place.problem(Wrong::Selector { reason }));
        }
    }

    fn url(&mut self, fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
        let url = fields.text(name, &mut self.found)?;
        if !is_url(url, &["http", "https"]) {
            let wanted = "an http or https URL with a host";
            let wrong = Wrong::Url { wanted, found: url.to_owned() };
            self.found.push(fields.problem(name, wrong));
        }
        self.remark(fields, name, Remarked::UrlNotContacted);
        Some(url.to_owned())
    }

    /// One of the words allowed, made into a value; `None` if absent or, after a problem, wrong.
    fn word<T>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        wanted: &'static [&'static str],
        value: impl FnOnce(&str) -> T,
    ) -> Option<T> {
        let word = fields.text(name, &mut self.found)?;
        if wanted.contains(&word) {
            return Some(value(word));
        }
        let wrong = Wrong::NotOneOf { wanted, found: word.to_owned() };
        self.found.push(fields.problem(name, wrong));
        None
    }

    /// [`Self::word`], whose absence is a problem.
    fn require_word<T>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        wanted: &'static [&'static str],
        value: impl FnOnce(&str) -> T,
    ) -> Option<T> {
        let before = self.found.len();
        let word = self.word(fields, name, wanted, value);
        if word.is_none() && self.found.len() == before {
            self.found.push(fields.problem(name, Wrong::Missing));
        }
        word
    }

    fn remark(&mut self, fields: &Fields<'_>, name: &str, remarked: Remarked) {
        // The place is what a problem with that field would name.
        let at = fields.problem(name, Wrong::Missing);
        self.remarks.push(Remark { line: at.line.unwrap_or(1), field: at.field, remarked });
    }
}

fn is_list(kind: &str) -> bool {
    kind == "List" || kind == "ClusterImagePolicyList"
}

/// RFC 1123 subdomain.
fn is_subdomain(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= NAME_SIZE_MAX && name.split('.').all(label)
}

/// Kubernetes' qualified names: up to 63 characters, alphanumeric at both ends.
fn is_label_name(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| ends(c) || "-_.".contains(c))
        && name.starts_with(ends)
        && name.ends_with(ends)
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_label_name(name),
        None => is_label_name(key),
    }
}

/// A scheme, a host, and no space or control character. No URL of a policy is ever contacted.
fn is_url(text: &str, schemes: &[&str]) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    printable
        && text.split_once("://").is_some_and(|(scheme, rest)| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            schemes.contains(&scheme) && !host.is_empty() && !host.starts_with(':')
        })
}
