//! Parse, run, exit code.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::error::ErrorKind;
use face_liveness_gateway::args::{Args, CheckFlags, Command};
use face_liveness_gateway::config::{
    self, Config, Effective, Flags, LogConfig, Mistake, Mistakes, Origin, Variables,
};
use face_liveness_gateway::dev::{self, Dev};
use face_liveness_gateway::gateway::{FLUSH_TIMEOUT, Gateway};
use face_liveness_gateway::reload;
use face_liveness_gateway::shutdown::{Ended, until_signalled};
use face_liveness_gateway::telemetry::logs::Log;
use face_liveness_gateway::telemetry::otlp;
use face_liveness_gateway::trial::Trial;
use face_liveness_gateway::{VERSION, healthcheck};
use tokio::runtime::Runtime;

/// The work failed.
const FAILURE: u8 = 1;

/// `healthcheck` was asked wrongly.
const HEALTHCHECK_USAGE: u8 = 1;

/// `EX_USAGE` of sysexits.h: the command line or the configuration is wrong.
const USAGE: u8 = 64;

/// As a shell tells it of a process that a signal ended.
const INTERRUPTED: u8 = 130;

/// How long the end waits for somebody to read why it came.
const LAST_WORDS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // 1. The command line; unknown flags are told with the other mistakes.
    let (args, mistakes) = match Args::parse_leniently(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    // 2. A runtime for what is not a connection; those have threads of their own.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILURE, &error),
    };
    // 3. The command.
    let code = match args.command {
        Command::Serve(flags) => serve(&runtime, &flags, mistakes),
        Command::CheckConfig(flags) => check_config(&runtime, &flags, mistakes),
        Command::Dev(flags) if mistakes.is_empty() => dev(&runtime, &flags),
        Command::Dev(_) => fail(USAGE, &Mistakes::from(mistakes)),
        Command::Healthcheck(flags) if mistakes.is_empty() => healthcheck(&runtime, &flags),
        Command::Healthcheck(_) => fail(HEALTHCHECK_USAGE, &Mistakes::from(mistakes)),
    };
    // 4. The end, which waits for nothing that still runs.
    runtime.shutdown_background();
    code
}

fn serve(runtime: &Runtime, flags: &Flags, mistakes: Vec<Mistake>) -> ExitCode {
    let (config, effective) = match load(runtime, flags, mistakes) {
        Ok(loaded) => loaded,
        Err(mistakes) => return fail(USAGE, &mistakes),
    };
    let log = match start_log(runtime, config.log, &config.otlp) {
        Ok(log) => log,
        Err(error) => return fail(FAILURE, &error),
    };
    raise_open_files();
    let warnings = config.warnings();
    let gateway = match Gateway::bind(config) {
        Ok(gateway) => gateway.with_log(log.handle()),
        Err(error) => return fail(FAILURE, &error),
    };
    let shown = effective.to_string();
    let origin = Origin {
        flags: flags.clone(),
        variables: environment().0,
    };
    let gateway = gateway.reloading_from(origin, effective);
    let address = gateway
        .local_addr()
        .map(|address| address.to_string())
        .unwrap_or_default();
    let admin = gateway.admin_url().ok().flatten();
    let admin = admin.unwrap_or_else(|| "off".to_owned());
    tracing::info!(
        version = VERSION,
        address,
        admin,
        "configuration in force:\n{shown}"
    );
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let hangups = reload::on_hangup(gateway.reload_handle());
    let run = runtime.block_on(until_signalled(|shutdown| async {
        tokio::select! {
            ended = gateway.run(shutdown) => ended,
            never = hangups => match never {},
        }
    }));
    if !matches!(run, Ended::AtOnce(_)) {
        // Of a gateway that could not run: one that ran has done so.
        runtime.block_on(log.shut_down(FLUSH_TIMEOUT));
    }
    // What is said last stands last.
    drop(log);
    ended(run)
}

/// The log sends its records through `runtime`.
fn start_log(
    runtime: &Runtime,
    config: LogConfig,
    otlp: &otlp::Settings,
) -> Result<Log, otlp::Error> {
    let _runtime = runtime.enter();
    Log::start(config, otlp)
}

fn check_config(runtime: &Runtime, flags: &CheckFlags, mistakes: Vec<Mistake>) -> ExitCode {
    let (config, effective) = match load(runtime, &flags.config, mistakes) {
        Ok(loaded) => loaded,
        Err(mistakes) => return fail(USAGE, &mistakes),
    };
    let Some(caller) = &flags.caller else {
        return say(&effective);
    };
    match Trial::run(&config, caller, flags.request.as_deref()) {
        Ok(trial) if trial.is_allowed() => say(&trial),
        Ok(trial) => {
            say(&trial);
            ExitCode::from(FAILURE)
        }
        Err(error) => fail(USAGE, &error),
    }
}

fn dev(runtime: &Runtime, flags: &dev::Flags) -> ExitCode {
    let mut mistakes = Vec::new();
    let otlp = otlp::Settings::read(&environment().0, &mut mistakes);
    if !mistakes.is_empty() {
        return fail(USAGE, &Mistakes::from(mistakes));
    }
    let log = match start_log(runtime, dev::log(flags), &otlp) {
        Ok(log) => log,
        Err(error) => return fail(FAILURE, &error),
    };
    raise_open_files();
    match Dev::bind(flags, otlp) {
        Ok(dev) => {
            let dev = dev.with_log(log.handle());
            let run = runtime.block_on(until_signalled(|shutdown| dev.run(shutdown, io::stdout())));
            drop(log);
            ended(run)
        }
        Err(error) => fail(FAILURE, &error),
    }
}

fn healthcheck(runtime: &Runtime, flags: &healthcheck::Flags) -> ExitCode {
    match runtime.block_on(healthcheck::run(flags, &environment().0)) {
        Ok(()) => say(&"SERVING\n"),
        Err(unhealthy) => fail(unhealthy.exit_code(), &unhealthy),
    }
}

fn load(
    runtime: &Runtime,
    flags: &Flags,
    mistakes: Vec<Mistake>,
) -> Result<(Config, Effective), Mistakes> {
    let (variables, undecodable) = environment();
    runtime.block_on(config::load(
        flags,
        &variables,
        [mistakes, undecodable].concat(),
    ))
}

/// The environment as far as it is Unicode, and what of ours is not.
fn environment() -> (Variables, Vec<Mistake>) {
    let mut variables = Variables::new();
    let mut mistakes = Vec::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match value.into_string() {
            Ok(value) => drop(variables.insert(name, value)),
            Err(_) if name.starts_with(config::VARIABLE_PREFIX) => mistakes.push(Mistake {
                place: name,
                problem: "must be UTF-8".to_owned(),
            }),
            Err(_) => {}
        }
    }
    (variables, mistakes)
}

/// Every connection is a file: the soft limit is often 1024.
fn raise_open_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}

fn ended<T, E: Display>(ended: Ended<Result<T, E>>) -> ExitCode {
    match ended {
        Ended::Done(Ok(_)) => ExitCode::SUCCESS,
        Ended::Done(Err(error)) => fail(FAILURE, &error),
        Ended::AtOnce(signal) => fail(
            INTERRUPTED,
            &format!("{signal} again: ended at once, calls in flight were cut"),
        ),
        Ended::NoSignals(error) => fail(FAILURE, &format!("cannot wait for signals: {error}")),
    }
}

fn say(text: &dyn Display) -> ExitCode {
    match write!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILURE, &format!("cannot print: {error}")),
    }
}

/// With nobody to read what is said, the exit code must do.
fn fail(code: u8, problem: &dyn Display) -> ExitCode {
    let problem = problem.to_string();
    let (report, said) = mpsc::channel();
    let saying = thread::Builder::new().spawn(move || {
        let problem = problem.trim_end();
        let _ = writeln!(io::stderr(), "face-liveness-gateway: {problem}");
        let _ = report.send(());
    });
    if saying.is_ok() {
        let _ = said.recv_timeout(LAST_WORDS);
    }
    ExitCode::from(code)
}

/// Help and the version are answers; everything else clap says is a mistake.
fn usage(error: &clap::Error) -> ExitCode {
    let is_answer = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let of_healthcheck = std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == "healthcheck");
    // With nobody to read it, the exit code must do.
    let _ = error.print();
    ExitCode::from(match (is_answer, of_healthcheck) {
        (true, _) => 0,
        (false, true) => HEALTHCHECK_USAGE,
        (false, false) => USAGE,
    })
}
