//! Emulates Amazon Rekognition Face Liveness over HTTP, for tests.
//!
//! [`Emulator`] speaks AWS's protocol so that the SDKs and the AWS CLI cannot tell, apart from the
//! face: `CreateFaceLivenessSession` and `GetFaceLivenessSessionResults`, signatures, constraints,
//! quotas and expiry. [`Fault`] makes it go wrong on purpose; [`Journal`] tells what happened. Over
//! HTTP the same is found under `/_emulator/`; the crate's README describes it.
//!
//! A map of the modules, in the order in which a request meets them: `server` (connections),
//! `api` (one call), `signature`, `faults`, `quota`, `validate`, `sessions`, `journal`; `protocol`
//! holds the shapes of answers, `control` the HTTP control API.

mod api;
mod clock;
mod control;
mod credentials;
mod emulator;
mod faults;
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
