//! Who gets a certificate or a timestamp, who does not, and what exactly is signed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod abort;
mod chain;
mod claim_sets;
mod forge;
mod identity;
mod issue;
mod issuer;
mod keys;
mod lint;
mod openssl;
mod proof;
mod stamp;
mod token;
mod world;
