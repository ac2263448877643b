//! The commands.

mod bench;
mod completions;
mod create;
mod describe;
mod health;

use tonic::Status;

use crate::args::{Cli, Task};
use crate::debug;
use crate::failure::Failure;
use crate::refusal::code_name;
use crate::settings::Settings;
use crate::variables::Variables;

/// Carries out what the command line asks for; says the exit status.
///
/// # Errors
/// Why it could not.
pub(crate) fn run(cli: Cli) -> Result<u8, Failure> {
    let settings = Settings::resolve(&cli.globals, &Variables::of_process())?;
    if settings.debug {
        debug::log_to_stderr();
    }
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::exception)
    };
    match &cli.command {
        Task::CreateFaceLivenessSession(options) => match create::prepare(options, &settings)? {
            Some(request) => runtime()?.block_on(create::run(options, request, &settings)),
            None => Ok(0),
        },
        Task::Health(options) => runtime()?.block_on(health::run(options, &settings)),
        Task::Describe(options) => runtime()?.block_on(describe::run(options, &settings)),
        Task::Bench(options) => runtime()?.block_on(bench::run(options, &settings)),
        Task::Completions(options) => {
            completions::run(options);
            Ok(0)
        }
    }
}

/// The end of the program after a call other than `CreateSession` failed.
fn call_failed(method: &str, status: &Status) -> Failure {
    Failure::exception(format_args!(
        "An error occurred ({}) when calling the {method} operation: {}",
        code_name(status.code()),
        status.message()
    ))
}
