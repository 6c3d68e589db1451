//! What is wanted of evidence: a signer and what is demanded besides, as the policy that it makes.

use std::sync::Arc;

use client::sign::SigningSession;
use crypto::PublicKey;
use verify::{
    Authority, ClaimPattern, Demands, IdentityPattern, NonEmpty, Pattern, Policy, Requirement,
    TrustRoot,
};

use crate::exit::{Exit, Failure};

/// Who must have signed, and what is demanded besides.
pub(crate) struct Wanted {
    pub(super) signer: Signer,
    pub(super) demands: Demands,
}

/// Who must have signed.
pub(crate) enum Signer {
    /// The holder of this key.
    Key(Box<PublicKey>),
    /// Whoever was certified as this.
    Identity(IdentityPattern),
    /// Whoever was certified.
    Anybody,
}

impl Wanted {
    /// The key that must have signed, if it is one.
    pub(crate) fn key(&self) -> Option<&PublicKey> {
        match &self.signer {
            Signer::Key(key) => Some(key),
            Signer::Identity(_) | Signer::Anybody => None,
        }
    }

    /// The policy that one signer said that, under this trust root.
    pub(crate) fn policy(self, roots: TrustRoot, claim: ClaimPattern) -> Policy {
        let Self { signer, demands } = self;
        let roots = Arc::new(roots);
        let keyless = |name: &str, roots, identity| Authority::Keyless {
            name: name.to_owned(),
            roots,
            identities: NonEmpty::new(identity),
            demands,
        };
        let (name, authority) = match signer {
            Signer::Key(key) => {
                let name = "the command line";
                (name, Authority::Key { name: name.to_owned(), roots, key, demands })
            }
            Signer::Identity(identity) => {
                let name = "the command line";
                (name, keyless(name, roots, identity))
            }
            Signer::Anybody => {
                let pattern =
                    |expression| Pattern::regex(expression).expect("the expression is well-formed");
                // Whether there must be a provider is said by what is demanded.
                let (issuer, subject) = (pattern("(?s)^"), pattern("(?s)."));
                let anybody = IdentityPattern { issuer, subject, extensions: Vec::new() };
                ("nobody is named", keyless("anybody", roots, anybody))
            }
        };
        let mut requirement = Requirement::any_claim_by(NonEmpty::new(authority));
        requirement.claim = claim;
        Policy { name: name.to_owned(), requirements: NonEmpty::new(requirement) }
    }
}

/// The policy that this session's signer said that.
pub(crate) fn of_session(
    session: &SigningSession<'_>,
    claim: ClaimPattern,
) -> Result<Policy, Failure> {
    let authority = session.authority().map_err(|error| {
        Failure::new(Exit::Failure, "it cannot be said who signs").caused_by(error)
    })?;
    let mut requirement = Requirement::any_claim_by(NonEmpty::new(authority));
    requirement.claim = claim;
    let name = "this signer".to_owned();
    Ok(Policy { name, requirements: NonEmpty::new(requirement) })
}
