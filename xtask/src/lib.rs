//! The project's own checks: `tidy`, the house's invariants as an ordinary test; `interop`, the
//! real clients of others against a running instance; and `load`, how much such an instance takes.
//! Nothing here is shipped.

pub mod interop;
pub mod load;
pub mod tidy;
