//! What the admission promises under load, over the real client, real sockets,
//! the real AWS SDK and the emulator. The figures are printed: see them with
//! `cargo test --test load -- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and the figures are for whoever reads the output"
)]

#[path = "../it/support.rs"]
#[expect(dead_code, reason = "the other suite uses the rest")]
mod support;

mod burst;
mod fairness;
mod intents;
mod offers;
mod quota;

/// The tests run one after the other: each needs the machine for its figures.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
