//! Proves who asks: an identity token, signed by a trusted issuer, for us, and still valid.
//!
//! OpenID Connect Core 1.0 §2 and §3.1.3.7, RFC 7519 §4.1, RFC 8725. The issuer is found by exact
//! comparison before anything is fetched, so no token can make us call a host of its choice.

pub mod keys;

use std::fmt;
use std::sync::Arc;

use evidence::UnixTime;
use serde_json::{Map, Value};

use crate::issuer::{Issuer, Issuers};
use crate::jose::jwk::NoKeyVerifies;
use crate::jose::jws::ParseJwsError;
use crate::jose::{CompactJws, JwsAlgorithm};
use crate::wire::{INVALID_TOKEN, WireError};
use keys::{IssuerDocuments, IssuerKeys, KeysError};

/// How far an issuer's clock may be ahead of ours, in seconds: for `nbf` and `iat`. Five minutes,
/// as go-oidc has it for Fulcio. There is no such leeway for `exp`: late is late.
pub const CLOCK_LEEWAY_SECONDS: i64 = 5 * 60;

/// Longest subject accepted, in bytes. OpenID Connect Core §2 allows 255 characters; GitHub's
/// customised subjects, which join several claims, run to some hundreds more.
pub const SUBJECT_SIZE_MAX: usize = 1024;

/// Most audiences read.
pub const AUDIENCES_MAX: usize = 32;

/// A token that a trusted issuer signed for our client identifier and that is valid now.
///
/// Proves who its *bearer* may be, not that the bearer holds any key, nor that this identity may
/// have a certificate.
#[derive(Clone)]
pub struct VerifiedToken {
    issuer: Arc<Issuer>,
    subject: String,
    expires: UnixTime,
    claims: Map<String, Value>,
}

/// Why a token proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No signed token.
    #[error("not a signed token")]
    Parse(#[from] ParseJwsError),
    /// Made by an issuer that is not trusted, or by none.
    #[error("issuer `{found}` is not trusted")]
    UnknownIssuer {
        /// The `iss` claim, cut to 200 characters; empty if there is none.
        found: String,
    },
    /// Signed with an algorithm that this issuer is not allowed.
    #[error("issuer {issuer} is not allowed to sign with {}", found.name())]
    AlgorithmNotAllowed {
        /// The issuer.
        issuer: String,
        /// The algorithm.
        found: JwsAlgorithm,
    },
    /// The issuer's keys could not be had. Says nothing about the token.
    #[error("the keys of issuer {issuer} are not available")]
    Keys {
        /// The issuer.
        issuer: String,
        /// Why.
        source: KeysError,
    },
    /// No key of the issuer verifies it.
    #[error("the token is not signed by issuer {issuer}")]
    Signature {
        /// The issuer.
        issuer: String,
        /// Why.
        source: NoKeyVerifies,
    },
    /// A claim that must be there is absent, or is not of the right kind.
    #[error("claim `{claim}` is missing or not {wanted}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Made for somebody else.
    #[error("the token is not made for `{wanted}`")]
    Audience {
        /// Our client identifier at this issuer.
        wanted: String,
    },
    /// No longer valid.
    #[error("the token expired at {expired}; it is {now}")]
    Expired {
        /// The `exp` claim.
        expired: UnixTime,
        /// The time it was looked at.
        now: UnixTime,
    },
    /// Not valid yet, or issued in the future.
    #[error("the token is valid from {from} (`{claim}`) only; it is {now}")]
    NotYetValid {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// Its value.
        from: UnixTime,
        /// The time it was looked at.
        now: UnixTime,
    },
}

impl TokenError {
    /// What the requester is told. Keys that are not available are our failure, which a client
    /// may try again; everything else is the token's.
    #[must_use]
    pub fn wire(&self) -> WireError {
        match self {
            Self::Keys { .. } => WireError::unavailable(INVALID_TOKEN),
            _ => WireError::invalid(INVALID_TOKEN),
        }
    }
}

/// Verifies tokens of the trusted issuers, whose keys it fetches through `D` and keeps.
pub struct TokenVerifier<D> {
    issuers: Vec<(Arc<Issuer>, IssuerKeys)>,
    documents: Arc<D>,
}

impl<D: IssuerDocuments + 'static> TokenVerifier<D> {
    /// Trusts these issuers. Nothing is fetched yet: see [`Self::prefetch`].
    #[must_use]
    pub fn new(issuers: Issuers, documents: D) -> Self {
        let issuers = issuers
            .into_vec()
            .into_iter()
            .map(|issuer| (Arc::new(issuer), IssuerKeys::default()))
            .collect();
        Self { issuers, documents: Arc::new(documents) }
    }

    /// The trusted issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.iter().map(|(issuer, _)| issuer.as_ref())
    }

    /// Fetches the keys of every issuer whose keys are absent or no longer fresh, one after the
    /// other, and returns the failures. A server calls it beside its work, never before it.
    pub async fn prefetch(&self, now: UnixTime) -> Vec<(Arc<Issuer>, KeysError)> {
        let mut failures = Vec::new();
        for (issuer, keys) in &self.issuers {
            if let Err(error) = keys.current(issuer, &self.documents, now).await {
                failures.push((Arc::clone(issuer), error));
            }
        }
        failures
    }

    /// Verifies a token as its bearer supplied it.
    ///
    /// # Errors
    /// When it is not a token, not of a trusted issuer, not signed by it, not for us, or not valid
    /// at `now`; or when the issuer's keys cannot be had.
    pub async fn verify(&self, token: &str, now: UnixTime) -> Result<VerifiedToken, TokenError> {
        let token = CompactJws::parse(token)?;
        let claimed = token.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let (issuer, keys) =
            self.issuers.iter().find(|(issuer, _)| issuer.url() == claimed).ok_or_else(|| {
                TokenError::UnknownIssuer { found: claimed.chars().take(200).collect() }
            })?;
        if !issuer.algorithms().contains(&token.algorithm) {
            let issuer = issuer.url().to_owned();
            return Err(TokenError::AlgorithmNotAllowed { issuer, found: token.algorithm });
        }
        self.verify_signature(issuer, keys, &token, now).await?;
        check_times(&token.claims, now)?;
        check_audience(&token.claims, issuer.client_id())?;
        let subject = token.claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if subject.is_empty() || subject.len() > SUBJECT_SIZE_MAX {
            return Err(TokenError::Claim { claim: "sub", wanted: "a text of up to 1024 bytes" });
        }
        Ok(VerifiedToken {
            issuer: Arc::clone(issuer),
            subject: subject.to_owned(),
            expires: time_claim(&token.claims, "exp")?
                .ok_or(TokenError::Claim { claim: "exp", wanted: "a number" })?,
            claims: token.claims,
        })
    }

    /// A key that is not known may be new: the set is fetched once more, as often as its rate
    /// limit allows.
    async fn verify_signature(
        &self,
        issuer: &Arc<Issuer>,
        keys: &IssuerKeys,
        token: &CompactJws<'_>,
        now: UnixTime,
    ) -> Result<(), TokenError> {
        let unavailable = |source| TokenError::Keys { issuer: issuer.url().to_owned(), source };
        let known = keys.current(issuer, &self.documents, now).await.map_err(unavailable)?;
        let outcome = match known.verify(token) {
            Err(NoKeyVerifies::Unknown) => {
                match keys.newer_than(&known, issuer, &self.documents, now).await {
                    Some(newer) => newer.verify(token),
                    None => Err(NoKeyVerifies::Unknown),
                }
            }
            outcome => outcome,
        };
        outcome.map_err(|source| TokenError::Signature { issuer: issuer.url().to_owned(), source })
    }
}

impl VerifiedToken {
    /// The issuer that signed it.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The issuer's name for whom it speaks of.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The moment from which it is no longer valid.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.expires
    }

    /// A claim; `None` if it is absent or null.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    /// A claim as text, if it is there and is one: a string, a whole number, or a truth value.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<String> {
        match self.claim(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        }
    }

    /// The e-mail address, if the issuer says that it verified it.
    ///
    /// `email_verified` is a truth value (OpenID Connect Core §5.1); some issuers write it as text.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        let verified = match self.claim("email_verified")? {
            Value::Bool(verified) => *verified,
            Value::String(text) => text == "true",
            _ => false,
        };
        self.claim("email")?.as_str().filter(|email| verified && !email.is_empty())
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedToken({} of {})", self.subject, self.issuer.url())
    }
}

/// RFC 7519 §4.1.4 to §4.1.6: before `exp`, never at it; from `nbf` on.
fn check_times(claims: &Map<String, Value>, now: UnixTime) -> Result<(), TokenError> {
    let expired =
        time_claim(claims, "exp")?.ok_or(TokenError::Claim { claim: "exp", wanted: "a number" })?;
    if now >= expired {
        return Err(TokenError::Expired { expired, now });
    }
    for claim in ["nbf", "iat"] {
        if let Some(from) = time_claim(claims, claim)?
            && from > now.plus_seconds(CLOCK_LEEWAY_SECONDS)
        {
            return Err(TokenError::NotYetValid { claim, from, now });
        }
    }
    Ok(())
}

/// A `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction, which is cut off. A number in
/// quotation marks is none.
fn time_claim(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<UnixTime>, TokenError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    // Year 9999, beyond which no calendar here goes.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let seconds = value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds))?;
        #[allow(clippy::cast_possible_truncation, reason = "inside the range just checked")]
        Some(seconds as i64)
    });
    seconds
        .filter(|seconds| *seconds >= 0)
        .map(|seconds| Some(UnixTime::from_seconds(seconds)))
        .ok_or(TokenError::Claim { claim, wanted: "a number of seconds" })
}

/// RFC 7519 §4.1.3. Further audiences are tolerated, as Fulcio does; OpenID Connect Core §3.1.3.7
/// leaves it to us whether to trust them. They can only be there if the issuer was asked to.
fn check_audience(claims: &Map<String, Value>, wanted: &str) -> Result<(), TokenError> {
    let is_ours = match claims.get("aud") {
        Some(Value::String(audience)) => audience == wanted,
        Some(Value::Array(audiences))
            if audiences.len() <= AUDIENCES_MAX && audiences.iter().all(Value::is_string) =>
        {
            audiences.iter().any(|audience| audience == wanted)
        }
        _ => {
            return Err(TokenError::Claim { claim: "aud", wanted: "a text or a list of texts" });
        }
    };
    if is_ours { Ok(()) } else { Err(TokenError::Audience { wanted: wanted.to_owned() }) }
}
