//! Groups of arguments that several commands share, and what comes of them.

pub(crate) mod annotations;
pub(crate) mod attaching;
pub(crate) mod attestations;
pub(crate) mod blob;
pub(crate) mod demands;
pub(crate) mod detached;
pub(crate) mod identity;
pub(crate) mod image_verification;
pub(crate) mod images;
pub(crate) mod instance;
pub(crate) mod keys;
pub(crate) mod kubernetes;
pub(crate) mod named_trust;
pub(crate) mod network;
pub(crate) mod older;
pub(crate) mod platform;
pub(crate) mod policy_files;
pub(crate) mod predicates;
pub(crate) mod recursion;
pub(crate) mod signing;
pub(crate) mod specification;
pub(crate) mod stamping;
pub(crate) mod trust;
