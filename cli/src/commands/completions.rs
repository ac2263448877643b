//! `completions`: scripts that let shells complete the command line.

use clap::ValueEnum as _;
use clap_complete::{Shell, generate};

use crate::args::{Completions, definition};
use crate::failure::Failure;
use crate::output;

const PROGRAM: &str = "face-liveness";

/// The program's name without the hyphen.
const IDENTIFIER: &str = "face_liveness";

pub(super) fn run(options: &Completions) -> Result<u8, Failure> {
    let script = match options.shell {
        Shell::Bash => bash(),
        Shell::Fish => fish(),
        shell => script(shell, PROGRAM),
    };
    output::write(&script).map_err(Failure::exception)?;
    Ok(0)
}

fn script(shell: Shell, program: &str) -> String {
    let mut script = Vec::new();
    generate(shell, &mut definition(), program, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// With a hyphen in the program's name the script would find no command
/// (clap-rs/clap#6421). So it is made without, and only its last lines, which say
/// what to complete, get the name as it is.
fn bash() -> String {
    let script = script(Shell::Bash, IDENTIFIER);
    script.replace(&format!(" {IDENTIFIER}\n"), &format!(" {PROGRAM}\n"))
}

/// The generator leaves out what an argument without a name can be, so that fish
/// would offer files.
fn fish() -> String {
    let shells: Vec<_> = Shell::value_variants()
        .iter()
        .map(ToString::to_string)
        .collect();
    let shells = shells.join(" ");
    format!(
        "{}complete -c {PROGRAM} -n '__fish_seen_subcommand_from completions' -f -a '{shells}'\n",
        script(Shell::Fish, PROGRAM)
    )
}
