//! The gateway's promises, each tried over the real client, real sockets, the
//! real AWS SDK and the emulator. One module a promise.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod certificates;
mod program;
mod raw;
mod redis_server;
mod support;

mod aws;
mod bad_input;
mod callers;
mod commands;
mod configuration;
mod deadlines;
mod health;
mod idempotency;
mod identity;
mod limits;
mod mtls;
mod policy;
mod redis;
mod reflection;
mod refusals;
mod reload;
mod replicas;
mod sessions;
mod shutdown;
mod tls;
mod validation;
