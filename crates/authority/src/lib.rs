//! Judges a request, then signs: short-lived certificates for identities that a token proves, and
//! timestamps.
//!
//! One request runs through the rooms in this order: [`token`] proves who asks, [`identity`] says
//! what a certificate calls them, [`issue`] checks that they hold their key and issues, having
//! [`ct`] log the certificate first. [`stamp`] stands alone. What the authority needs of the world
//! (documents of an identity provider, a CT log's storage) are traits here, implemented elsewhere.
//!
//! No HTTP, no clock, no environment: time, randomness and keys are arguments.

pub mod certificate;
pub mod ct;
pub mod identity;
pub mod issue;
pub mod issuer;
pub mod jose;
pub mod stamp;
pub mod token;
pub mod wire;

pub use certificate::SerialNumber;
pub use ct::CtLog;
pub use identity::Identity;
pub use issue::{Applicant, CertificateAuthority, IssuedCertificate, IssuingAuthority};
pub use issuer::{Issuer, Issuers};
pub use stamp::TimestampAuthority;
pub use token::{TokenVerifier, VerifiedToken};
pub use wire::WireError;
