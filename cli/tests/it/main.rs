//! The program as users and scripts run it: the built binary, its output byte for
//! byte, its exit status, and what reaches the gateway.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod calls;
mod commands;
mod credentials;
mod formats;
mod readme;
mod recorded;
mod settings;
mod support;
mod terminal;
mod upstream;
