//! The project's own checks: `tidy`, the house's invariants as an ordinary test; `interop`, the
//! real clients of others against a running instance; `load`, how much such an instance takes; and
//! `measure`, what one command costs. Nothing here is shipped.

pub mod instance;
pub mod interop;
pub mod load;
pub mod measure;
pub mod tidy;
