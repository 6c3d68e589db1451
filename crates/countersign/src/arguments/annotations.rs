//! Annotations as arguments: `KEY=VALUE`.

use std::collections::BTreeMap;

use crate::exit::Failure;

/// Reads them; of two with one key the last counts.
pub(crate) fn parse(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    texts
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Failure::usage(format!("cannot use the annotation `{text}`"))
                .hint("write it as KEY=VALUE")),
        })
        .collect()
}
