//! An OCI registry, asked so that its answers cannot mislead: content is hashed here, "none" is
//! told apart from "could not look", and credentials reach the configured host only.
//!
//! OCI distribution specification v1.1. Token authentication, credential helpers and deletion are
//! not spoken yet.

pub mod attach;
mod authorization;
mod blob;
pub mod discover;
pub mod manifest;
pub mod referrers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use evidence::{ImageRef, RegistryHost};
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};

pub use attach::{Attached, BundleContent, NewReferrer};
pub use discover::{Found, Ignored, IgnoredReason, RawEvidence};
pub use manifest::{Descriptor, ImageIndex, ImageManifest, Manifest, ManifestContent};
pub use referrers::{Referrers, ReferrersSource};

use crate::address;
use crate::credentials::DockerConfig;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind, Unauthorized, host_of};
use crate::http::{Answer, Http, Request};

/// Hosts remembered to want a password. Beyond that all are forgotten, at the cost of one request.
const HOSTS_MAX: usize = 1024;

/// Asks registries, as one user. Cheap to share.
#[derive(Debug)]
pub struct Registry {
    http: Arc<Http>,
    logins: DockerConfig,
    /// Hosts that asked for a password, which is sent without being asked again.
    wants_password: Mutex<HashSet<RegistryHost>>,
}

impl Registry {
    /// Asks with these logins, and without any where a host does not ask who we are.
    #[must_use]
    pub fn new(http: Arc<Http>, logins: DockerConfig) -> Self {
        Self { http, logins, wants_password: Mutex::default() }
    }

    /// Sends a request about an image, with its registry's credentials if the registry, and nobody
    /// else, asks for them.
    async fn send(
        &self,
        image: &ImageRef,
        request: Request,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let ours = self.base(image)?.origin() == request.url.origin();
        let known = ours && self.wants_password().contains(image.registry());
        let authorization = if known { Some(self.password(image, &request)?) } else { None };
        let request = request.authorized(authorization);
        let answer = self.http.send(&request, deadline).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if !ours || answer.url.origin() != request.url.origin() {
            let host = host_of(&answer.url);
            return Err(answer.error(Unauthorized::Elsewhere { host }));
        }
        if known {
            self.wants_password().remove(image.registry());
            return Err(answer.refusal());
        }
        authorization::wants_basic(&answer)?;
        let authorization = self.password(image, &request)?;
        self.remember(image.registry());
        let answer = self.http.send(&request.authorized(Some(authorization)), deadline).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.wants_password().remove(image.registry());
            return Err(answer.refusal());
        }
        Ok(answer)
    }

    fn password(&self, image: &ImageRef, request: &Request) -> Result<HeaderValue, FetchError> {
        let basic = self.logins.login(image).map_err(|problem| request.error(problem))?;
        Ok(authorization::basic(basic))
    }

    fn remember(&self, host: &RegistryHost) {
        let mut hosts = self.wants_password();
        if hosts.len() >= HOSTS_MAX {
            hosts.clear();
        }
        hosts.insert(host.clone());
    }

    fn wants_password(&self) -> std::sync::MutexGuard<'_, HashSet<RegistryHost>> {
        // Nothing under the lock can leave the set half-changed.
        self.wants_password.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL below which an image's registry answers.
    fn base(&self, image: &ImageRef) -> Result<Url, FetchError> {
        address::of_registry(image.registry()).ok_or_else(|| {
            let attempt = crate::error::Attempt {
                method: reqwest::Method::GET,
                url: image.to_string(),
                host: image.registry().to_string(),
                tries: 0,
            };
            let wanted = "an international host name";
            let found = image.registry().to_string();
            FetchError::new(attempt, FetchErrorKind::Malformed { wanted, found })
        })
    }

    /// The URL of something in an image's repository. The repository and all that is put into
    /// `path` have grammars without characters that a URL would read otherwise.
    fn url(&self, image: &ImageRef, path: &str) -> Result<Url, FetchError> {
        let mut url = self.base(image)?;
        url.set_path(&format!("/v2/{}/{path}", image.repository()));
        Ok(url)
    }
}
