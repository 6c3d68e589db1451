//! What a registry does where registries differ.

use std::fmt;

/// A registry's choices. The default is an open registry that does everything v1.1 describes.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Who may do what.
    pub access: Access,
    /// The referrers API.
    pub referrers: Referrers,
    /// Whether a tag that exists may be pointed at another manifest.
    pub tags_mutable: bool,
    /// Whether tags, manifests and blobs may be deleted.
    pub deletion: bool,
    /// Whether a manifest is refused that names blobs or manifests which are not there.
    pub references_checked: bool,
    /// Whether `If-Match` and `If-None-Match` are obeyed when a manifest is pushed. Many registries
    /// ignore them.
    pub conditions_obeyed: bool,
    /// How many requests are answered at all.
    pub rate_limit: Option<RateLimit>,
    /// Largest number of tags or referrers in one answer; at least 1.
    pub page_size_max: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            access: Access::Open,
            referrers: Referrers::On,
            tags_mutable: true,
            deletion: true,
            references_checked: true,
            conditions_obeyed: true,
            rate_limit: None,
            page_size_max: 1000,
        }
    }
}

/// The referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// Offered, with the `artifactType` filter.
    On,
    /// Offered, but the filter is ignored, as the specification allows.
    WithoutFilter,
    /// Absent: 404, and no `OCI-Subject`.
    Off,
}

/// Who may do what.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody may do everything.
    Open,
    /// HTTP basic authentication (RFC 7617) for everything.
    Basic(Credentials),
    /// Bearer tokens from the registry's own token endpoint, which takes the credentials.
    Bearer {
        /// The one account; it may do everything.
        credentials: Credentials,
        /// Whether tokens to pull are given to those who show no credentials.
        anonymous_pull: bool,
        /// The realm that the challenge names instead of the registry's own: a hostile registry
        /// sends clients and their credentials elsewhere.
        realm: Option<String>,
    },
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name; without a colon (RFC 7617 §2).
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, password withheld)", self.user)
    }
}

/// A number of requests, and what is said afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests answered before all others get 429.
    pub requests: u64,
    /// What `Retry-After` says, in seconds.
    pub retry_after_s: u32,
}
