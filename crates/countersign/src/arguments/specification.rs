//! Services as the `create` commands take them: `key=value,key=value`, as in Cosign.

use std::collections::BTreeMap;

use evidence::UnixTime;

use crate::exit::Failure;
use crate::trust_documents::Period;

/// One service, with the flag that described it.
#[derive(Debug)]
pub(crate) struct Specification<'a> {
    flag: &'static str,
    text: &'a str,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Specification<'a> {
    /// Reads the value of a flag; every key must be required or optional, and stand once.
    pub(crate) fn parse(
        flag: &'static str,
        text: &'a str,
        required: &[&str],
        optional: &[&str],
    ) -> Result<Self, Failure> {
        let mut specification = Self { flag, text, values: BTreeMap::new() };
        let keys = || [required, optional].concat().join(", ");
        for pair in text.split(',') {
            let Some((key, value)) = pair.split_once('=') else {
                let why = format!("`{pair}` is not KEY=VALUE");
                return Err(specification.unusable(&why).hint(format!("the keys are {}", keys())));
            };
            let (key, value) = (key.trim(), value.trim());
            if !required.contains(&key) && !optional.contains(&key) {
                let why = format!("`{key}` is no key of it");
                return Err(specification.unusable(&why).hint(format!("the keys are {}", keys())));
            }
            if value.is_empty() {
                return Err(specification.unusable(&format!("`{key}` is empty")));
            }
            if specification.values.insert(key, value).is_some() {
                return Err(specification.unusable(&format!("`{key}` stands twice")));
            }
        }
        match required.iter().find(|key| !specification.values.contains_key(*key)) {
            None => Ok(specification),
            Some(key) => {
                let failure = specification.unusable(&format!("`{key}` is missing"));
                Err(failure.hint(format!("the keys are {}", keys())))
            }
        }
    }

    /// A service that this flag begins to describe, with the key that its value is of.
    pub(crate) fn of_flag(flag: &'static str, text: &'a str, key: &'static str) -> Self {
        Self { flag, text, values: BTreeMap::from([(key, text)]) }
    }

    /// Adds what another flag says of it.
    pub(crate) fn set(&mut self, key: &'static str, value: &'a str) {
        self.values.insert(key, value);
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    /// The value of a required key.
    pub(crate) fn required(&self, key: &str) -> Result<&'a str, Failure> {
        self.get(key).ok_or_else(|| self.unusable(&format!("`{key}` is missing")))
    }

    /// `start-time` and `end-time`, in RFC 3339.
    pub(crate) fn period(&self) -> Result<Period, Failure> {
        let period = Period { start: self.time("start-time")?, end: self.time("end-time")? };
        match (period.start, period.end) {
            (Some(start), Some(end)) if end <= start => {
                Err(self.unusable(&format!("it ends at {end}, before it starts at {start}")))
            }
            _ => Ok(period),
        }
    }

    fn time(&self, key: &str) -> Result<Option<UnixTime>, Failure> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let time = UnixTime::from_rfc3339(text).ok_or_else(|| {
            self.unusable(&format!("`{key}` is `{text}`"))
                .hint("write times as 2026-01-31T12:00:00Z")
        })?;
        Ok(Some(time))
    }

    /// The failure that this service cannot be used, and why.
    pub(crate) fn unusable(&self, why: &str) -> Failure {
        Failure::usage(format!("cannot use --{} {}: {why}", self.flag, self.text))
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn parse(text: &str) -> Result<Specification<'_>, Failure> {
        Specification::parse("rekor", text, &["url", "start-time"], &["end-time"])
    }

    #[test]
    fn every_key_is_known_and_stands_once() {
        let good = parse("url=https://log.example/?a=b, start-time=2026-01-01T00:00:00Z").unwrap();
        assert_eq!(good.get("url"), Some("https://log.example/?a=b"));
        assert_eq!(good.period().unwrap().end, None);
        for (bad, why) in [
            ("url", "is not KEY=VALUE"),
            ("url=", "is empty"),
            ("url=a,url=b", "stands twice"),
            ("url=a", "`start-time` is missing"),
            ("url=a,start-time=b,colour=red", "is no key of it"),
        ] {
            let failure = parse(bad).unwrap_err().full_message();
            assert!(failure.contains(why), "{bad}: {failure}");
        }
        for bad in [
            "start-time=yesterday",
            "start-time=2026-01-02T00:00:00Z,end-time=2026-01-01T00:00:00Z",
        ] {
            let text = format!("url=a,{bad}");
            assert!(parse(&text).unwrap().period().is_err(), "{bad}");
        }
    }
}
