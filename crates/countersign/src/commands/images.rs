//! What the image commands share: registries, logins, and finding an image.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::registry::Manifest;
use client::{Deadline, DockerConfig, FetchError, Http, Registry};
use evidence::ImageRef;

use crate::exit::{Exit, Failure};
use crate::machine;

/// Time for all requests about one image (Cosign's default).
pub(crate) const IMAGE_TIMEOUT: Duration = Duration::from_secs(180);

/// A registry client with the user's logins.
pub(crate) fn registry(http: &Arc<Http>) -> Result<Registry, Failure> {
    let logins = match docker_config() {
        Some(path) => DockerConfig::read(&path).map_err(|error| {
            Failure::usage("cannot use the registry logins")
                .caused_by(error)
                .hint("mend the file, or name another directory in DOCKER_CONFIG")
        })?,
        None => DockerConfig::default(),
    };
    Ok(Registry::new(Arc::clone(http), logins))
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, as Docker has it.
fn docker_config() -> Option<PathBuf> {
    let directory = machine::variable("DOCKER_CONFIG").map(PathBuf::from);
    let directory =
        directory.or_else(|| Some(PathBuf::from(machine::variable("HOME")?).join(".docker")))?;
    Some(directory.join("config.json"))
}

/// Parses an image reference that the user gave.
pub(crate) fn parse(text: &str) -> Result<ImageRef, Failure> {
    text.parse().map_err(|error: evidence::image::ParseImageRefError| {
        Failure::usage(format!("cannot use the image `{}`", text.escape_debug())).caused_by(error)
    })
}

/// What the reference stands for now.
pub(crate) async fn resolve(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<Manifest, Failure> {
    registry
        .resolve(image, deadline)
        .await
        .map_err(|error| not_looked_at(&format!("{image} cannot be looked up"), error))
}

/// A registry that could not be asked says nothing about signatures.
pub(crate) fn not_looked_at(what: &str, error: FetchError) -> Failure {
    let hint = error.hint();
    let failure = Failure::new(Exit::Unknown, what).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
