//! The policy file's text into the judge's types. Every problem of the text is gathered, with its
//! line; a field that is not known refuses the whole policy.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;
use std::sync::Arc;

use crypto::PublicKey;
use evidence::certificate::FulcioExtension;
use evidence::{Digest, PredicateType};
use verify::{
    Authority, ClaimKind, ClaimPattern, Demands, IdentityPattern, NonEmpty, Pattern, Policy,
    Predicate, Requirement, Rule, TrustRoot, Which,
};

use super::{ReadFile, VERSION};
use crate::fields::{ENTRIES_MAX, Fields, Found, Place};
use crate::language::Language;
use crate::problem::{Problem, Problems, Wrong};
use crate::quoted::cut;
use crate::regexp::Regexp;
use crate::yaml::{self, Value};

/// Most signers that a threshold may want.
pub const THRESHOLD_MAX: u8 = 64;

/// Longest age that a policy may allow, in seconds: a hundred years.
pub const AGE_MAX_S: u64 = 100 * 365 * 86_400;

const CLAIMS: &[&str] = &["any", "signature"];
const WHICH: &[&str] = &["any", "all", "latest"];
const PROGRAMS: &[&str] = &["cel", "cue", "rego", "regoV0", "file"];
const AGE: &[&str] = &["a whole number of `m`, `h`, `d` or `w`, as `30d`"];

pub(super) fn policy(
    text: &str,
    name: &str,
    roots: &Arc<TrustRoot>,
    read_file: &ReadFile<'_>,
) -> Result<Policy, Problems> {
    let documents = yaml::documents(text)?;
    let mut reader = Reader { found: Vec::new(), roots, read_file };
    let policy = match documents.as_slice() {
        [document] => reader.policy(&Place::root(document), name),
        [] => {
            reader.found.push(Problem { line: None, field: String::new(), wrong: Wrong::NoPolicy });
            None
        }
        [_, second, ..] => {
            let wrong = Wrong::TooMany { max: 1 };
            reader.found.push(Problem::at(second.line, "a second document", wrong));
            None
        }
    };
    Problems::check(reader.found, policy)
}

struct Reader<'r> {
    found: Found,
    roots: &'r Arc<TrustRoot>,
    read_file: &'r ReadFile<'r>,
}

impl Reader<'_> {
    fn policy(&mut self, place: &Place<'_>, name: &str) -> Option<Policy> {
        let mut fields = place.map(&mut self.found)?;
        self.version(&mut fields);
        let name = fields.text("name", &mut self.found).unwrap_or(name).to_owned();
        let mut names = BTreeSet::new();
        let mut requirements = Vec::new();
        for place in fields.require_list("requirements", &mut self.found) {
            requirements.extend(self.requirement(&place, Stance::Require, &mut names));
        }
        if let Some(place) = fields.get("deny") {
            requirements.extend(self.deny(&place, &mut names));
        }
        fields.close(&mut self.found);
        Some(Policy { name, requirements: NonEmpty::from_vec(requirements)? })
    }

    fn version(&mut self, fields: &mut Fields<'_>) {
        let Some(place) = fields.require("version", &mut self.found) else { return };
        let found = match &place.node.value {
            Value::Number(number) => number,
            Value::Text(text) => text,
            other => {
                let found = other.kind();
                self.found.push(place.problem(Wrong::WrongType { wanted: "a number", found }));
                return;
            }
        };
        if found != VERSION {
            let found = found.clone();
            self.found.push(place.problem(Wrong::NotOneOf { wanted: &[VERSION], found }));
        }
    }

    fn requirement<'p>(
        &mut self,
        place: &Place<'p>,
        stance: Stance,
        names: &mut BTreeSet<&'p str>,
    ) -> Option<Requirement> {
        let mut fields = place.map(&mut self.found)?;
        let name = fields.require_text("name", &mut self.found)?;
        if !names.insert(name) {
            self.found.push(fields.problem("name", Wrong::DuplicateName));
        }
        let signers = fields.require_list("signers", &mut self.found);
        let any_of = self.signers(name, &signers);
        let (kind, is_attestation) = self.kind(&mut fields);
        let annotations = self.annotations(&mut fields);
        let age_max_s = self.age(&mut fields);
        let mut rule = Rule { age_max_s, ..Rule::any() };
        match stance {
            Stance::Require => {
                rule.which = self.which(&mut fields, is_attestation);
                rule.signers_min = self.threshold(&mut fields, rule.which);
            }
            Stance::Deny => rule.which = Which::None,
        }
        let programs = fields.list("programs", &mut self.found);
        if !programs.is_empty() && !is_attestation {
            let wrong = Wrong::Needs { other: "attestation" };
            self.found.push(fields.problem("programs", wrong));
        }
        rule.predicates = programs.iter().filter_map(|place| self.program(place)).collect();
        fields.close(&mut self.found);
        let claim = ClaimPattern { kind, annotations };
        Some(Requirement { any_of: NonEmpty::from_vec(any_of)?, claim, rule })
    }

    fn kind(&mut self, fields: &mut Fields<'_>) -> (ClaimKind, bool) {
        let claim = self.word(fields, "claim", CLAIMS);
        let Some(text) = fields.text("attestation", &mut self.found) else {
            let any = claim == Some("any");
            return (if any { ClaimKind::Any } else { ClaimKind::Signature }, false);
        };
        if claim.is_some() {
            self.found.push(fields.problem("claim", Wrong::Beside { beside: "attestation" }));
        }
        let predicate_type = match PredicateType::parse(text) {
            Ok(kind) => kind.uri().to_owned(),
            Err(error) => {
                self.found.push(fields.problem("attestation", Wrong::PredicateType(error)));
                String::new()
            }
        };
        (ClaimKind::Attestation { predicate_type }, true)
    }

    fn which(&mut self, fields: &mut Fields<'_>, is_attestation: bool) -> Which {
        let word = self.word(fields, "which", WHICH);
        // Of several attestations, which one counts is the author's to say: `any` lets an old scan
        // stand beside a new one that failed, `all` lets an old one fail for ever.
        if is_attestation && fields.get("which").is_none() {
            self.found.push(fields.problem("which", Wrong::Missing));
        }
        match word {
            Some("all") => Which::All,
            Some("latest") => Which::Latest,
            _ => Which::Any,
        }
    }

    fn threshold(&mut self, fields: &mut Fields<'_>, which: Which) -> NonZeroU8 {
        let Some(place) = fields.get("threshold") else { return NonZeroU8::MIN };
        let number = match &place.node.value {
            Value::Number(number) => number.parse::<NonZeroU8>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.get() <= THRESHOLD_MAX);
        let Some(number) = number else {
            const WANTED: &[&str] = &["a whole number from 1 to 64"];
            let found = match &place.node.value {
                Value::Number(text) | Value::Text(text) => text.clone(),
                other => other.kind().to_owned(),
            };
            self.found.push(place.problem(Wrong::NotOneOf { wanted: WANTED, found }));
            return NonZeroU8::MIN;
        };
        // The latest claim has one signer.
        if number > NonZeroU8::MIN && which == Which::Latest {
            self.found.push(place.problem(Wrong::Beside { beside: "which: latest" }));
        }
        number
    }

    fn age(&mut self, fields: &mut Fields<'_>) -> Option<u64> {
        let text = fields.text("maxAge", &mut self.found)?;
        let age = seconds(text);
        if age.is_none() {
            let found = text.to_owned();
            self.found.push(fields.problem("maxAge", Wrong::NotOneOf { wanted: AGE, found }));
        }
        age
    }

    fn annotations(&mut self, fields: &mut Fields<'_>) -> BTreeMap<String, String> {
        let Some(place) = fields.get("annotations") else { return BTreeMap::new() };
        let Value::Map(entries) = &place.node.value else {
            let found = place.node.value.kind();
            self.found.push(place.problem(Wrong::WrongType { wanted: "a map", found }));
            return BTreeMap::new();
        };
        if entries.len() > ENTRIES_MAX {
            self.found.push(place.problem(Wrong::TooMany { max: ENTRIES_MAX }));
        }
        let mut annotations = BTreeMap::new();
        for (name, node) in entries.iter().take(ENTRIES_MAX) {
            match &node.value {
                Value::Text(value) => {
                    annotations.insert(name.clone(), value.clone());
                }
                other => {
                    let place = Place { node, path: format!("{}.{}", place.path, cut(name)) };
                    let found = other.kind();
                    self.found.push(place.problem(Wrong::WrongType { wanted: "text", found }));
                }
            }
        }
        annotations
    }

    /// The signers of a requirement. Identities are one authority: any of them suffices.
    fn signers(&mut self, name: &str, places: &[Place<'_>]) -> Vec<Authority> {
        let mut identities = Vec::new();
        let mut authorities = Vec::new();
        for place in places {
            let Some(mut fields) = place.map(&mut self.found) else { continue };
            if let Some(key) = fields.get("key") {
                let key = self.key(&key).map(Box::new);
                let roots = Arc::clone(self.roots);
                authorities.extend(key.map(|key| Authority::Key {
                    name: name.to_owned(),
                    roots,
                    key,
                    demands: Demands::all(),
                }));
            } else {
                identities.extend(self.identity(&mut fields));
            }
            fields.close(&mut self.found);
        }
        if let Some(identities) = NonEmpty::from_vec(identities) {
            let (name, roots) = (name.to_owned(), Arc::clone(self.roots));
            let demands = Demands::all();
            authorities.insert(0, Authority::Keyless { name, roots, identities, demands });
        }
        authorities
    }

    fn identity(&mut self, fields: &mut Fields<'_>) -> Option<IdentityPattern> {
        let issuer = fields.require("issuer", &mut self.found);
        let issuer = issuer.and_then(|place| self.pattern(&place));
        let subject = fields.require("subject", &mut self.found);
        let subject = subject.and_then(|place| self.pattern(&place));
        let mut extensions = Vec::new();
        if let Some(place) = fields.get("extensions")
            && let Some(mut fields) = place.map(&mut self.found)
        {
            for extension in FulcioExtension::ALL {
                let Some(place) = fields.get(extension.name()) else { continue };
                extensions.extend(self.pattern(&place).map(|pattern| (*extension, pattern)));
            }
            fields.close(&mut self.found);
        }
        Some(IdentityPattern { issuer: issuer?, subject: subject?, extensions })
    }

    /// Text to be equal to, or `{regExp: …}` to match as a whole.
    fn pattern(&mut self, place: &Place<'_>) -> Option<Pattern> {
        if let Value::Map(_) = &place.node.value {
            let mut fields = place.map(&mut self.found)?;
            let text = fields.require_text("regExp", &mut self.found);
            fields.close(&mut self.found);
            let field = Place { node: place.node, path: format!("{}.regExp", place.path) };
            return match Regexp::parse(text?) {
                Ok(expression) if expression.is_anchored() => {
                    Some(Pattern::Regex(expression.program().clone()))
                }
                // What matches anywhere matches what an attacker registers.
                Ok(_) => {
                    self.found.push(field.problem(Wrong::NotAnchored));
                    None
                }
                Err(error) => {
                    self.found.push(field.problem(Wrong::Regexp(error)));
                    None
                }
            };
        }
        let before = self.found.len();
        let text = place.text(&mut self.found);
        let pattern = text.and_then(|text| Pattern::exact(text).ok());
        if pattern.is_none() && self.found.len() == before {
            self.found.push(place.problem(Wrong::Missing));
        }
        pattern
    }

    fn key(&mut self, place: &Place<'_>) -> Option<PublicKey> {
        let mut fields = place.map(&mut self.found)?;
        let data = fields.text("data", &mut self.found).map(str::as_bytes).map(<[u8]>::to_vec);
        let file = fields.text("file", &mut self.found);
        let content = match (data, file) {
            (Some(data), None) => Some(("data", data)),
            (None, Some(file)) => self.file(&fields, file).map(|content| ("file", content)),
            (data, file) => {
                let both = data.is_some() && file.is_some();
                let found = if both { vec!["data", "file"] } else { Vec::new() };
                let wrong = Wrong::NotExactlyOne { of: &["data", "file"], found };
                self.found.push(place.problem(wrong));
                None
            }
        };
        let key = content.and_then(|(field, content)| match PublicKey::from_any_pem(&content) {
            Ok(key) => Some(key),
            Err(error) => {
                self.found.push(fields.problem(field, Wrong::Key(error)));
                None
            }
        });
        fields.close(&mut self.found);
        key
    }

    fn file(&mut self, fields: &Fields<'_>, name: &str) -> Option<Vec<u8>> {
        match (self.read_file)(name) {
            Ok(content) => Some(content),
            Err(why) => {
                self.found.push(fields.problem("file", Wrong::File { why }));
                None
            }
        }
    }

    fn program(&mut self, place: &Place<'_>) -> Option<Arc<dyn Predicate>> {
        let mut fields = place.map(&mut self.found)?;
        let mut given = Vec::new();
        for name in PROGRAMS {
            given.extend(fields.text(name, &mut self.found).map(|text| (*name, text)));
        }
        let loaded = match given.as_slice() {
            [("file", name)] => self.program_file(&fields, name),
            [(field, text)] => {
                let language = match *field {
                    "cel" => Language::Cel,
                    "cue" => Language::Cue,
                    "rego" => Language::RegoV1,
                    _ => Language::RegoV0,
                };
                self.load(&fields, field, language, &place.path, text)
            }
            _ => {
                let found = given.iter().map(|(name, _)| *name).collect();
                let wrong = Wrong::NotExactlyOne { of: PROGRAMS, found };
                self.found.push(place.problem(wrong));
                None
            }
        };
        fields.close(&mut self.found);
        loaded
    }

    fn program_file(&mut self, fields: &Fields<'_>, name: &str) -> Option<Arc<dyn Predicate>> {
        let Some(language) = Language::of_file(name) else {
            const WANTED: &[&str] = &["a file called `….rego`", "`….cel`", "`….cue`"];
            let wrong = Wrong::NotOneOf { wanted: WANTED, found: name.to_owned() };
            self.found.push(fields.problem("file", wrong));
            return None;
        };
        let content = self.file(fields, name)?;
        let Ok(text) = String::from_utf8(content) else {
            let why = "it is not UTF-8 text".to_owned();
            self.found.push(fields.problem("file", Wrong::File { why }));
            return None;
        };
        self.load(fields, "file", language, name, &text)
    }

    fn load(
        &mut self,
        fields: &Fields<'_>,
        field: &'static str,
        language: Language,
        name: &str,
        text: &str,
    ) -> Option<Arc<dyn Predicate>> {
        match language.load(name, text) {
            Ok(program) => Some(Arc::new(program)),
            Err(error) => {
                self.found.push(fields.problem(field, Wrong::Program(error)));
                None
            }
        }
    }

    fn deny<'p>(&mut self, place: &Place<'p>, names: &mut BTreeSet<&'p str>) -> Vec<Requirement> {
        let Some(mut fields) = place.map(&mut self.found) else { return Vec::new() };
        let mut requirements = Vec::new();
        for place in self.some(&mut fields, "claims") {
            requirements.extend(self.requirement(&place, Stance::Deny, names));
        }
        let mut digests = Vec::new();
        for place in self.some(&mut fields, "digests") {
            let Some(text) = place.text(&mut self.found) else { continue };
            match text.parse::<Digest>() {
                Ok(digest) => digests.push(digest),
                Err(_) => {
                    const WANTED: &[&str] = &["a digest such as `sha256:` and 64 hex digits"];
                    let found = text.to_owned();
                    self.found.push(place.problem(Wrong::NotOneOf { wanted: WANTED, found }));
                }
            }
        }
        let message = fields.text("message", &mut self.found);
        if digests.is_empty() && requirements.is_empty() && self.found.is_empty() {
            self.found.push(place.problem(Wrong::Missing));
        }
        fields.close(&mut self.found);
        if !digests.is_empty() {
            let (name, message) =
                ("deny".to_owned(), message.unwrap_or("no reason given").to_owned());
            let list = Authority::DenyList { name, digests, message };
            requirements.push(Requirement::any_claim_by(NonEmpty::new(list)));
        }
        requirements
    }

    /// A list that may be absent, and is not empty where it stands.
    fn some<'p>(&mut self, fields: &mut Fields<'p>, name: &'static str) -> Vec<Place<'p>> {
        if fields.get(name).is_none() {
            return Vec::new();
        }
        fields.require_list(name, &mut self.found)
    }

    /// One of the words allowed; `None` if absent or, after a problem, another.
    fn word(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        wanted: &'static [&'static str],
    ) -> Option<&'static str> {
        let found = fields.text(name, &mut self.found)?;
        let word = wanted.iter().find(|word| **word == found).copied();
        if word.is_none() {
            let found = found.to_owned();
            self.found.push(fields.problem(name, Wrong::NotOneOf { wanted, found }));
        }
        word
    }
}

/// What an entry says of the claims it describes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// They must be there.
    Require,
    /// They must not.
    Deny,
}

/// `90m`, `12h`, `30d`, `2w`.
fn seconds(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit: u64 = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let number = digits.parse::<u64>().ok().filter(|_| plain)?;
    number.checked_mul(unit).filter(|age| *age <= AGE_MAX_S)
}
