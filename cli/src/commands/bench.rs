//! `bench`: sessions at a steady rate, politely: never more calls at a time than
//! allowed, waits as the gateway asks for them, an end at the first refusal that
//! no retry helps.

mod report;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use face_liveness_client::{Client, Error, v1};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::Bench;
use crate::connection;
use crate::failure::Failure;
use crate::refusal;
use crate::settings::Settings;
use report::Report;

/// How a call ended, and how long it took.
type Ended = (Result<(), Error>, Duration);

pub(super) async fn run(options: &Bench, settings: &Settings) -> Result<u8, Failure> {
    let retries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&retries);
    let on_retry = Arc::new(move |_: &_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let client = connection::client(&settings.connection, on_retry)?;
    let request = v1::CreateSessionRequest {
        region: settings.region.clone(),
        ..Default::default()
    };
    let begun = Instant::now();
    let (mut report, refused) = load(options, &client, &request).await;
    report.took = begun.elapsed();
    report.retries = retries.load(Ordering::Relaxed);
    let printed = settings.style.print("Bench", report.answer());
    printed.map_err(Failure::exception)?;
    match refused {
        Some(error) => Err(refusal::failure(&error, &settings.connection.endpoint)),
        None => Ok(0),
    }
}

/// Creates sessions until the time is over, or a refusal ends it.
async fn load(
    options: &Bench,
    client: &Client,
    request: &v1::CreateSessionRequest,
) -> (Report, Option<Error>) {
    let progress = progress(options);
    let mut report = Report::default();
    let mut calls = JoinSet::new();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / options.rate));
    // A call that could not begin in time is not made up for by a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    calls.spawn(call(client.clone(), request.clone()));
    let begun = Instant::now();
    let end = begun + options.duration;
    let mut refused = None;
    while refused.is_none() {
        let has_room = calls.len() < usize::from(options.concurrency);
        tokio::select! {
            biased;
            () = sleep_until(end) => break,
            Some(Ok(ended)) = calls.join_next() => refused = report.count(ended),
            _ = ticks.tick(), if has_room => {
                calls.spawn(call(client.clone(), request.clone()));
            }
        }
        show(&progress, begun, &report);
    }
    // Calls that have begun may end, so that they are counted.
    while let Some(ended) = calls.join_next().await {
        if let Ok(ended) = ended {
            refused = refused.or(report.count(ended));
        }
        show(&progress, begun, &report);
    }
    progress.finish_and_clear();
    (report, refused)
}

async fn call(client: Client, request: v1::CreateSessionRequest) -> Ended {
    let begun = Instant::now();
    let session = client.create_session(request).await;
    (session.map(drop), begun.elapsed())
}

fn progress(options: &Bench) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(options.duration.as_millis()).unwrap_or(u64::MAX));
    let template = "{bar:40} {elapsed} {msg}";
    ProgressStyle::with_template(template).map_or(bar.clone(), |style| bar.with_style(style))
}

fn show(progress: &ProgressBar, begun: Instant, report: &Report) {
    progress.set_position(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    progress.set_message(report.summary());
}
