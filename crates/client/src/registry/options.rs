//! How one user's registries differ from what their names say: token services, mirrors, and the
//! repository that signatures go to.

use super::mirror::MirrorRule;
use super::token::TokenRealm;

/// What an operator says about registries. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Token services on other hosts than their registries', vouched for.
    pub token_realms: Vec<TokenRealm>,
    /// Where content is looked for before its own registry is asked.
    pub mirrors: Vec<MirrorRule>,
}
