//! Tests of the binary as a whole: its own processes, real sockets on loopback, nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod admit;
mod authority_api;
mod bounds;
mod commands;
mod demo;
mod health;
mod https;
mod instance;
mod killed;
mod life;
mod log_v1_api;
mod log_v2_api;
#[cfg(target_os = "linux")]
mod memory;
mod process;
mod registry_check;
mod tiles_api;
mod timestamp_api;
mod trust;
mod wire;
