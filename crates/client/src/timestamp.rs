//! A timestamp authority: the hash of a signature goes there, a token with the time comes back.
//!
//! RFC 3161 §3.4, the protocol over HTTP. Here it is only checked that the token answers *this*
//! request; whether it can be believed is `verify`'s question.

use std::sync::Arc;

use crypto::{Hash, HashAlgorithm};
use der::Encode;
use der::asn1::{Int, OctetString};
use evidence::Timestamp;
use evidence::timestamp::tsp::{MessageImprint, TimeStampReq};
use evidence::timestamp::{TIMESTAMP_SIZE_MAX, hash_algorithm_identifier};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Http, Request};

/// A timestamp authority.
#[derive(Clone, Debug)]
pub struct TimestampAuthority {
    http: Arc<Http>,
    /// Not a base URL: requests go to exactly this one.
    url: ServiceUrl,
}

impl TimestampAuthority {
    /// The authority that answers at exactly that URL.
    #[must_use]
    pub fn new(http: Arc<Http>, url: ServiceUrl) -> Self {
        Self { http, url }
    }

    /// Gets a timestamp over a signature: DER of a `TimeStampResp`, as bundles hold it.
    ///
    /// # Errors
    /// When the authority cannot be asked or refuses, or the token is for something else.
    pub async fn stamp(&self, signature: &[u8], deadline: Deadline) -> Result<Vec<u8>, FetchError> {
        let imprint = Hash::of(HashAlgorithm::Sha256, signature);
        let nonce = nonce();
        // Asking twice only makes two tokens, of which one is thrown away.
        let request = Request::new(Method::POST, self.url.as_url().clone())
            .repeatable()
            .wanting("a timestamp", TIMESTAMP_SIZE_MAX as u64)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/timestamp-query"))
            .header(ACCEPT, HeaderValue::from_static("application/timestamp-reply"))
            .body(request_der(&imprint, &nonce));
        // 201 is what old versions of Sigstore's authority answer with.
        let answer = self.http.send(&request, deadline).await?.wanted(&[200, 201])?;
        let stamp = Timestamp::parse(&answer.body)
            .map_err(|error| answer.malformed("a timestamp", error.to_string()))?;
        if *stamp.imprint() != imprint {
            let (wanted, found) = (imprint.into(), (*stamp.imprint()).into());
            return Err(answer.error(FetchErrorKind::DigestMismatch { wanted, found }));
        }
        if stamp.nonce() != Some(&nonce) {
            return Err(answer.malformed("a timestamp with our nonce", "another or none"));
        }
        Ok(answer.body)
    }
}

/// 64 unpredictable bits, as the content of a positive DER integer without leading zeros.
fn nonce() -> [u8; 8] {
    let mut nonce: [u8; 8] = crypto::random::bytes();
    nonce[0] = nonce[0] & 0x3f | 0x40;
    nonce
}

/// Without a request for the signing certificate: verifiers take it from their trust root.
fn request_der(imprint: &Hash, nonce: &[u8]) -> Vec<u8> {
    let request = TimeStampReq {
        version: 1,
        message_imprint: MessageImprint {
            hash_algorithm: hash_algorithm_identifier(imprint.algorithm()),
            hashed_message: OctetString::new(imprint.as_bytes())
                .expect("a hash fits in an octet string"),
        },
        req_policy: None,
        nonce: Some(Int::new(nonce).expect("eight bytes fit in an integer")),
        cert_req: false,
        extensions: None,
    };
    request.to_der().expect("a request of bounded length encodes")
}
