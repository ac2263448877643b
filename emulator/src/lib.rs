#![doc = include_str!("../README.md")]
//!
//! # A map of the modules
//!
//! In the order in which a request meets them: `server` (connections), `api` (one call),
//! `signature`, `faults`, `quota`, `validate`, `sessions`, `journal`. `protocol` holds the shapes of
//! answers, `control` the control API, `emulator` the handle and its builder.

mod api;
mod clock;
mod control;
mod credentials;
mod emulator;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod protocol;
mod quota;
mod region;
mod server;
mod sessions;
mod signature;
mod state;
mod validate;

pub use clock::Clock;
pub use credentials::{Credentials, DEFAULT_ACCOUNT, ParseError as CredentialsParseError};
pub use emulator::{Builder, Emulator};
pub use faults::{Fault, FaultKind, FaultStatus, Latency, ParseError as FaultParseError};
pub use journal::{DEFAULT_JOURNAL_SIZE, Journal, MAX_JOURNALED_BODY, Outcome, RequestRecord};
pub use protocol::Operation;
pub use quota::{DEFAULT_SESSION_LENGTH, Quota};
pub use region::{DEFAULT_REGION, REGIONS};
pub use server::{MAX_BODY, MAX_CONNECTIONS};
pub use sessions::{MAX_SESSIONS, SESSION_LIFETIME};
pub use signature::SignatureState;
