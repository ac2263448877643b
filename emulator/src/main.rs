//! `rekognition-emulator`: the emulator as a program.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use rekognition_emulator::Emulator;

use crate::cli::Cli;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Without stderr there is nobody left to tell.
            let _ = writeln!(io::stderr(), "rekognition-emulator: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> io::Result<()> {
    let emulator = cli.builder().start().await.map_err(|error| {
        let advice = "choose another with --listen";
        io::Error::new(error.kind(), format!("{error}; {advice}"))
    })?;
    announce(&cli, &emulator)?;
    asked_to_stop().await?;
    emulator.shutdown().await;
    Ok(())
}

fn announce(cli: &Cli, emulator: &Emulator) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "rekognition-emulator {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  endpoint    {}", emulator.endpoint_url())?;
    writeln!(out, "  signatures  {}", cli.describe_signatures())?;
    for (region, quota) in cli.quotas() {
        writeln!(
            out,
            "  quota       {region}: {}",
            cli::describe_quota(&quota)
        )?;
    }
    let faults: Vec<String> = cli.faults().iter().map(ToString::to_string).collect();
    match faults.as_slice() {
        [] => writeln!(out, "  faults      none")?,
        _ => writeln!(
            out,
            "  faults      {} (seed {})",
            faults.join(", "),
            emulator.seed()
        )?,
    }
    writeln!(
        out,
        "  journal     {}/_emulator/journal",
        emulator.endpoint_url()
    )?;
    out.flush()
}

#[cfg(unix)]
async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
