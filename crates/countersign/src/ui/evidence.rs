//! What stands in a piece of evidence, believed by nobody.

use crate::ui::terminal::println;
use evidence::bundle::{Content, SignerMaterial};
use evidence::certificate::SubjectName;
use evidence::{Certificate, Evidence, LogEntry, Statement, Timestamp};
use serde_json::{Map, Value, json};

use super::{FAINT, Output, plain};

/// Name and version of the JSON that is printed. A field may be added in a version; one that is
/// removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/evidence/v1";

/// Prints it.
pub(crate) fn print(output: Output, evidence: &Evidence) {
    let document = document(evidence);
    match output {
        Output::Json => println!("{document:#}"),
        Output::Text => {
            print_text(&document, 0);
            println!(
                "\n{FAINT}Nothing of this is verified: `countersign explain` does that.{FAINT:#}"
            );
        }
    }
}

/// The same as the JSON, one member on a line; lists without brackets.
fn print_text(value: &Value, depth: usize) {
    let Value::Object(members) = value else { return };
    for (name, member) in members.iter().filter(|(name, _)| *name != "schema") {
        let indent = depth * 2;
        match member {
            Value::Object(_) => {
                println!("{:indent$}{FAINT}{}{FAINT:#}", "", plain(name));
                print_text(member, depth + 1);
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let number = format!("{} {}", plain(name), index + 1);
                    match item {
                        Value::Object(_) => {
                            println!("{:indent$}{FAINT}{number}{FAINT:#}", "");
                            print_text(item, depth + 1);
                        }
                        other => {
                            println!("{:indent$}{FAINT}{number}{FAINT:#}  {}", "", scalar(other))
                        }
                    }
                }
            }
            Value::String(text) if text.contains('\n') => {
                println!("{:indent$}{FAINT}{}{FAINT:#}", "", plain(name));
                // The bar keeps a line of it from passing for a member.
                for line in text.lines() {
                    println!("{:indent$}  {FAINT}|{FAINT:#} {}", "", plain(line));
                }
            }
            other => println!("{:indent$}{FAINT}{}{FAINT:#}  {}", "", plain(name), scalar(other)),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

fn document(evidence: &Evidence) -> Value {
    json!({
        "schema": SCHEMA,
        "format": evidence.format.to_string(),
        "signer": signer(&evidence.signer),
        "content": content(&evidence.content),
        "logEntries": evidence.entries.iter().map(entry).collect::<Vec<_>>(),
        "timestamps": evidence.timestamps.iter().map(|bytes| timestamp(bytes)).collect::<Vec<_>>(),
    })
}

fn signer(signer: &SignerMaterial) -> Value {
    match signer {
        SignerMaterial::Certificate(certificate) => certified(certificate),
        SignerMaterial::PublicKeyHint(hint) => json!({"publicKeyHint": hint}),
    }
}

fn certified(certificate: &Certificate) -> Value {
    let names: Vec<_> = certificate.names().iter().filter_map(SubjectName::as_str).collect();
    let extensions = certificate.fulcio().iter();
    let extensions: Map<_, _> =
        extensions.map(|(extension, text)| (extension.name().to_owned(), text.into())).collect();
    json!({
        "names": names,
        "issuer": certificate.fulcio().issuer(),
        "notBefore": certificate.not_before().to_string(),
        "notAfter": certificate.not_after().to_string(),
        "key": certificate.public_key().kind().to_string(),
        "serial": hex::encode(certificate.serial()),
        "extensions": extensions,
    })
}

fn content(content: &Content) -> Value {
    match content {
        Content::Message { digest, .. } => {
            json!({"kind": "signature", "digest": digest.map(|digest| digest.to_string())})
        }
        Content::Envelope(envelope) => match Statement::parse(&envelope.payload) {
            Ok(statement) => {
                let subjects = statement.subjects.iter().map(|subject| {
                    let digests = subject.digest.iter();
                    let digests: Vec<_> =
                        digests.map(|(name, hex)| format!("{name}:{hex}")).collect();
                    json!({"name": subject.name, "digests": digests})
                });
                json!({
                    "kind": "attestation",
                    "predicateType": statement.predicate_type,
                    "subjects": subjects.collect::<Vec<_>>(),
                })
            }
            Err(error) => json!({
                "kind": "envelope",
                "payloadType": envelope.payload_type,
                "notAStatement": super::chain(&error),
            }),
        },
        Content::SimpleSigning { payload, .. } => json!({
            "kind": "simple signing payload",
            "payload": serde_json::from_slice::<Value>(payload).unwrap_or_default(),
        }),
    }
}

fn entry(entry: &LogEntry) -> Value {
    json!({
        "kind": format!("{} {}", entry.kind, entry.version),
        "logIndex": entry.log_index,
        "logId": hex::encode(&entry.log_id),
        "integratedTime": entry.integrated_time.map(|time| time.to_string()),
        "promise": entry.promise.is_some(),
        "inclusionProof": entry.proof.as_ref().map(|proof| json!({
            "leafIndex": proof.leaf_index.0,
            "treeSize": proof.tree_size.0,
            "checkpoint": proof.checkpoint,
        })),
    })
}

fn timestamp(bytes: &[u8]) -> Value {
    match Timestamp::parse(bytes) {
        Ok(timestamp) => json!({
            "time": timestamp.time().to_string(),
            "serial": hex::encode(timestamp.serial()),
            "policy": timestamp.policy().to_string(),
        }),
        Err(error) => json!({"malformed": super::chain(&error)}),
    }
}
