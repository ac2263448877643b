//! What the client promises, over real sockets.

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
