//! Why the program ends without success, and the exit status that says so.

use std::fmt;

/// What ends the program early: a message for stderr, and the exit status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// The AWS CLI's status for everything but a bad command line.
    const EXCEPTION: u8 = 255;

    /// The status of Python's argparse for a command line that it cannot read.
    const USAGE: u8 = 2;

    /// Something went wrong; the AWS CLI puts an empty line before such messages.
    pub(crate) fn exception(message: impl fmt::Display) -> Self {
        Self {
            status: Self::EXCEPTION,
            message: format!("\n{message}\n"),
        }
    }

    /// An option's value cannot be read.
    pub(crate) fn parameter(option: &str, problem: impl fmt::Display) -> Self {
        Self::exception(format_args!(
            "Error parsing parameter '{option}': {problem}"
        ))
    }

    /// The command line cannot be read.
    pub(crate) fn usage(usage: &str, problem: impl fmt::Display) -> Self {
        Self {
            status: Self::USAGE,
            message: format!("{usage}\nface-liveness: error: {problem}\n"),
        }
    }

    /// The command line has options that nobody knows.
    pub(crate) fn unknown_options(usage: &str, options: &[String]) -> Self {
        Self {
            status: Self::EXCEPTION,
            message: format!("{usage}\nUnknown options: {}\n", options.join(", ")),
        }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
