//! The JSON of a trusted root.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::key_details::{KeyDetails, KeyDetailsError};
use evidence::{Certificate, UnixTime, json};
use serde::Deserialize;

use super::{
    CertificateAuthority, Log, MEMBERS_MAX, ParseTrustRootError, TRUST_ROOT_SIZE_MAX, Thresholds,
    TimestampAuthority, TrustRoot, Window,
};
use crate::chain::{BadChain, Links};

const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    #[serde(default)]
    tlogs: Option<Vec<Instance>>,
    #[serde(default)]
    ctlogs: Option<Vec<Instance>>,
    #[serde(default)]
    certificate_authorities: Option<Vec<Authority>>,
    #[serde(default)]
    timestamp_authorities: Option<Vec<Authority>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    base_url: Option<String>,
    public_key: Option<Key>,
    log_id: Option<LogId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    raw_bytes: Option<String>,
    key_details: Option<String>,
    valid_for: Option<TimeRange>,
}

#[derive(Deserialize)]
struct TimeRange {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authority {
    #[serde(default)]
    uri: Option<String>,
    cert_chain: Option<CertificateChain>,
    valid_for: Option<TimeRange>,
}

#[derive(Deserialize)]
struct CertificateChain {
    certificates: Option<Vec<RawCertificate>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: Option<String>,
}

/// Which member of a trust root is being read, for error messages.
#[derive(Clone, Copy)]
struct Place {
    kind: &'static str,
    index: usize,
}

impl Place {
    fn missing(self, field: &'static str) -> ParseTrustRootError {
        ParseTrustRootError::Missing { kind: self.kind, index: self.index, field }
    }

    fn key(self, source: KeyDetailsError) -> ParseTrustRootError {
        ParseTrustRootError::Key { kind: self.kind, index: self.index, source }
    }

    fn chain(self, source: BadChain) -> ParseTrustRootError {
        ParseTrustRootError::Chain { kind: self.kind, index: self.index, source }
    }
}

pub(super) fn parse(json: &[u8], links: Links) -> Result<TrustRoot, ParseTrustRootError> {
    if json.len() > TRUST_ROOT_SIZE_MAX {
        return Err(ParseTrustRootError::TooLong { found: json.len() });
    }
    let document: Document = json::parse(json).map_err(ParseTrustRootError::Json)?;
    if !MEDIA_TYPES.contains(&document.media_type.as_str()) {
        let found = document.media_type.chars().take(128).collect();
        return Err(ParseTrustRootError::UnknownMediaType { found });
    }
    let digest = crypto::sha256(json);
    Ok(TrustRoot {
        logs: logs("transparency log", document.tlogs)?,
        certificate_logs: logs("CT log", document.ctlogs)?,
        authorities: members(
            "certificate authority",
            document.certificate_authorities,
            |authority, place| {
                let (uri, certificates, window) = authority.parse(place)?;
                CertificateAuthority::new(uri, certificates, window, links)
                    .map(Some)
                    .map_err(|source| place.chain(source))
            },
        )?,
        timestamp_authorities: members(
            "timestamp authority",
            document.timestamp_authorities,
            |authority, place| {
                let (uri, certificates, window) = authority.parse(place)?;
                TimestampAuthority::new(uri, certificates, window, links)
                    .map(Some)
                    .map_err(|source| place.chain(source))
            },
        )?,
        thresholds: Thresholds::ONE,
        content_digest: digest,
        digest,
    })
}

fn logs(
    kind: &'static str,
    instances: Option<Vec<Instance>>,
) -> Result<Vec<Log>, ParseTrustRootError> {
    members(kind, instances, |instance, place| instance.parse(place))
}

fn members<M, T>(
    kind: &'static str,
    members: Option<Vec<M>>,
    parse: impl Fn(M, Place) -> Result<Option<T>, ParseTrustRootError>,
) -> Result<Vec<T>, ParseTrustRootError> {
    let members = members.unwrap_or_default();
    if members.len() > MEMBERS_MAX {
        return Err(ParseTrustRootError::TooMany { kind });
    }
    members
        .into_iter()
        .enumerate()
        .filter_map(|(index, member)| parse(member, Place { kind, index }).transpose())
        .collect()
}

impl Instance {
    /// `None` for a key of an algorithm that is not supported.
    fn parse(self, place: Place) -> Result<Option<Log>, ParseTrustRootError> {
        let key = self.public_key.ok_or(place.missing("public key"))?;
        let window = window(key.valid_for, place)?;
        let id = self.log_id.and_then(|id| id.key_id).ok_or(place.missing("log identifier"))?;
        let id = STANDARD.decode(id).map_err(|_| place.missing("log identifier in base64"))?;
        let details = key.key_details.ok_or(place.missing("key details"))?;
        let details = match KeyDetails::parse(&details) {
            Err(KeyDetailsError::Unsupported { .. }) => return Ok(None),
            other => other.map_err(|source| place.key(source))?,
        };
        let bytes = key.raw_bytes.and_then(|bytes| STANDARD.decode(bytes).ok());
        let bytes = bytes.ok_or(place.missing("key in base64"))?;
        let bad_url = ParseTrustRootError::BadUrl { kind: place.kind, index: place.index };
        let host = match self.base_url.as_deref() {
            None | Some("") => None,
            Some(url) => Some(host(url).ok_or(bad_url)?.to_owned()),
        };
        let key = details.parse_key(&bytes).map_err(|source| place.key(source))?;
        Ok(Some(Log { id, host, key, scheme: details.scheme(), window }))
    }
}

impl Authority {
    fn parse(
        self,
        place: Place,
    ) -> Result<(String, Vec<Certificate>, Window), ParseTrustRootError> {
        let window = window(self.valid_for, place)?;
        let chain = self.cert_chain.and_then(|chain| chain.certificates).unwrap_or_default();
        let certificates = chain.into_iter().enumerate().map(|(index, raw)| {
            let der = raw.raw_bytes.and_then(|bytes| STANDARD.decode(bytes).ok());
            let der = der.ok_or(place.missing("certificate in base64"))?;
            Certificate::parse(&der)
                .map_err(|source| place.chain(BadChain::Certificate { index, source }))
        });
        let certificates = certificates.collect::<Result<_, _>>()?;
        Ok((self.uri.unwrap_or_default(), certificates, window))
    }
}

fn window(range: Option<TimeRange>, place: Place) -> Result<Window, ParseTrustRootError> {
    let bad = ParseTrustRootError::BadWindow { kind: place.kind, index: place.index };
    let range = range.ok_or(place.missing("validity window"))?;
    let start = range.start.ok_or(place.missing("start of validity"))?;
    let start = UnixTime::from_rfc3339(&start).ok_or(bad.clone())?;
    let end = match range.end {
        Some(end) => Some(UnixTime::from_rfc3339(&end).ok_or(bad.clone())?),
        None => None,
    };
    if end.is_some_and(|end| end < start) { Err(bad) } else { Ok(Window { start, end }) }
}

/// The host of a URL, without port; a URL with user information has none.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.contains('@') {
        return None;
    }
    let host = match authority.strip_prefix('[') {
        Some(ipv6) => ipv6.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}
