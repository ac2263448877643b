//! Connections: how many there are, which were turned away, and which the gateway
//! ended.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundUpDownCounter, Meter};

/// Why a client was turned away before it spoke HTTP/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// Its address has as many connections as one may have.
    PeerLimit,
    /// The TLS handshake failed, or took too long.
    Tls,
    /// It did not begin HTTP/2, or not in time.
    Greeting,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::PeerLimit, Self::Tls, Self::Greeting];

    fn label(self) -> &'static str {
        match self {
            Self::PeerLimit => "peer_limit",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
        }
    }
}

/// Why the gateway ended a connection that spoke HTTP/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Closing {
    /// There was no call for long.
    Idle,
    /// It was old.
    Age,
    /// It was told to end, did not, and was cut.
    Lingering,
    /// The peer did not answer, or did not take what it was sent.
    Unresponsive,
    /// The peer sent too much of what costs it nothing.
    Flood,
    /// It broke, or the peer broke the protocol.
    Error,
}

impl Closing {
    const ALL: [Self; 6] = [
        Self::Idle,
        Self::Age,
        Self::Lingering,
        Self::Unresponsive,
        Self::Flood,
        Self::Error,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Lingering => "lingering",
            Self::Unresponsive => "unresponsive",
            Self::Flood => "flood",
            Self::Error => "error",
        }
    }
}

/// Counts connections. By default nobody reads it.
#[derive(Clone, Default)]
pub(crate) struct Connections(Option<Arc<Instruments>>);

struct Instruments {
    open: BoundUpDownCounter<i64>,
    /// In the order of [`Refusal`].
    refused: [BoundCounter<u64>; 3],
    /// In the order of [`Closing`].
    closed: [BoundCounter<u64>; 6],
}

impl Connections {
    pub(super) fn new(meter: &Meter) -> Self {
        let open = meter
            .i64_up_down_counter("face_liveness.connections.open")
            .with_unit("{connection}")
            .with_description("Connections that are open")
            .build();
        let refused = meter
            .u64_counter("face_liveness.connections.refused")
            .with_unit("{connection}")
            .with_description("Connections that were turned away before HTTP/2, by reason")
            .build();
        let closed = meter
            .u64_counter("face_liveness.connections.closed")
            .with_unit("{connection}")
            .with_description("Connections that the gateway ended, by reason")
            .build();
        let open = open.bind(&[]);
        let reason = |reason| [KeyValue::new("reason", reason)];
        let refused = Refusal::ALL.map(|refusal| refused.bind(&reason(refusal.label())));
        let closed = Closing::ALL.map(|closing| closed.bind(&reason(closing.label())));
        // Shown from the start, so that the first is seen as an increase.
        open.add(0);
        refused.iter().chain(&closed).for_each(|one| one.add(0));
        Self(Some(Arc::new(Instruments {
            open,
            refused,
            closed,
        })))
    }

    /// Counts a connection as open until this is dropped.
    pub(crate) fn open(&self) -> Open {
        if let Some(instruments) = &self.0 {
            instruments.open.add(1);
        }
        Open(self.clone())
    }

    /// Counts a client that was turned away.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(instruments) = &self.0 {
            instruments.refused[refusal as usize].add(1);
        }
    }

    /// Counts a connection that the gateway ended.
    pub(crate) fn closed(&self, closing: Closing) {
        if let Some(instruments) = &self.0 {
            instruments.closed[closing as usize].add(1);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Open(Connections);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(instruments) = &self.0.0 {
            instruments.open.add(-1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_in_its_own_place() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
        }
        for (place, closing) in Closing::ALL.into_iter().enumerate() {
            assert_eq!(closing as usize, place);
        }
    }
}
