//! The account's quota at AWS, used fully and fairly. Knows nothing of gRPC or
//! of HTTP, and reads no clock in what decides: time is passed in.
//!
//! | module | what is there |
//! |---|---|
//! | [`limits`] | what AWS admits in a region, and a replica's share of it |
//! | [`windows`], [`window`] | exact sliding logs: when the next create may go |
//! | [`queue`] | who goes next: weighted round-robin over callers |
//! | [`adaptive`], [`pace`] | slower after AWS throttles, and back to full |
//! | [`quantile`] | the usual time of a call upstream |
//! | [`limiter`], [`pump`] | the whole, for one region: a permit in time, or the wait |
//! | [`store`] | the seam for a quota that replicas share |

mod adaptive;
mod limiter;
mod limits;
mod pace;
mod pump;
mod quantile;
mod queue;
mod store;
mod window;
mod windows;

pub use adaptive::Adaptive;
pub use limiter::{Denied, Limiter, Outcome, Permit, Snapshot};
pub use limits::{Bound, Bounds, DEFAULT_SESSION_LENGTH, Flow, GUARD, Limits, Share, Terms};
pub use pace::Pace;
pub use quantile::RunningQuantile;
pub use queue::{Full, Key, Pushed, Queue};
pub use store::{Outlook, Reserving, Source, Store};
pub use windows::Windows;
