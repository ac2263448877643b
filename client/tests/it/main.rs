//! What the client promises, over real sockets.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml allows them in test functions, not in their helpers"
)]

mod attempts;
mod balancing;
mod calls;
mod deadlines;
mod errors;
mod examples;
mod malformed;
mod package;
mod resolution;
mod security;
mod support;
mod trace_context;
