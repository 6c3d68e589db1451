//! The project's own checks: `tidy`, the house's invariants as an ordinary test, and `interop`,
//! the real clients of others against a running instance. Nothing here is shipped.

pub mod interop;
pub mod tidy;
