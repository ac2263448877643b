//! The range of every number and duration.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::check::Check;
use super::settings::{Limit, Settings};
use crate::session::SESSION_LIFETIME;

/// Longer than anything here can mean; more would overflow when added to a time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Far above any machine's cores; each is a thread with an event loop.
const MOST_WORKERS: usize = 1024;

/// Far above any account's quota.
const HIGHEST_LIMIT: u32 = 10_000;

/// Each place in the queue is looked through when a newcomer asks for its turn.
const MOST_WAITING: usize = 10_000;

/// Some 4 GiB.
const MOST_ENTRIES: usize = 10_000_000;

/// Below this not even the headers of gRPC itself fit.
const LEAST_HEADER_BYTES: usize = 1024;

impl Check<'_> {
    /// Notes numbers and durations out of range.
    pub(super) fn bounds(&mut self, settings: &Settings) {
        self.durations(settings);
        self.counts(settings);
        self.highest_limits(settings);
        self.remaining(settings);
    }

    fn durations(&mut self, settings: &Settings) {
        let server = &settings.server;
        let least = Duration::from_millis(1);
        let durations = [
            ("connect_timeout", settings.connect_timeout, least),
            ("read_timeout", settings.read_timeout, least),
            ("server.max_deadline", server.max_deadline, least),
            ("server.handshake_timeout", server.handshake_timeout, least),
            (
                "server.max_connection_idle",
                server.max_connection_idle,
                least,
            ),
            (
                "server.max_connection_age",
                server.max_connection_age,
                least,
            ),
            (
                "server.max_connection_age_grace",
                server.max_connection_age_grace,
                least,
            ),
            (
                "server.keepalive_interval",
                server.keepalive_interval,
                least,
            ),
            ("server.keepalive_timeout", server.keepalive_timeout, least),
            ("server.drain_delay", server.drain_delay, Duration::ZERO),
            ("server.shutdown_grace", server.shutdown_grace, least),
            (
                "auth.jwt.refresh_interval",
                settings.auth.jwt.refresh_interval,
                least,
            ),
            (
                "auth.jwt.max_stale",
                settings.auth.jwt.max_stale,
                Duration::ZERO,
            ),
            ("tls.reload_interval", settings.tls.reload_interval, least),
            ("telemetry.slow_call", settings.telemetry.slow_call, least),
            ("quota.store_timeout", settings.quota.store_timeout, least),
            ("quota.session_length", settings.quota.session_length, least),
            (
                "ledger.min_remaining",
                settings.ledger.min_remaining,
                Duration::ZERO,
            ),
        ];
        for (key, duration, least) in durations {
            if !(least..=LONGEST).contains(&duration) {
                self.mistake(key, format!("must be {least:?} to one day"));
            }
        }
    }

    /// With its whole life asked for, no session would ever be returned again.
    fn remaining(&mut self, settings: &Settings) {
        if settings.ledger.min_remaining >= SESSION_LIFETIME {
            self.mistake(
                "ledger.min_remaining",
                format!("must be below {SESSION_LIFETIME:?}, the life of a session"),
            );
        }
    }

    /// Each admission of a span is remembered, and travels between replicas.
    fn highest_limits(&mut self, settings: &Settings) {
        let quota = &settings.quota;
        let of_regions = settings
            .regions
            .iter()
            .enumerate()
            .flat_map(|(index, region)| {
                [
                    (
                        format!("regions[{index}].creates_per_second"),
                        region.creates_per_second,
                    ),
                    (
                        format!("regions[{index}].concurrent_sessions"),
                        region.concurrent_sessions,
                    ),
                ]
            });
        let of_all = [
            (
                "quota.creates_per_second".to_owned(),
                quota.creates_per_second,
            ),
            (
                "quota.concurrent_sessions".to_owned(),
                quota.concurrent_sessions,
            ),
        ];
        for (key, limit) in of_all.into_iter().chain(of_regions) {
            if matches!(limit, Some(Limit::Of(limit)) if limit.get() > HIGHEST_LIMIT) {
                self.mistake(
                    &key,
                    format!("must be at most {HIGHEST_LIMIT}, or \"off\" for no limit"),
                );
            }
        }
    }

    fn counts(&mut self, settings: &Settings) {
        let server = &settings.server;
        let streams = server.max_concurrent_streams as usize;
        let header_bytes = server.max_header_bytes as usize;
        let sample = settings.telemetry.access_log_sample as usize;
        let counts: [(&str, usize, RangeInclusive<usize>); 10] = [
            ("server.workers", server.workers, 0..=MOST_WORKERS),
            (
                "server.max_in_flight",
                server.max_in_flight,
                1..=Semaphore::MAX_PERMITS,
            ),
            (
                "server.max_connections",
                server.max_connections,
                1..=Semaphore::MAX_PERMITS,
            ),
            (
                "server.max_connections_per_peer",
                server.max_connections_per_peer,
                1..=Semaphore::MAX_PERMITS,
            ),
            (
                "server.max_concurrent_streams",
                streams,
                1..=u32::MAX as usize,
            ),
            (
                "tls.max_handshakes",
                settings.tls.max_handshakes,
                1..=Semaphore::MAX_PERMITS,
            ),
            ("telemetry.access_log_sample", sample, 1..=u32::MAX as usize),
            ("quota.queue", settings.quota.queue, 1..=MOST_WAITING),
            ("ledger.entries", settings.ledger.entries, 1..=MOST_ENTRIES),
            (
                "server.max_header_bytes",
                header_bytes,
                LEAST_HEADER_BYTES..=1024 * 1024,
            ),
        ];
        for (key, count, range) in counts {
            if !range.contains(&count) {
                self.mistake(key, format!("must be {} to {}", range.start(), range.end()));
            }
        }
    }
}
