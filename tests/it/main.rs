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
mod served;
mod support;

mod admin;
mod admin_tls;
mod aws;
mod bad_input;
mod callers;
mod commands;
mod configuration;
mod corpus;
mod dashboards;
mod deadlines;
mod export;
mod health;
mod healthcheck;
mod idempotency;
mod identity;
mod jwt;
mod limits;
mod logging;
mod logs;
mod lost_answers;
mod metrics;
mod mistakes;
mod mtls;
mod peers;
mod policy;
mod quotas;
mod reasons;
mod redaction;
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
mod stalled;
mod tls;
mod trace_context;
mod traces;
mod validation;
