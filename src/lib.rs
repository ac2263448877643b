//! The face liveness gateway.
