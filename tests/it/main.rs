//! The gateway's promises, each tried over the real client, real sockets, the
//! real AWS SDK and the emulator. One module a promise.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod certificates;
mod collector;
mod http;
mod program;
mod raw;
mod redis_server;
mod replica;
mod support;

mod admin;
mod aws;
mod bad_input;
mod callers;
mod commands;
mod configuration;
mod dashboards;
mod deadlines;
mod health;
mod healthcheck;
mod idempotency;
mod identity;
mod limits;
mod logging;
mod logs;
mod lost_answers;
mod metrics;
mod mistakes;
mod mtls;
mod peers;
mod policy;
mod reasons;
mod redis;
mod redis_access;
mod redis_cluster;
mod redis_limiter;
mod reflection;
mod refusals;
mod reload;
mod replicas;
mod sessions;
mod shutdown;
mod signals;
mod tls;
mod traces;
mod validation;
