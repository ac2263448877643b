//! What the emulator promises, over real sockets: one module a promise.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod binary;
mod constraints;
mod control;
mod faults;
mod handle;
mod journal;
mod protocol;
mod quotas;
mod sessions;
mod signatures;
mod support;
