//! What the commands do, as a user sees it: each is a process of its own, in an empty environment,
//! with an instance, an identity provider and a registry on loopback.

mod algorithms;
mod attach;
mod attest;
mod beside;
mod blobs;
mod bundles;
mod coverage;
mod debug;
mod detached;
mod empty;
mod files;
mod initialize;
mod keys;
mod kubernetes;
mod layouts;
mod login;
mod named_in_files;
mod output_files;
mod own_certificates;
mod platforms;
mod policies;
mod push_rights;
mod recursive;
mod sign;
mod sign_recursive;
mod signed_names;
mod spelling;
mod stamping;
#[cfg(target_os = "linux")]
mod swollen;
mod trust;
mod verbose;
mod verify;
mod waivers;
mod world;
mod wrong;
