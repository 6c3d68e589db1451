//! The certificate authority: Fulcio's v2 REST API.
//!
//! fulcio `fulcio.proto` (`dev.sigstore.fulcio.v2.CA`) through grpc-gateway: camelCase out,
//! camelCase or snake_case in. A bad token is 400, never 401, because clients look for it.

use std::sync::Arc;

use ::authority::issue::proof::{Proof, SigningAlgorithm};
use ::authority::wire::{INVALID_CSR, INVALID_KEY, INVALID_SIGNATURE, INVALID_TOKEN};
use ::authority::{Applicant, Identity, SerialNumber, TokenVerifier, WireError};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::{get, post};
use axum::{Json, Router};
use evidence::Certificate;
use evidence::proto_json::Base64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::RequestBody;
use super::{ApiError, Services};
use crate::documents::Documents;

/// Longest request read, in bytes: the longest token and certificate signing request that are
/// read, and what stands around them.
const REQUEST_SIZE_MAX: usize = 64 * 1024;

/// Verifies identity tokens with keys fetched over HTTP.
pub(crate) type Tokens = TokenVerifier<Documents>;

/// `POST /api/v2/signingCert`, `GET /api/v2/trustBundle`, `GET /api/v2/configuration`.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v2/signingCert", post(issue))
        .route("/api/v2/trustBundle", get(trust_bundle))
        .route("/api/v2/configuration", get(configuration))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningRequest {
    credentials: Option<Credentials>,
    #[serde(alias = "public_key_request")]
    public_key_request: Option<PublicKeyRequest>,
    #[serde(alias = "certificate_signing_request")]
    certificate_signing_request: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(alias = "oidc_identity_token")]
    oidc_identity_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    #[serde(alias = "public_key")]
    public_key: Option<PublicKeyJson>,
    #[serde(alias = "proof_of_possession")]
    proof_of_possession: Option<String>,
}

#[derive(Deserialize)]
struct PublicKeyJson {
    content: Option<String>,
}

async fn issue(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: RequestBody<REQUEST_SIZE_MAX>,
) -> Result<Json<Value>, ApiError> {
    let request: SigningRequest =
        evidence::json::read(&body).map_err(|error| ApiError::not_json(&error))?;
    let token = token_of(&request, &headers).ok_or_else(|| WireError::invalid(INVALID_TOKEN))?;
    let now = (services.instance.clock)();
    let token = services.tokens.verify(token, now).await.map_err(|error| {
        tracing::info!(error = &error as &dyn std::error::Error, "a token was refused");
        error.wire()
    })?;
    let identity = Identity::of(&token).map_err(|error| {
        tracing::info!(error = &error as &dyn std::error::Error, "a token names no identity");
        error.wire()
    })?;
    let applicant = prove(identity, &request).inspect_err(|error| {
        tracing::info!(?error, "possession of a key was not proven");
    })?;
    let serial = SerialNumber::from_random(crypto::random::bytes());
    let issued =
        services.instance.certificates.issue(&applicant, serial, now).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "no certificate was issued");
            error.wire()
        })?;
    // Fulcio's own certificates end without a line feed here.
    let certificates: Vec<_> = issued.to_pems().map(|pem| pem.trim_end().to_owned()).collect();
    Ok(Json(json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}})))
}

/// The token in the body wins over the one in the header, as in Fulcio.
fn token_of<'a>(request: &'a SigningRequest, headers: &'a HeaderMap) -> Option<&'a str> {
    let credentials = request.credentials.as_ref();
    let in_body = credentials.and_then(|credentials| credentials.oidc_identity_token.as_deref());
    in_body.filter(|token| !token.is_empty()).or_else(|| bearer(headers))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn prove(identity: Identity, request: &SigningRequest) -> Result<Applicant, WireError> {
    let decode = |text: &str, message| {
        Base64::decode(text).map(|decoded| decoded.0).map_err(|_| WireError::invalid(message))
    };
    let key_request = &request.public_key_request;
    let csr = request.certificate_signing_request.as_deref().filter(|text| !text.is_empty());
    let proven = match (key_request, csr) {
        // They are alternatives of one field in `fulcio.proto`.
        (Some(_), Some(_)) => {
            let message =
                "wanted one of publicKeyRequest and certificateSigningRequest, found both";
            return Err(WireError::invalid(message));
        }
        (None, Some(csr)) => {
            let pem = decode(csr, INVALID_CSR)?;
            Applicant::prove(identity, Proof::Request(&pem), &SigningAlgorithm::ALL)
        }
        (Some(key_request), None) => {
            let public_key = key_request.public_key.as_ref().and_then(|key| key.content.as_deref());
            let public_key = public_key.ok_or_else(|| WireError::invalid(INVALID_KEY))?.as_bytes();
            let signature = key_request.proof_of_possession.as_deref().unwrap_or_default();
            let signature = &decode(signature, INVALID_SIGNATURE)?;
            Applicant::prove(
                identity,
                Proof::Signature { public_key, signature },
                &SigningAlgorithm::ALL,
            )
        }
        (None, None) => return Err(WireError::invalid(INVALID_KEY)),
    };
    proven.map_err(|error| error.wire())
}

async fn trust_bundle(State(services): State<Arc<Services>>) -> Json<Value> {
    let chain = services.instance.certificates.authority().chain();
    let certificates: Vec<_> = chain.iter().map(Certificate::to_pem).collect();
    Json(json!({"chains": [{"certificates": certificates}]}))
}

async fn configuration(State(services): State<Arc<Services>>) -> Json<Value> {
    let issuers: Vec<_> = services
        .tokens
        .issuers()
        .map(|issuer| {
            json!({
                "issuerUrl": issuer.url(),
                "audience": issuer.client_id(),
                "challengeClaim": issuer.kind().challenge_claim(),
                "spiffeTrustDomain": "",
                "issuerType": issuer.kind().name(),
                "subjectDomain": "",
                "skipEmailVerification": false,
            })
        })
        .collect();
    Json(json!({"issuers": issuers}))
}
