//! SPIFFE: the agent that a variable names, or whose socket is where SPIRE puts it.

use super::socket::is_safely_there;
use super::source::{Source, TokenError};
use super::workload_api::{Endpoint, VARIABLE};
use crate::secret::Secret;

pub(super) fn is_there(source: &Source<'_>) -> bool {
    let socket = is_safely_there(&source.places.spiffe_socket);
    source.variable(VARIABLE).is_some() || matches!(socket, Ok(true))
}

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let socket = &source.places.spiffe_socket;
    let endpoint = match source.variable(VARIABLE) {
        Some(text) => Endpoint::parse(text.expose())?,
        None if is_safely_there(socket)? => Endpoint::Unix(socket.clone()),
        None => return Ok(None),
    };
    Ok(Some(endpoint.fetch(source.audience, source.deadline).await?))
}
