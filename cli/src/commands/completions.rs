//! `completions`: scripts that let shells complete the command line.

use std::io::{self, Write as _};

use crate::args::{Completions, definition};

pub(super) fn run(options: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut definition(),
        "face-liveness",
        &mut script,
    );
    // A reader that hung up has what it wanted.
    let _ = io::stdout().write_all(&script);
}
