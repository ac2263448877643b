//! `create-face-liveness-session` without the network: options → parameters →
//! checked parameters → request.

pub(crate) mod model;
pub(crate) mod parameters;
pub(crate) mod request;
pub(crate) mod skeleton;
pub(crate) mod validate;

mod coerce;
mod json;
mod paramfile;
mod shorthand;

pub(crate) use paramfile::{load as load_file, os_error};
