//! `face-liveness`: the AWS CLI's `create-face-liveness-session`, over the face
//! liveness gateway.
//!
//! `args` reads the command line as the AWS CLI does, `settings` adds variables and
//! the profile, `create` makes the request and checks it, `commands` talk to the
//! gateway, `query` and `output` print what it says.

mod args;
mod commands;
mod connection;
mod create;
mod debug;
mod failure;
mod output;
mod profile;
mod python;
mod query;
mod refusal;
mod settings;
mod variables;

use std::io::{self, Write as _};
use std::process::ExitCode;

use args::Read;

fn main() -> ExitCode {
    let done = match args::read(std::env::args_os()) {
        Ok(Read::Run(cli)) => commands::run(*cli),
        Ok(Read::Print(text)) => {
            output::write(&text);
            Ok(0)
        }
        Err(failure) => Err(failure),
    };
    match done {
        Ok(status) => status.into(),
        Err(failure) => {
            // Without stderr there is nobody left to tell.
            let _ = write!(io::stderr(), "{failure}");
            failure.status().into()
        }
    }
}
