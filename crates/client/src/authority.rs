//! A certificate authority: an identity token and a key go there, a certificate comes back.
//!
//! Fulcio's REST interface v2, `POST /api/v2/signingCert`, with proof of possession of the key.
//! Nothing is verified but that the certificate is for our key; the rest is `verify`'s.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, SignError, Signer};
use evidence::Certificate;
use evidence::bundle::CHAIN_MAX;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Answer, Http, Request};
use crate::json;
use crate::oidc::IdentityToken;

/// Longest answer read, in bytes: ten certificates of 8 KiB in PEM.
const ANSWER_SIZE_MAX: u64 = 128 * 1024;

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct Authority {
    http: Arc<Http>,
    url: ServiceUrl,
}

/// A certificate and those above it, as the authority sent them.
#[derive(Clone, Debug)]
pub struct IssuedChain {
    /// The certificate for our key.
    pub leaf: Certificate,
    /// Its issuer first, the root last.
    pub issuers: Vec<Certificate>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// Possession of the key could not be proven, because it does not sign.
    #[error("the key does not sign")]
    Sign(#[from] SignError),
    /// The authority could not be asked, or refused.
    #[error("no certificate")]
    Fetch(#[from] FetchError),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertifyRequest<'a> {
    public_key_request: PublicKeyRequest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest<'a> {
    public_key: PublicKey<'a>,
    proof_of_possession: String,
}

#[derive(Serialize)]
struct PublicKey<'a> {
    algorithm: &'static str,
    content: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    #[serde(default, alias = "signed_certificate_embedded_sct")]
    signed_certificate_embedded_sct: Option<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

impl Authority {
    /// The authority at that base URL.
    #[must_use]
    pub fn new(http: Arc<Http>, url: ServiceUrl) -> Self {
        Self { http, url }
    }

    /// Gets a certificate that binds the signer's key to the token's identity.
    ///
    /// # Errors
    /// When the key does not sign, the authority cannot be asked or refuses, or what it sends is
    /// not a certificate for this key.
    pub async fn certify(
        &self,
        token: &IdentityToken,
        signer: &dyn Signer,
        deadline: Deadline,
    ) -> Result<IssuedChain, CertifyError> {
        // What must be signed depends on how the authority knows the issuer, which we do not: the
        // address for issuers of people, the subject for all others.
        if let Some(email) = token.email() {
            let answer = self.ask(token, signer, email, deadline).await?;
            // A bad proof is 400 without further distinction (Fulcio's `api/error.go`).
            if answer.status.as_u16() != 400 || email == token.subject() {
                return Ok(read(&answer.wanted(&[200])?, signer)?);
            }
        }
        let answer = self.ask(token, signer, token.subject(), deadline).await?;
        Ok(read(&answer.wanted(&[200])?, signer)?)
    }

    async fn ask(
        &self,
        token: &IdentityToken,
        signer: &dyn Signer,
        principal: &str,
        deadline: Deadline,
    ) -> Result<Answer, CertifyError> {
        let key = signer.public_key();
        let proof = signer.sign_bytes(principal.as_bytes())?;
        let request = CertifyRequest {
            public_key_request: PublicKeyRequest {
                public_key: PublicKey {
                    algorithm: match key.kind() {
                        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => "ECDSA",
                        KeyKind::Rsa { .. } => "RSA_PSS",
                        KeyKind::Ed25519 => "ED25519",
                    },
                    content: &key.to_pem(),
                },
                proof_of_possession: STANDARD.encode(proof),
            },
        };
        let body = serde_json::to_vec(&request).expect("a request has only text");
        let request = Request::new(Method::POST, self.url.join("api/v2/signingCert"))
            .wanting("a certificate chain", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .authorized(Some(token.to_authorization()))
            .body(body);
        Ok(self.http.send(&request, deadline).await?)
    }
}

fn read(answer: &Answer, signer: &dyn Signer) -> Result<IssuedChain, FetchError> {
    let wanted = "a certificate chain with embedded SCT";
    let issued: Issued =
        json::parse(&answer.body).map_err(|error| answer.malformed(wanted, error.to_string()))?;
    let Some(Embedded { chain: Chain { certificates } }) = issued.signed_certificate_embedded_sct
    else {
        return Err(answer.malformed(wanted, "none"));
    };
    if certificates.len() > CHAIN_MAX {
        let kind = FetchErrorKind::TooMany { what: "certificates in a chain", max: CHAIN_MAX };
        return Err(answer.error(kind));
    }
    let parse = |pem: &String| {
        let bad = |problem: String| answer.malformed("certificates in PEM", problem);
        let (label, der) =
            pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|error| bad(error.to_string()))?;
        if label != "CERTIFICATE" {
            return Err(bad(label.to_owned()));
        }
        Certificate::parse(&der).map_err(|error| bad(error.to_string()))
    };
    let mut certificates = certificates.iter().map(parse);
    let leaf = certificates.next().ok_or_else(|| answer.malformed(wanted, "an empty one"))??;
    if leaf.public_key() != signer.public_key() {
        return Err(answer.malformed("a certificate for our key", "one for another key"));
    }
    Ok(IssuedChain { leaf, issuers: certificates.collect::<Result<_, _>>()? })
}
