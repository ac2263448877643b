//! Calls at a steady rate, whatever becomes of them, and what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use futures_util::future::join_all;
use rekognition_emulator::{Emulator, Outcome};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::Running;

/// Fewer streams on each than a connection may have, and every worker is used.
const CONNECTIONS: usize = 8;

/// Patience of a call unless a test says otherwise.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// AWS's calls per second, and no limit on concurrent sessions.
pub(crate) const BY_THE_SECOND: &str = "region = 'us-east-1'\n\
     [server]\ndrain_delay = '0s'\n[quota]\nconcurrent_sessions = 'off'\n";

pub(crate) type Client = FaceLivenessServiceClient<Channel>;

/// What became of a call.
pub(crate) struct Answer {
    pub(crate) took: Duration,
    pub(crate) at: Instant,
    pub(crate) result: Result<CreateSessionResponse, Status>,
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        self.result.is_ok()
    }
}

pub(crate) async fn clients(gateway: &Running) -> Vec<Client> {
    join_all((0..CONNECTIONS).map(|_| gateway.client())).await
}

/// Makes one call with a deadline.
pub(crate) async fn call(mut client: Client, caller: Option<&str>, deadline: Duration) -> Answer {
    let mut request = Request::new(CreateSessionRequest::default());
    request.set_timeout(deadline);
    if let Some(caller) = caller {
        let metadata = request.metadata_mut();
        metadata.insert("x-caller-id", caller.parse().unwrap());
    }
    let began = Instant::now();
    let result = client.create_session(request).await;
    let at = Instant::now();
    Answer {
        took: at - began,
        at,
        result: result.map(tonic::Response::into_inner),
    }
}

/// Offers so many calls a second for so long, none of them ever repeated, and
/// waits for what becomes of them. Calls that a busy machine delayed follow at
/// once: as many are offered in any case.
pub(crate) async fn offer(
    clients: &[Client],
    caller: Option<&'static str>,
    per_second: u32,
    lasting: Duration,
) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    let mut turns = clients.iter().cycle();
    let mut pace = interval(Duration::from_secs(1) / per_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let offers = lasting.as_secs_f64() * f64::from(per_second);
    for _ in 0..offers.round() as usize {
        pace.tick().await;
        let client = turns.next().unwrap().clone();
        calls.spawn(call(client, caller, DEADLINE));
    }
    calls.join_all().await
}

/// How often each answer was given.
pub(crate) fn tally(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        let name = match &answer.result {
            Ok(_) => "made".to_owned(),
            Err(status) => status
                .get_details_error_info()
                .map_or_else(|| format!("{:?}", status.code()), |info| info.reason),
        };
        *tally.entry(name).or_default() += 1;
    }
    tally
}

/// Asserts that who got no session was told that the quota is used up, but for
/// a few of those who were admitted shortly before their deadline: it ran out
/// on the way, which a busy machine makes longer than usual.
pub(crate) fn assert_refused_for_the_quota(answers: &[Answer]) {
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    let mut late = 0;
    for status in answers.iter().filter_map(|a| a.result.as_ref().err()) {
        let reason = status.get_details_error_info().map(|info| info.reason);
        match (status.code(), reason.as_deref()) {
            (Code::ResourceExhausted, Some("ACCOUNT_QUOTA")) => {}
            (Code::DeadlineExceeded | Code::Cancelled, _) => late += 1,
            _ => panic!("{status:?}"),
        }
    }
    assert!(late <= 3 + made * 3 / 100, "{late} late, {made} made");
}

/// The time that so much of the answers took at most.
pub(crate) fn quantile(times: impl IntoIterator<Item = Duration>, part: f64) -> Duration {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or_default()
}

/// How many sessions the emulator made within `span` of the first call it saw,
/// by its own clock.
pub(crate) fn made_within(emulator: &Emulator, span: Duration) -> usize {
    let requests = emulator.journal().requests;
    let made = requests
        .iter()
        .filter(|request| matches!(request.outcome, Outcome::SessionMade { .. }));
    let mut times: Vec<_> = made
        .map(|request| humantime::parse_rfc3339(&request.time).unwrap())
        .collect();
    times.sort_unstable();
    let Some(&first) = times.first() else {
        return 0;
    };
    times.partition_point(|&at| at < first + span)
}
