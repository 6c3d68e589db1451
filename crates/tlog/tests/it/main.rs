//! Tests of the log from the outside: everything here uses the public interface only.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abort;
mod certificates;
mod checkpoints;
mod faults;
mod index;
mod intake;
mod intake_public;
mod intake_refusals;
mod kill;
mod log;
mod numbered;
mod posix;
mod refusals;
mod simulation;
mod syscalls;
mod tiles;
mod tree;
mod world;
