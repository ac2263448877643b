//! What replicas share through Redis or Valkey: the quota and the ledger.
//!
//! The quota of a region is kept as two logs of admissions on the server's own
//! clock. One script reserves the next slot in both, so that any number of
//! replicas never reserve more than the limit in any span. Each command is
//! bounded in time. When Redis fails, a replica goes on alone:
//!
//! | state | what bounds admissions | left when |
//! |---|---|---|
//! | [`Shared`](State::Shared) | the log in Redis | a command fails, or Redis has lost its memory |
//! | [`Alone`](State::Alone) | the replica's share, begun from the last known log | Redis answers |
//! | [`Rejoining`](State::Rejoining) | both, while Redis is told what it missed | the longest span has passed without failure |
//!
//! A replica that alone of all loses Redis, while the others share the whole
//! quota, adds up to its share to theirs: without a word from each other they
//! cannot do better. So does a fail-over to a copy of Redis that has missed
//! writes.
//!
//! ```no_run
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//!
//! use face_liveness_gateway::redis::{Connection, DEFAULT_TIMEOUT, Settings, Window, Windows};
//! use face_liveness_gateway::region::Region;
//! use tokio::time::Instant;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::open("redis://cache".parse()?, None, DEFAULT_TIMEOUT).await?;
//! let second = Duration::from_millis(1_030);
//! let settings = Settings {
//!     prefix: "face-liveness".to_owned(),
//!     creates: NonZeroU32::new(25).map(|limit| Window { limit, span: second }),
//!     flow: None,
//!     shares: NonZeroU32::MIN.saturating_add(2),
//! };
//! let windows = Windows::new(connection, Region::parse("us-east-1")?, &settings);
//! let reserved = windows.reserve().await;
//! tokio::time::sleep_until(reserved.slot).await;
//! # Ok(())
//! # }
//! ```
//!
//! In a cluster each region's quota lies on one node, and each record of the ledger
//! on one: what is lost with a node is lost alone.
//!
//! Needs Redis 5 or Valkey. With access lists, a user for the prefix
//! `face-liveness` needs `~face-liveness:* ~{face-liveness:*` and `+evalsha +eval
//! +time +ping +get +set +pexpire +zadd +zrange +zremrangebyscore`, in a cluster
//! `+cluster|slots +asking` too, and `+select` for another database than 0.

mod breaker;
mod clock;
mod connection;
mod error;
mod ledger;
mod log;
mod mode;
mod script;
mod stores;
mod url;
mod windows;

pub use connection::{Connection, DEFAULT_TIMEOUT};
pub use error::Error;
pub use ledger::Records;
pub use log::Window;
pub use mode::State;
pub use stores::SharedQuota;
pub use url::{InvalidUrl, Url};
pub use windows::{Known, Reserved, Settings, Windows};
