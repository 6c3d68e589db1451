//! Authorities, and everything under them; and the policy program over all of them.

use super::super::repository;
use super::super::{
    Attestation, Authority, AuthorityKind, Identity, KeyHash, KeyReference, KeySource, Keyless,
    Language, Pattern, Program, ProgramText, Source, Static, TimestampAuthority, TransparencyLog,
};
use super::{Reader, Remarked, is_url};
use crate::fields::{Fields, Place};
use crate::problem::Wrong;
use crate::regexp::Regexp;

/// Short names that cosign once gave to predicate types; still read, with a remark.
const SHORT_PREDICATE_TYPES: [&str; 7] =
    ["custom", "slsaprovenance", "spdx", "spdxjson", "cyclonedx", "link", "vuln"];

impl Reader<'_> {
    pub(super) fn authority(&mut self, index: usize, place: &Place<'_>) -> Option<Authority> {
        const ONE_OF: &[&str] = &["key", "keyless", "static"];
        let mut fields = place.map(&mut self.found)?;
        let name = fields.text("name", &mut self.found);
        let name = name.map_or_else(|| format!("authority-{index}"), str::to_owned);
        let source = fields.list("source", &mut self.found);
        let ctlog = fields.get("ctlog");
        let timestamp = fields.get("rfc3161timestamp");
        let attestations = fields.list("attestations", &mut self.found);
        let of_kind = ONE_OF.iter().map(|kind| (*kind, fields.get(kind)));
        let given: Vec<_> = of_kind.filter_map(|(kind, place)| Some((kind, place?))).collect();
        let kind = match &given[..] {
            [("key", place)] => self.key(place).map(AuthorityKind::Key),
            [("keyless", place)] => self.keyless(place).map(AuthorityKind::Keyless),
            [("static", place)] => self.statically(place).map(AuthorityKind::Static),
            given => {
                let found = given.iter().map(|(kind, _)| *kind).collect();
                self.found.push(place.problem(Wrong::NotExactlyOne { of: ONE_OF, found }));
                None
            }
        };
        if matches!(given[..], [("static", _)]) {
            // A static decision looks at no signature, so what says where and how would be a lie.
            let beside = "static";
            for (field, given) in [
                ("attestations", !attestations.is_empty()),
                ("source", !source.is_empty()),
                ("ctlog", ctlog.is_some()),
                ("rfc3161timestamp", timestamp.is_some()),
            ] {
                if given {
                    self.found.push(fields.problem(field, Wrong::Beside { beside }));
                }
            }
        }
        if source.len() > 1 {
            self.found.push(fields.problem("source", Wrong::TooMany { max: 1 }));
        }
        let source = source.first().and_then(|place| self.source(place));
        let ctlog = ctlog.and_then(|place| self.ctlog(&place));
        let timestamp = timestamp.and_then(|place| {
            let mut fields = place.map(&mut self.found)?;
            let trust_root = fields.text("trustRootRef", &mut self.found).map(str::to_owned);
            fields.close(&mut self.found);
            Some(TimestampAuthority { trust_root })
        });
        let attestations =
            attestations.iter().filter_map(|place| self.attestation(place)).collect();
        // Both formats are told apart by looking, so either word is kept by reading both.
        self.word(&mut fields, "signatureFormat", &["legacy", "bundle"], |_| ());
        fields.close(&mut self.found);
        Some(Authority { name, kind: kind?, source, ctlog, timestamp, attestations })
    }

    fn statically(&mut self, place: &Place<'_>) -> Option<Static> {
        let mut fields = place.map(&mut self.found)?;
        let message = fields.text("message", &mut self.found).map(str::to_owned);
        let action =
            self.require_word(&mut fields, "action", &["pass", "fail"], |word| match word {
                "pass" => Static::Pass,
                _ => Static::Fail { message },
            });
        fields.close(&mut self.found);
        action
    }

    fn key(&mut self, place: &Place<'_>) -> Option<KeyReference> {
        const ONE_OF: &[&str] = &["data", "secretRef", "kms"];
        const HASHES: &[&str] = &["sha224", "sha256", "sha384", "sha512"];
        let mut fields = place.map(&mut self.found)?;
        let data = fields.text("data", &mut self.found);
        let kms = fields.text("kms", &mut self.found);
        let secret = fields.get("secretRef");
        let hash = match fields.text("hashAlgorithm", &mut self.found) {
            None => Some(KeyHash::Sha256),
            // policy-controller reads it in any case and with space around.
            Some(text) => match text.trim().to_ascii_lowercase().as_str() {
                "sha224" => Some(KeyHash::Sha224),
                "sha256" => Some(KeyHash::Sha256),
                "sha384" => Some(KeyHash::Sha384),
                "sha512" => Some(KeyHash::Sha512),
                _ => {
                    let wrong = Wrong::NotOneOf { wanted: HASHES, found: text.to_owned() };
                    self.found.push(fields.problem("hashAlgorithm", wrong));
                    None
                }
            },
        };
        let given =
            [("data", data.is_some()), ("secretRef", secret.is_some()), ("kms", kms.is_some())];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(it, _)| *it).collect();
        if given.len() != 1 {
            self.found.push(place.problem(Wrong::NotExactlyOne { of: ONE_OF, found: given }));
        }
        let mut key = None;
        if let Some(data) = data {
            match crypto::PublicKey::from_pem(data.trim().as_bytes()) {
                Ok(parsed) => key = Some(KeySource::Data(Box::new(parsed))),
                Err(error) => self.found.push(fields.problem("data", Wrong::Key(error))),
            }
        }
        if let Some(kms) = kms {
            match kms.parse() {
                Ok(parsed) => key = Some(KeySource::Kms(parsed)),
                Err(error) => self.found.push(fields.problem("kms", Wrong::Kms(error))),
            }
        }
        if let Some(secret) = secret {
            key = self.secret(&secret).map(|name| KeySource::Secret { name });
        }
        fields.close(&mut self.found);
        Some(KeyReference { key: key?, hash: hash? })
    }

    fn secret(&mut self, place: &Place<'_>) -> Option<String> {
        let mut fields = place.map(&mut self.found)?;
        let name = fields.require_text("name", &mut self.found).map(str::to_owned);
        let namespace = fields.text("namespace", &mut self.found);
        if let Some(found) = namespace.filter(|it| *it != self.controller_namespace) {
            let (wanted, found) = (self.controller_namespace.to_owned(), found.to_owned());
            let wrong = Wrong::ForeignNamespace { wanted, found };
            self.found.push(fields.problem("namespace", wrong));
        }
        fields.close(&mut self.found);
        name
    }

    fn keyless(&mut self, place: &Place<'_>) -> Option<Keyless> {
        let mut fields = place.map(&mut self.found)?;
        let url = self.url(&mut fields, "url");
        let ca_cert = fields.get("ca-cert");
        if url.is_some() && ca_cert.is_some() {
            let (of, found) = (&["url", "ca-cert"], vec!["url", "ca-cert"]);
            self.found.push(place.problem(Wrong::NotExactlyOne { of, found }));
        }
        let ca_cert = ca_cert.and_then(|place| self.key(&place));
        // Without one, every certificate of the authority would do (CVE-2025-29778's class).
        let identities = fields.require_list("identities", &mut self.found);
        let identities = identities.iter().filter_map(|place| self.identity(place)).collect();
        let trust_root = fields.text("trustRootRef", &mut self.found).map(str::to_owned);
        let ignore_sct = fields.boolean("insecureIgnoreSCT", &mut self.found).unwrap_or(false);
        fields.close(&mut self.found);
        Some(Keyless { url, ca_cert, identities, trust_root, ignore_sct })
    }

    fn identity(&mut self, place: &Place<'_>) -> Option<Identity> {
        let mut fields = place.map(&mut self.found)?;
        let issuer = self.pattern(place, &mut fields, &["issuer", "issuerRegExp"]);
        let subject = self.pattern(place, &mut fields, &["subject", "subjectRegExp"]);
        fields.close(&mut self.found);
        Some(Identity { issuer: issuer?, subject: subject? })
    }

    /// Exactly one of two fields: the value itself, or a regular expression.
    fn pattern(
        &mut self,
        place: &Place<'_>,
        fields: &mut Fields<'_>,
        of: &'static [&'static str; 2],
    ) -> Option<Pattern> {
        let exact = fields.text(of[0], &mut self.found);
        let regexp = fields.text(of[1], &mut self.found);
        if exact.is_some() == regexp.is_some() {
            let given = exact.is_some();
            let found = of.iter().copied().filter(|_| given).collect();
            self.found.push(place.problem(Wrong::NotExactlyOne { of, found }));
        }
        let Some(text) = regexp else { return exact.map(|it| Pattern::Exact(it.to_owned())) };
        match Regexp::parse(text) {
            Ok(regexp) => {
                if !regexp.is_anchored() {
                    self.remark(fields, of[1], Remarked::Unanchored);
                }
                Some(Pattern::Regexp(regexp))
            }
            Err(error) => {
                self.found.push(fields.problem(of[1], Wrong::Regexp(error)));
                None
            }
        }
    }

    fn source(&mut self, place: &Place<'_>) -> Option<Source> {
        let mut fields = place.map(&mut self.found)?;
        let oci = fields.text("oci", &mut self.found);
        if let Some(Err(reason)) = oci.map(repository::check) {
            self.found.push(fields.problem("oci", Wrong::Repository { reason }));
        }
        let mut pull_secrets = Vec::new();
        for place in fields.list("signaturePullSecrets", &mut self.found) {
            let Some(mut secret) = place.map(&mut self.found) else { continue };
            pull_secrets.extend(secret.require_text("name", &mut self.found).map(str::to_owned));
            secret.close(&mut self.found);
        }
        let tag_prefix = fields.text("tagPrefix", &mut self.found).map(str::to_owned);
        fields.close(&mut self.found);
        Some(Source { oci: oci.map(str::to_owned), pull_secrets, tag_prefix })
    }

    fn ctlog(&mut self, place: &Place<'_>) -> Option<TransparencyLog> {
        let mut fields = place.map(&mut self.found)?;
        let url = self.url(&mut fields, "url");
        let trust_root = fields.text("trustRootRef", &mut self.found).map(str::to_owned);
        fields.close(&mut self.found);
        Some(TransparencyLog { url, trust_root })
    }

    fn attestation(&mut self, place: &Place<'_>) -> Option<Attestation> {
        let mut fields = place.map(&mut self.found)?;
        let name = fields.require_text("name", &mut self.found).map(str::to_owned);
        let predicate_type = fields.require_text("predicateType", &mut self.found);
        if predicate_type.is_some_and(|it| SHORT_PREDICATE_TYPES.contains(&it) || !is_uri(it)) {
            self.remark(&fields, "predicateType", Remarked::ShortPredicateType);
        }
        let policy = fields.get("policy").map(|place| self.program(&place, false));
        fields.close(&mut self.found);
        let policy = match policy {
            Some(None) => return None,
            Some(policy) => policy,
            None => None,
        };
        Some(Attestation { name: name?, predicate_type: predicate_type?.to_owned(), policy })
    }

    /// `policy`, over all authorities of a policy (`overall`) or under one attestation.
    pub(super) fn program(&mut self, place: &Place<'_>, overall: bool) -> Option<Program> {
        const ONE_OF: &[&str] = &["data", "configMapRef", "remote"];
        const INPUTS: [&str; 4] =
            ["fetchConfigFile", "includeSpec", "includeObjectMeta", "includeTypeMeta"];
        let mut fields = place.map(&mut self.found)?;
        let language =
            self.require_word(&mut fields, "type", &["cue", "rego"], |word| match word {
                "cue" => Language::Cue,
                _ => Language::Rego,
            });
        let inputs = INPUTS.map(|input| {
            let value = fields.boolean(input, &mut self.found);
            if value.is_some() && !overall {
                let belongs = "spec.policy";
                self.found.push(fields.problem(input, Wrong::Misplaced { belongs }));
            }
            value.unwrap_or(false)
        });
        let data = fields.text("data", &mut self.found);
        let (config_map, remote) = (fields.get("configMapRef"), fields.get("remote"));
        let given = [data.is_some(), config_map.is_some(), remote.is_some()];
        let found: Vec<_> =
            ONE_OF.iter().zip(given).filter(|(_, given)| *given).map(|(it, _)| *it).collect();
        if found.len() != 1 {
            self.found.push(place.problem(Wrong::NotExactlyOne { of: ONE_OF, found }));
        }
        let mut text = data.map(|data| ProgramText::Data(data.to_owned()));
        if let Some(place) = config_map {
            text = self.config_map(&place);
        }
        if let Some(place) = remote {
            text = self.remote(&place);
        }
        fields.close(&mut self.found);
        Some(Program { language: language?, text: text?, inputs })
    }

    fn config_map(&mut self, place: &Place<'_>) -> Option<ProgramText> {
        let mut fields = place.map(&mut self.found)?;
        let name = fields.require_text("name", &mut self.found).map(str::to_owned);
        let key = fields.require_text("key", &mut self.found).map(str::to_owned);
        let namespace = fields.text("namespace", &mut self.found).map(str::to_owned);
        fields.close(&mut self.found);
        Some(ProgramText::ConfigMap { name: name?, namespace, key: key? })
    }

    fn remote(&mut self, place: &Place<'_>) -> Option<ProgramText> {
        let mut fields = place.map(&mut self.found)?;
        let url = fields.require_text("url", &mut self.found).map(str::to_owned);
        if let Some(found) = url.clone().filter(|url| !is_url(url, &["https"])) {
            let wanted = "an https URL with a host";
            self.found.push(fields.problem("url", Wrong::Url { wanted, found }));
        }
        let sha256sum = fields.require_text("sha256sum", &mut self.found).map(str::to_owned);
        fields.close(&mut self.found);
        Some(ProgramText::Remote { url: url?, sha256sum: sha256sum? })
    }
}

/// What Go's `url.ParseRequestURI` accepts of the predicate types in use.
fn is_uri(text: &str) -> bool {
    text.starts_with('/')
        || text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                && !rest.is_empty()
        })
}
