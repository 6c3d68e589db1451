//! Tokens in files: where Cosign looks for one, and where the web identities of clouds are put.
//!
//! Kubernetes documentation, "Launch a pod using service account token projection": whoever writes
//! the pod chooses audience and path. The files of EKS (`AWS_WEB_IDENTITY_TOKEN_FILE`) and AKS
//! (`AZURE_FEDERATED_TOKEN_FILE`) are usually for the cloud, and serve here only if they were made for
//! us.

use std::path::Path;

use super::source::{Source, TokenError, file};
use super::token::IdentityToken;
use crate::secret::Secret;

const WEB_IDENTITIES: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"];

pub(super) fn cosigns(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    file(&source.places.token_file)
}

pub(super) fn web_identities(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    for variable in WEB_IDENTITIES {
        let Some(path) = source.variable(variable) else { continue };
        let Some(token) = file(Path::new(path.expose()))? else { continue };
        let is_ours = |token: IdentityToken| {
            token.audiences().iter().any(|audience| audience == source.audience)
        };
        if IdentityToken::parse(token.clone()).is_ok_and(is_ours) {
            return Ok(Some(token));
        }
    }
    Ok(None)
}
