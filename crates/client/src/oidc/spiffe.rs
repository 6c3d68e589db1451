//! SPIFFE: the agent that a variable names, or whose socket is where SPIRE puts it.

use super::source::{Source, TokenError};
use super::workload_api::{Endpoint, VARIABLE};
use crate::secret::Secret;

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let endpoint = match source.variable(VARIABLE) {
        Some(text) => Endpoint::parse(text.expose())?,
        None if source.places.spiffe_socket.exists() => {
            Endpoint::Unix(source.places.spiffe_socket.clone())
        }
        None => return Ok(None),
    };
    Ok(Some(endpoint.fetch(source.audience, source.deadline).await?))
}
