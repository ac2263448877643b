//! The face liveness gateway: a gRPC service that creates Amazon Rekognition
//! Face Liveness sessions for callers without AWS credentials.
//!
//! Data flows one way: [`server`] → [`inbound`] → [`service`] → [`upstream`] →
//! AWS. `upstream` knows nothing of gRPC, `inbound` nothing of AWS.
//!
//! | module | what is there |
//! |---|---|
//! | [`args`] | the command line |
//! | [`config`] | flags, variables and file become one checked [`Config`](config::Config) |
//! | [`gateway`] | assembly: the stack of layers, start and shutdown |
//! | [`server`] | connections: acceptor, workers, HTTP/2 |
//! | [`services`] | the services on the port, and reflection of them |
//! | [`inbound`] | what every incoming RPC crosses |
//! | [`service`] | the RPC: protobuf → domain → upstream → protobuf |
//! | [`session`], [`region`], [`caller`] | the domain |
//! | [`policy`] | what a caller may ask for |
//! | [`tls`] | how connections are secured |
//! | [`quota`] | the account's quota at AWS, used fully and fairly |
//! | [`upstream`] | what every session crosses on its way to AWS |
//! | [`redis`] | quota and ledger, shared by replicas |
//! | [`reload`] | the configuration read again while it runs |
//! | [`refusal`] | every reason to say no, and its gRPC status |
//! | [`telemetry`] | traces, metrics and the log, and their way to a collector |
//! | [`admin`] | the admin port |
//! | [`health`], [`readiness`], [`shutdown`] | what gRPC's health service says and why, signals |
//! | [`dev`], [`healthcheck`] | the commands of these names |
//! | [`fuzzing`] | what must hold for any input; the bodies of the targets in `fuzz/` |
//! | [`trial`] | what a caller may do, for `check-config --as` |

mod admin;
pub mod args;
pub mod caller;
mod causes;
pub mod config;
pub mod dev;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
mod health;
pub mod healthcheck;
mod inbound;
pub mod policy;
pub mod quota;
mod readiness;
pub mod redis;
pub mod refusal;
pub mod region;
pub mod reload;
mod server;
mod service;
mod services;
pub mod session;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trial;
pub mod upstream;

pub use server::Drained;

/// The version of the gateway, with the source revision if the build knew it
/// (variable `SOURCE_REVISION`).
pub const VERSION: &str = env!("GATEWAY_VERSION");
