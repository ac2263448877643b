//! The range of every number and duration.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::check::Check;
use super::settings::Settings;

/// Longer than anything here can mean; more would overflow when added to a time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Far above any machine's cores; each is a thread with an event loop.
const MOST_WORKERS: usize = 1024;

/// Each place in the queue is looked through when a newcomer asks for its turn.
const MOST_WAITING: usize = 65_536;

/// Some 4 GiB.
const MOST_ENTRIES: usize = 10_000_000;

/// Below this not even the headers of gRPC itself fit.
const LEAST_HEADER_BYTES: usize = 1024;

impl Check<'_> {
    /// Notes numbers and durations out of range.
    pub(super) fn bounds(&mut self, settings: &Settings) {
        self.durations(settings);
        self.counts(settings);
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
                "server.keepalive_interval",
                server.keepalive_interval,
                least,
            ),
            ("server.keepalive_timeout", server.keepalive_timeout, least),
            ("server.drain_delay", server.drain_delay, Duration::ZERO),
            ("server.shutdown_grace", server.shutdown_grace, least),
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

    fn counts(&mut self, settings: &Settings) {
        let server = &settings.server;
        let streams = server.max_concurrent_streams as usize;
        let header_bytes = server.max_header_bytes as usize;
        let counts: [(&str, usize, RangeInclusive<usize>); 7] = [
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
                "server.max_concurrent_streams",
                streams,
                1..=u32::MAX as usize,
            ),
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
