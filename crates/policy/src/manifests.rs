//! The images that Kubernetes manifests name.

use crate::yaml::{self, Node, Value, YamlError};

/// Lists of containers, whatever kind of workload they are in (Kubernetes API, `PodSpec`).
const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Every image of every container and image volume in the manifests (YAML or JSON), in the order
/// they stand there.
///
/// # Errors
/// When the text is no YAML, or exceeds the bounds of this crate.
pub fn images(text: &str) -> Result<Vec<String>, YamlError> {
    let mut images = Vec::new();
    for document in yaml::documents(text)? {
        collect(&document, &mut images);
    }
    Ok(images)
}

/// Recursion ends: the tree is at most [`yaml::DEPTH_MAX`] deep.
fn collect(node: &Node, images: &mut Vec<String>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| collect(item, images)),
        Value::Map(members) => {
            for (name, member) in members {
                if CONTAINER_LISTS.contains(&name.as_str()) {
                    images.extend(items(member).filter_map(|item| text(get(item, "image")?)));
                } else if name == "volumes" {
                    let references = items(member)
                        .filter_map(|volume| text(get(get(volume, "image")?, "reference")?));
                    images.extend(references);
                } else {
                    collect(member, images);
                }
            }
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn items(node: &Node) -> impl Iterator<Item = &Node> {
    match &node.value {
        Value::List(items) => items.iter(),
        _ => [].iter(),
    }
}

fn get<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Map(members) = &node.value else { return None };
    members.iter().find_map(|(key, member)| (key == name).then_some(member))
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}
