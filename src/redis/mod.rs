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
//! A replica that starts shares as soon as Redis has had its memory for a second. A
//! younger one may not know yet what others took before Redis lost the last one: until
//! then the newcomer takes nothing.
//!
//! A replica that alone of all loses Redis, while the others share the whole
//! quota, adds up to its share to theirs: without a word from each other they
//! cannot do better. So does a fail-over to a copy of Redis that has missed
//! writes.
//!
//! ```no_run
//! use face_liveness_gateway::quota::{Limits, Share};
//! use face_liveness_gateway::redis::{Connection, DEFAULT_TIMEOUT, Settings, Windows};
//! use face_liveness_gateway::region::Region;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let region = Region::parse("us-east-1")?;
//! let connection = Connection::open("redis://cache".parse()?, None, DEFAULT_TIMEOUT).await?;
//! let settings = Settings {
//!     prefix: "face-liveness".to_owned(),
//!     limits: Limits::of_region(&region),
//!     share: Share::new(1.0 / 3.0),
//! };
//! let windows = Windows::new(connection, region, &settings);
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
mod fallback;
mod ledger;
mod mode;
mod script;
mod stores;
mod url;
mod windows;

pub use connection::{Connection, DEFAULT_TIMEOUT};
pub use error::Error;
pub use ledger::Records;
pub use mode::State;
pub use url::{InvalidUrl, Url};
pub use windows::{Reserved, Settings, Windows};
