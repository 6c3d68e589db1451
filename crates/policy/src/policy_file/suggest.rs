//! `policy suggest`: the narrowest policy that images known to be good satisfy, as text for a
//! person to read and to keep.
//!
//! Says of a build only what stays from one build to the next; what every image has in common
//! becomes a requirement, and signers that differ are alternatives. Never guesses beyond one rule:
//! releases that differ in nothing but their tag are taken for releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use evidence::certificate::FulcioExtension;
use verify::wanted::SIGNATURE_PREDICATE_TYPE;
use verify::{Said, VerifiedClaim};

/// What one good image has to show.
#[derive(Clone, Debug, Default)]
pub struct Good {
    /// Its claims, each proven.
    pub claims: Vec<Fact>,
}

/// What a proven claim tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Who said it.
    pub signer: Signer,
    /// The predicate type of an attestation; `None` for a signature.
    pub attestation: Option<String>,
}

/// A signer as a policy names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Certified for an identity.
    Identity {
        /// The identity provider.
        issuer: String,
        /// The name.
        subject: String,
        /// What the certificate says about the build.
        extensions: Vec<(FulcioExtension, String)>,
    },
    /// The holder of a key, in PEM.
    Key(String),
}

impl From<&VerifiedClaim> for Fact {
    fn from(claim: &VerifiedClaim) -> Self {
        let signer = claim.signer();
        let signer = match (signer.issuer(), signer.subject()) {
            (Some(issuer), Some(subject)) => {
                let value = |extension: &FulcioExtension| {
                    Some((*extension, signer.extensions()?.get(*extension)?.to_owned()))
                };
                Signer::Identity {
                    issuer: issuer.to_owned(),
                    subject: subject.to_owned(),
                    extensions: FulcioExtension::ALL.iter().filter_map(value).collect(),
                }
            }
            _ => Signer::Key(signer.key().to_pem()),
        };
        let attestation = match claim.said() {
            Said::Statement(statement) if statement.predicate_type != SIGNATURE_PREDICATE_TYPE => {
                Some(statement.predicate_type.clone())
            }
            _ => None,
        };
        Self { signer, attestation }
    }
}

/// Why there is nothing to suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuggestion {
    /// No image at all.
    #[error("there is no image to learn from")]
    NoImage,
    /// An image about which nothing is proven.
    #[error("image {index} has no signature or attestation that verifies")]
    NothingProven {
        /// Position of the image, counted from 0.
        index: usize,
    },
    /// Each is vouched for, but in no kind of claim are they alike.
    #[error("the images have neither signatures nor a type of attestation in common")]
    NothingInCommon,
}

/// What a certificate says that stays the same from one build to the next; the rest names one
/// commit or one run.
const LASTING: [FulcioExtension; 9] = [
    FulcioExtension::SourceRepositoryUri,
    FulcioExtension::SourceRepositoryIdentifier,
    FulcioExtension::SourceRepositoryOwnerUri,
    FulcioExtension::SourceRepositoryOwnerIdentifier,
    FulcioExtension::SourceRepositoryRef,
    FulcioExtension::BuildTrigger,
    FulcioExtension::RunnerEnvironment,
    FulcioExtension::SourceRepositoryVisibilityAtSigning,
    FulcioExtension::DeploymentEnvironment,
];

/// Suggests a policy, as YAML.
///
/// # Errors
/// When there is nothing that all images have in common.
pub fn suggest(images: &[Good]) -> Result<String, NoSuggestion> {
    if images.is_empty() {
        return Err(NoSuggestion::NoImage);
    }
    if let Some(index) = images.iter().position(|image| image.claims.is_empty()) {
        return Err(NoSuggestion::NothingProven { index });
    }
    let kinds = |image: &Good| -> BTreeSet<Option<String>> {
        image.claims.iter().map(|fact| fact.attestation.clone()).collect()
    };
    let common = images.iter().map(kinds).reduce(|common, next| &common & &next);
    let common = common.unwrap_or_default();
    if common.is_empty() {
        return Err(NoSuggestion::NothingInCommon);
    }
    let mut text = String::from("version: 1\nrequirements:\n");
    for kind in &common {
        requirement(&mut text, kind.as_deref(), &signers(images, kind.as_deref()))
            .expect("a String takes everything");
    }
    Ok(text)
}

/// The signers of one kind of claim, each once, with what all its claims have in common.
fn signers(images: &[Good], kind: Option<&str>) -> Vec<Signer> {
    let facts = images.iter().flat_map(|image| &image.claims);
    let facts = facts.filter(|fact| fact.attestation.as_deref() == kind);
    let mut keys = BTreeSet::new();
    let mut identities: BTreeMap<(String, String), Vec<&Vec<_>>> = BTreeMap::new();
    for fact in facts {
        match &fact.signer {
            Signer::Key(pem) => {
                keys.insert(pem.clone());
            }
            Signer::Identity { issuer, subject, extensions } => {
                let identity = (issuer.clone(), subject.clone());
                identities.entry(identity).or_default().push(extensions);
            }
        }
    }
    let identities = identities.into_iter().map(|((issuer, subject), seen)| Signer::Identity {
        issuer,
        subject,
        extensions: in_common(&seen),
    });
    identities.chain(keys.into_iter().map(Signer::Key)).collect()
}

fn in_common(seen: &[&Vec<(FulcioExtension, String)>]) -> Vec<(FulcioExtension, String)> {
    let Some(first) = seen.first() else { return Vec::new() };
    let everywhere = |entry: &&(FulcioExtension, String)| {
        LASTING.contains(&entry.0) && seen.iter().all(|extensions| extensions.contains(entry))
    };
    first.iter().filter(everywhere).cloned().collect()
}

fn requirement(text: &mut String, kind: Option<&str>, signers: &[Signer]) -> std::fmt::Result {
    match kind {
        None => writeln!(text, "  - name: signed\n    claim: signature")?,
        Some(kind) => {
            writeln!(text, "  - name: {}", quoted(&format!("attested {kind}")))?;
            writeln!(text, "    attestation: {}\n    which: any", quoted(kind))?;
        }
    }
    writeln!(text, "    signers:")?;
    for group in releases(signers) {
        match group {
            Group::One(Signer::Key(pem)) => {
                writeln!(text, "      - key:\n          data: |")?;
                pem.lines().try_for_each(|line| writeln!(text, "            {line}"))?;
            }
            Group::One(Signer::Identity { issuer, subject, extensions }) => {
                writeln!(text, "      - issuer: {}", quoted(issuer))?;
                writeln!(text, "        subject: {}", quoted(subject))?;
                write_extensions(text, extensions)?;
            }
            Group::Releases { issuer, before_tag, extensions } => {
                let expression = format!("^{}[^/@]+$", regex::escape(before_tag));
                writeln!(text, "      - issuer: {}", quoted(issuer))?;
                writeln!(text, "        # any release: only the tag differed")?;
                writeln!(text, "        subject: {{regExp: {}}}", quoted(&expression))?;
                write_extensions(text, &extensions)?;
            }
        }
    }
    Ok(())
}

fn write_extensions(
    text: &mut String,
    extensions: &[(FulcioExtension, String)],
) -> std::fmt::Result {
    if extensions.is_empty() {
        return Ok(());
    }
    writeln!(text, "        extensions:")?;
    extensions.iter().try_for_each(|(extension, value)| {
        writeln!(text, "          {}: {}", extension.name(), quoted(value))
    })
}

enum Group<'s> {
    One(&'s Signer),
    /// Several whose names differ in nothing but the tag at their end.
    Releases {
        issuer: &'s str,
        before_tag: &'s str,
        extensions: Vec<(FulcioExtension, String)>,
    },
}

/// What stands before the tag in a workflow's name (GitHub and GitLab write it the same).
fn before_tag(subject: &str) -> Option<&str> {
    const TAG: &str = "@refs/tags/";
    let (before, tag) = subject.split_once(TAG)?;
    let plain = !tag.is_empty() && !tag.contains(['/', '@']);
    plain.then(|| &subject[..before.len() + TAG.len()])
}

fn releases(signers: &[Signer]) -> Vec<Group<'_>> {
    let mut tagged: BTreeMap<(&str, &str), Vec<&Vec<_>>> = BTreeMap::new();
    for signer in signers {
        if let Signer::Identity { issuer, subject, extensions } = signer
            && let Some(before) = before_tag(subject)
        {
            tagged.entry((issuer, before)).or_default().push(extensions);
        }
    }
    tagged.retain(|_, seen| seen.len() > 1);
    let mut groups = Vec::new();
    for signer in signers {
        let group = match signer {
            Signer::Identity { issuer, subject, .. } => before_tag(subject)
                .and_then(|before| tagged.get_key_value(&(issuer.as_str(), before)))
                .map(|(key, _)| *key),
            Signer::Key(_) => None,
        };
        if group.is_none() {
            groups.push(Group::One(signer));
        }
    }
    let groups_of_tags = tagged.into_iter().map(|((issuer, before_tag), seen)| Group::Releases {
        issuer,
        before_tag,
        extensions: in_common(&seen),
    });
    groups.extend(groups_of_tags);
    groups
}

/// A YAML text in double quotes, which escape as JSON does (YAML 1.2 §7.3.1), and what YAML does not
/// take for printable (§5.1) besides.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
        } else {
            quoted.push(c);
        }
    }
    quoted
}
