//! What `coverage` reports.

use crate::ui::terminal::println;
use serde::Serialize;

use super::verdict::Within;
use super::{BAD, FAINT, GOOD, UNSURE, plain};
use crate::exit::Exit;

/// Name and version of the JSON that [`print_json`] prints. A field may be added in a version; one
/// that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/coverage/v1";

/// One image.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Its place in an index, if it is told of because of that.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<Within>,
    #[serde(rename = "status", serialize_with = "status_name")]
    pub(crate) exit: Exit,
    pub(crate) signatures: Vec<Signature>,
    pub(crate) problems: Vec<String>,
}

/// One signature or attestation that holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signature {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    pub(crate) format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) predicate_type: Option<String>,
    pub(crate) log_entries: Vec<String>,
    /// What was done without, and is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) waived: Vec<verify::Check>,
    pub(crate) source: String,
}

impl Row {
    /// An image of which it could not be told.
    pub(crate) fn unknown(image: String, problems: Vec<String>) -> Self {
        let (digest, within, signatures) = (None, None, Vec::new());
        Self { image, digest, within, exit: Exit::Unknown, signatures, problems }
    }
}

fn status(exit: Exit) -> &'static str {
    match exit {
        Exit::Success => "signed",
        Exit::Unsigned => "unsigned",
        Exit::Untrusted => "untrusted",
        Exit::Unknown | Exit::Usage | Exit::Failure => "unknown",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn status_name<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status(*exit))
}

/// Prints a table: an image on each line, and below it every signature that holds, or why none
/// does; the sums last.
pub(crate) fn print_text(rows: &[Row]) {
    let width = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or_default();
    for row in rows {
        let style = match row.exit {
            Exit::Success => GOOD,
            Exit::Unsigned | Exit::Untrusted => BAD,
            Exit::Unknown | Exit::Usage | Exit::Failure => UNSURE,
        };
        let digest = row.digest.as_deref().map(short).unwrap_or_default();
        let status = status(row.exit);
        println!(
            "{style}{status:<9}{style:#}  {:width$}  {FAINT}{digest}{FAINT:#}",
            plain(&name(row))
        );
        for signature in &row.signatures {
            let by = signature.subject.as_deref().unwrap_or("the holder of the key");
            println!("{:11}{FAINT}by{FAINT:#}      {}", "", plain(by));
            let mut kept = vec![signature.format.as_str()];
            kept.extend(signature.predicate_type.as_deref());
            println!("{:11}{FAINT}as{FAINT:#}      {}", "", plain(&kept.join(", ")));
            for check in &signature.waived {
                println!("{:11}{FAINT}waived{FAINT:#}  {}: not known", "", check.title());
            }
            for entry in &signature.log_entries {
                println!("{:11}{FAINT}logged{FAINT:#}  {}", "", plain(entry));
            }
        }
        for problem in &row.problems {
            println!("{:11}{FAINT}because{FAINT:#} {}", "", plain(problem));
        }
    }
    let count = |wanted: Exit| rows.iter().filter(|row| row.exit == wanted).count();
    println!(
        "\n{} image{}: {} signed, {} untrusted, {} unsigned, {} could not be told",
        rows.len(),
        if rows.len() == 1 { "" } else { "s" },
        count(Exit::Success),
        count(Exit::Untrusted),
        count(Exit::Unsigned),
        count(Exit::Unknown),
    );
}

/// What an image is called; one of an index, by the platforms that it is for.
fn name(row: &Row) -> String {
    match &row.within {
        Some(within) if !within.platforms.is_empty() => {
            format!("  {}", within.platforms.join(", "))
        }
        Some(_) => "  no platform said".to_owned(),
        None => row.image.clone(),
    }
}

/// The beginning of a digest.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

/// Prints one document.
pub(crate) fn print_json(rows: &[Row]) {
    let document = serde_json::json!({"schema": SCHEMA, "images": rows});
    println!("{document:#}");
}
