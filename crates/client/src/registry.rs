//! An OCI registry, asked so that its answers cannot mislead: content is hashed here, "none" is
//! told apart from "could not look", and credentials reach the configured host only.
//!
//! OCI distribution specification v1.1, and the distribution project's token authentication.

pub mod attach;
pub mod attachment;
mod authorization;
mod blob;
pub mod clean;
pub mod copy;
pub mod cosign_tags;
mod delete;
pub mod discover;
mod fallback;
pub mod index_content;
pub mod inventory;
pub mod manifest;
pub(crate) mod members;
mod mirror;
mod options;
pub mod probe;
mod push_right;
pub mod referrers;
mod shared_tag;
pub(crate) mod stream;
mod tags;
mod target;
mod token;
pub(crate) mod walk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::{ImageRef, RegistryHost};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};

pub use attach::{Attached, BundleContent, NewReferrer};
pub use attachment::{Attachment, AttachmentKind, Place};
pub use blob::Pushed;
pub use clean::{Cleaned, Cleaning};
pub use copy::{Copied, Copying};
pub use cosign_tags::CosignTag;
pub use delete::Deleted;
pub use discover::{Discovery, Found, Ignored, IgnoredReason, RawEvidence};
pub use index_content::{IndexContent, Named, NamedKind};
pub use inventory::Inventory;
pub use manifest::{
    Descriptor, ImageIndex, ImageManifest, LookedUp, Manifest, ManifestContent, Platform, Presence,
};
pub use mirror::{MirrorRule, MirrorTags, ParseMirrorError};
pub use options::RegistryOptions;
pub use probe::RegistryProbe;
pub use push_right::{NoPushError, Who};
pub use referrers::{Referrers, ReferrersSource};
pub use tags::Tags;
pub use target::{ParseTargetError, TargetRepository};
pub use token::{ParseTokenRealmError, TokenRealm};

use authorization::Demand;
use token::{Access, Scope};

use crate::address;
use crate::credentials::{Credential, Keychain};
use crate::deadline::Deadline;
use crate::error::{Attempt, FetchError, FetchErrorKind, Unauthorized, host_of};
use crate::http::{Answer, Http, Request};
use crate::kept::Kept;
use crate::secret::Secret;

/// Demands remembered. Beyond that all are forgotten, at the cost of one request each.
const DEMANDS_MAX: usize = 1024;

/// Asks registries, as one user. Cheap to share.
#[derive(Debug)]
pub struct Registry {
    http: Arc<Http>,
    keychain: Keychain,
    options: RegistryOptions,
    /// What hosts, and repositories in them, asked for; it is sent without being asked again.
    demands: Mutex<HashMap<String, Demand>>,
    tokens: Kept<Secret>,
}

/// What goes into a request's `Authorization` header.
struct Proof {
    header: HeaderValue,
    /// The name under which the token is kept, if it is one.
    token: Option<String>,
    /// Whether it shows who we are, or nobody.
    anonymous: bool,
}

impl Registry {
    /// Asks with these logins, and without any where a host does not ask who we are.
    #[must_use]
    pub fn new(http: Arc<Http>, logins: impl Into<Keychain>) -> Self {
        Self::with_options(http, logins, RegistryOptions::default())
    }

    /// The same, with what the operator says about registries.
    #[must_use]
    pub fn with_options(
        http: Arc<Http>,
        logins: impl Into<Keychain>,
        options: RegistryOptions,
    ) -> Self {
        let keychain = logins.into();
        Self { http, keychain, options, demands: Mutex::default(), tokens: Kept::default() }
    }

    /// Asks whether the registry takes the credentials that there are for it: what `login` does
    /// before it stores them.
    ///
    /// # Errors
    /// When it does not, or cannot be asked.
    pub async fn check_login(
        &self,
        host: &RegistryHost,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        // The base of the API belongs to no repository. One has to be named all the same, because
        // logins may be for repositories; none has this name.
        let image: ImageRef = format!("{host}/countersign/login").parse().map_err(|_| {
            let attempt = unasked(host.as_str(), host);
            let wanted = "a registry";
            FetchError::new(attempt, FetchErrorKind::Malformed { wanted, found: host.to_string() })
        })?;
        self.prepare(&image, deadline).await?;
        let request = Request::get(self.base(&image)?, "an answer", 64 * 1024);
        let scope = Scope { access: Access::Nothing, from: None };
        self.send_as(&image, request, &scope, deadline).await?.wanted(&[200])?;
        Ok(())
    }

    /// Sends a request about an image, with its registry's credentials if the registry, and nobody
    /// else, asks for them.
    async fn send(
        &self,
        image: &ImageRef,
        request: Request,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let scope = Scope::of(&request.method);
        self.send_as(image, request, &scope, deadline).await
    }

    /// The same, for a request that is part of something that needs more access than it alone.
    async fn send_as(
        &self,
        image: &ImageRef,
        mut request: Request,
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        self.prepare(image, deadline).await?;
        let base = self.base(image)?;
        self.http.same_scheme(&mut request.url, &base);
        let ours = base.origin() == request.url.origin();
        let known = if ours { self.remembered(image, scope) } else { None };
        let proof = match &known {
            Some(demand) => Some(self.prove(image, demand, scope, &request, deadline).await?),
            None => None,
        };
        let header = proof.as_ref().map(|proof| proof.header.clone());
        let answer = self.http.send(&request.clone().authorized(header), deadline).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if !ours || answer.url.origin() != request.url.origin() {
            let host = host_of(&answer.url);
            return Err(answer.error(Unauthorized::Elsewhere { host }));
        }
        self.forget(image, scope, proof.as_ref());
        // A refused password stays refused; a token may have expired, or may not reach far enough.
        if proof.as_ref().is_some_and(|proof| proof.token.is_none()) {
            return Err(answer.refusal());
        }
        let demand = authorization::demand(&answer)?;
        let proof = self.prove(image, &demand, scope, &request, deadline).await?;
        let header = Some(proof.header.clone());
        let answer = self.http.send(&request.authorized(header), deadline).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.forget(image, scope, Some(&proof));
            return Err(if proof.anonymous {
                answer.error(Unauthorized::NoCredentials)
            } else {
                answer.refusal()
            });
        }
        self.remember(image, scope, demand);
        Ok(answer)
    }

    /// What a registry wants to see, made of what there is for it.
    async fn prove(
        &self,
        image: &ImageRef,
        demand: &Demand,
        scope: &Scope,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Proof, FetchError> {
        let unasked = |problem: Unauthorized| request.error(problem);
        let credential = self.keychain.credential(&self.http, image, deadline).await?;
        let credential = credential.map_err(unasked)?;
        let known = |header| Proof { header, token: None, anonymous: false };
        match (&credential, &demand.bearer) {
            (Some(Credential::Basic(basic)), _) if demand.basic => {
                Ok(known(authorization::basic(basic)))
            }
            (Some(Credential::Token { token }), Some(_)) => {
                let broken = Unauthorized::BrokenEntry { problem: "the token is no visible ASCII" };
                token.to_authorization("Bearer").map(known).ok_or_else(|| unasked(broken))
            }
            (credential, Some(bearer)) => {
                let credential = credential.as_ref();
                let (token, name) = self.token(image, bearer, scope, credential, deadline).await?;
                let header = token.to_authorization("Bearer").expect("a kept token was tried");
                Ok(Proof { header, token: Some(name), anonymous: credential.is_none() })
            }
            (None, None) => Err(unasked(Unauthorized::NoCredentials)),
            (Some(credential), None) => {
                let wanted = "a user and a password";
                Err(unasked(Unauthorized::Unfit { wanted, found: credential.kind() }))
            }
        }
    }

    fn remembered(&self, image: &ImageRef, scope: &Scope) -> Option<Demand> {
        let demands = self.demands();
        demands.get(&demand_name(image, scope)).or(demands.get(image.registry().as_str())).cloned()
    }

    fn remember(&self, image: &ImageRef, scope: &Scope, demand: Demand) {
        let mut demands = self.demands();
        if demands.len() + 2 > DEMANDS_MAX {
            demands.clear();
        }
        // The scope that was asked for belongs to this repository alone.
        let mut general = demand.clone();
        if let Some(bearer) = &mut general.bearer {
            bearer.scope = None;
        }
        demands.insert(demand_name(image, scope), demand);
        demands.insert(image.registry().to_string(), general);
    }

    fn forget(&self, image: &ImageRef, scope: &Scope, proof: Option<&Proof>) {
        let mut demands = self.demands();
        demands.remove(&demand_name(image, scope));
        demands.remove(image.registry().as_str());
        drop(demands);
        if let Some(name) = proof.and_then(|proof| proof.token.as_ref()) {
            self.tokens.forget(name);
        }
    }

    fn demands(&self) -> MutexGuard<'_, HashMap<String, Demand>> {
        // Nothing under the lock can leave the map half-changed.
        self.demands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out how a host is spoken to, where the operator leaves that open.
    async fn prepare(&self, image: &ImageRef, deadline: Deadline) -> Result<(), FetchError> {
        let Some(url) = address::of_registry(image.registry()) else { return Ok(()) };
        self.http.prepare(&url, deadline).await
    }

    /// The URL below which an image's registry answers.
    fn base(&self, image: &ImageRef) -> Result<Url, FetchError> {
        let url = address::of_registry(image.registry()).ok_or_else(|| {
            let attempt = unasked(&image.to_string(), image.registry());
            let wanted = "an international host name";
            let found = image.registry().to_string();
            FetchError::new(attempt, FetchErrorKind::Malformed { wanted, found })
        })?;
        Ok(self.http.spoken(url))
    }

    /// The URL of something in an image's repository. The repository and all that is put into
    /// `path` have grammars without characters that a URL would read otherwise.
    fn url(&self, image: &ImageRef, path: &str) -> Result<Url, FetchError> {
        let mut url = self.base(image)?;
        url.set_path(&format!("/v2/{}/{path}", image.repository()));
        Ok(url)
    }
}

/// An attempt that was never made.
fn unasked(url: &str, host: &RegistryHost) -> Attempt {
    Attempt { method: Method::GET, url: url.to_owned(), host: host.to_string(), tries: 0 }
}

/// Under which name it is kept what a repository asked for.
fn demand_name(image: &ImageRef, scope: &Scope) -> String {
    format!("{}\n{:?}", image.name(), scope.access)
}
