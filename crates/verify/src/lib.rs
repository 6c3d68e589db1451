//! Evidence, a trust root and a time into proven facts; a case and a policy into a verdict.
//!
//! One chain proves one piece of evidence, each step taking what the step before has proven:
//! [`logged`] (the log has it), [`time`] (when), [`signer`] (who), [`claim`] (about what). The
//! judge in [`policy`] runs it for every piece and requirement and keeps every reason.
//!
//! Pure: no input or output, no clock, no environment, no global state. A type named `Verified…`
//! can only be made by the function that verified it.

mod authority;
pub mod chain;
mod check;
pub mod claim;
pub mod demands;
pub mod explain;
pub mod identity;
mod judge;
pub mod logged;
pub mod policy;
pub mod predicate;
mod publication;
mod refusal;
pub mod rule;
pub mod signer;
mod threshold;
pub mod time;
pub mod trust_root;
pub mod verdict;
pub mod wanted;

pub use authority::Authority;
pub use check::Check;
pub use claim::{Artifact, Said, VerifiedClaim};
pub use demands::{
    CertificateTransparency, Demands, Intermediates, Logging, ProviderName, TimeSource,
};
pub use explain::{Explanation, Trace};
pub use identity::{IdentityPattern, Pattern};
pub use logged::{Logged, VerifiedEntry};
pub use nonempty::NonEmpty;
pub use policy::{Case, Piece, Policy, Requirement};
pub use predicate::{Objection, Predicate, Question};
pub use refusal::{EntryPart, Observers, Refusal, WantedIn};
pub use rule::{Rule, Which};
pub use signer::VerifiedSigner;
pub use time::VerifiedTime;
pub use trust_root::{Thresholds, TrustRoot};
pub use verdict::{Ground, Grounds, Obstacle, ObstacleKind, Reason, Verdict};
pub use wanted::{ClaimKind, ClaimPattern};
