//! `source.oci`: a registry, or a registry and a repository, in the strict form that
//! policy-controller accepts (`pkg/apis/policy/common`, `name.StrictValidation`).

use evidence::image::RegistryHost;

/// Checks the text; the error says what is wrong.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (host, repository) = match text.split_once('/') {
        Some((host, repository)) if host.contains(['.', ':']) => (host, Some(repository)),
        _ => (text, None),
    };
    let registry: RegistryHost =
        host.parse().map_err(|_| "the registry is no lower-case host with an optional port")?;
    let Some(repository) = repository else { return Ok(()) };
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b);
    if !repository.bytes().all(legal) {
        return Err("a repository has a-z, 0-9 and `_-./` only");
    }
    // Name lengths of go-containerregistry (`pkg/name`).
    if !(2..=255).contains(&repository.len()) {
        return Err("a repository has 2 to 255 characters");
    }
    if registry.is_docker_hub() && !repository.contains('/') {
        return Err("a repository of Docker Hub is written in full, with `library/`");
    }
    Ok(())
}
