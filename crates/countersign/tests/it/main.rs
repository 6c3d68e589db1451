//! Tests of the binary as a whole: its own processes, real sockets on loopback, nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod admit;
mod demo;
mod https;
mod process;
