//! Amazon's request signatures, version 4, for the requests made here: `POST` to the root of a
//! host, without a query.
//!
//! "AWS Signature Version 4 for API requests", AWS Identity and Access Management user guide. The
//! hashing is `crypto`'s.

use crypto::mac::hmac_sha256;
use evidence::UnixTime;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::secret::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Keys of an account or a role.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Secret,
    /// Present on keys that expire.
    pub(super) session: Option<Secret>,
}

/// What is signed for.
pub(super) struct Signed<'a> {
    pub(super) host: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Further headers that are signed, in lower case.
    pub(super) headers: &'a [(&'static str, &'a str)],
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// The headers that a request has beside its own; `None` if a key cannot stand in a header.
    pub(super) fn sign(
        &self,
        keys: &Keys,
        now: UnixTime,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let (date, time) = stamp(now)?;
        let mut headers: Vec<(&str, &str)> = self.headers.to_vec();
        headers.extend([("host", self.host), ("x-amz-date", time.as_str())]);
        headers.extend(keys.session.iter().map(|token| ("x-amz-security-token", token.expose())));
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let body = hex::encode(crypto::sha256(self.body));
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{body}");
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let canonical = hex::encode(crypto::sha256(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{canonical}");
        let key = signing_key(keys.secret.expose(), &date, self.region, self.service);
        let signature = hex::encode(hmac_sha256(&key, text.as_bytes()));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            keys.id
        );
        let mut made = vec![
            (AUTHORIZATION, sensitive(&authorization)?),
            (HeaderName::from_static("x-amz-date"), HeaderValue::try_from(&time).ok()?),
        ];
        if let Some(token) = &keys.session {
            let name = HeaderName::from_static("x-amz-security-token");
            made.push((name, sensitive(token.expose())?));
        }
        Some(made)
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The key that is for one day, region and service.
fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let first = zeroize::Zeroizing::new(format!("AWS4{secret}"));
    [region, service, "aws4_request"]
        .iter()
        .fold(hmac_sha256(first.as_bytes(), date.as_bytes()), |key, part| {
            hmac_sha256(&key, part.as_bytes())
        })
}

/// `20150830` and `20150830T123600Z`.
fn stamp(now: UnixTime) -> Option<(String, String)> {
    let time = jiff::Timestamp::from_second(now.seconds()).ok()?;
    let text = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    Some((text.get(..8)?.to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// The guide's example of a derived key.
    #[test]
    fn the_signing_key_is_derived_as_documented() {
        let key = signing_key(SECRET, "20150830", "us-east-1", "iam");
        let wanted = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex::encode(key), wanted);
    }

    /// `post-vanilla` of Amazon's test suite for signatures of version 4.
    #[test]
    fn post_vanilla() {
        let (id, secret) = ("AKIDEXAMPLE".to_owned(), Secret::new(SECRET.to_owned()));
        let keys = Keys { id, secret, session: None };
        let signed = Signed {
            host: "example.amazonaws.com",
            region: "us-east-1",
            service: "service",
            headers: &[],
            body: b"",
        };
        let headers = signed.sign(&keys, UnixTime::from_seconds(1_440_938_160)).expect("signed");
        let wanted = "AWS4-HMAC-SHA256 \
            Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, \
            Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(headers[0].1.to_str().ok(), Some(wanted));
        assert_eq!(headers[1].1.to_str().ok(), Some("20150830T123600Z"));
        assert!(headers[0].1.is_sensitive());
    }
}
