//! Tests of the door: reviews in, answers out, with a scripted outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod answer;
mod bypass;
mod images;
mod judge;
mod recordings;
mod review;
mod world;
