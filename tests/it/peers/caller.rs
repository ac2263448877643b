//! Another caller, which must not suffer.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, Instant};

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::PATIENCE;

/// What none of its calls may exceed, whatever others do. Much more than they take, for
/// the sake of machines that have other things to do.
const DEADLINE: Duration = Duration::from_secs(10);

/// One that calls all the time, and is served each time before its deadline.
pub(super) struct Caller {
    latencies: watch::Receiver<Vec<Duration>>,
}

impl Caller {
    /// Calls on that runtime, where it also connects.
    pub(super) fn start(
        runtime: &Handle,
        connect: impl FnOnce() -> Channel + Send + 'static,
    ) -> Self {
        let (sender, latencies) = watch::channel(Vec::new());
        runtime.spawn(async move {
            let mut client = FaceLivenessServiceClient::new(connect());
            loop {
                let mut request = Request::new(CreateSessionRequest::default());
                request.set_timeout(DEADLINE);
                let began = Instant::now();
                match client.create_session(request).await {
                    Err(status) if crossed_a_goaway(&status) => continue,
                    answer => drop(answer.unwrap()),
                }
                sender.send_modify(|latencies: &mut Vec<_>| latencies.push(began.elapsed()));
            }
        });
        Self { latencies }
    }

    /// Waits until it has been served so many times more; that it never was not is
    /// asserted.
    pub(super) async fn is_served(&mut self, more: usize) {
        let enough = self.latencies.borrow().len() + more;
        let served = self.latencies.wait_for(|served| served.len() >= enough);
        match timeout(PATIENCE, served).await.unwrap() {
            Ok(_) => {}
            Err(_) => panic!("the other caller's call failed; see above"),
        }
    }

    /// What its calls took so far.
    pub(super) fn latencies(&self) -> Latencies {
        Latencies(self.latencies.borrow().clone())
    }
}

/// Whether the gateway never looked at the call: it crossed the GOAWAY that names the
/// last stream. h2 answers the PING before that ahead of the streams it has begun, so
/// that this happens now and then; clients make such calls anew (RFC 9113, section 6.8).
fn crossed_a_goaway(status: &Status) -> bool {
    let causes = std::iter::successors(status.source(), |&cause| cause.source());
    let mut errors = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>());
    errors.any(|error| {
        let ended_well = error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_go_away() && error.is_remote() && ended_well
    })
}

/// What calls took, in their order.
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Without those that were there before.
    pub(super) fn since(mut self, before: &Self) -> Self {
        self.0.drain(..before.0.len());
        self
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let quantile = |part: f64| {
            let index = (sorted.len().saturating_sub(1) as f64 * part) as usize;
            sorted.get(index).copied().unwrap_or_default()
        };
        let [median, most, longest] = [0.5, 0.99, 1.0].map(quantile);
        let calls = sorted.len();
        write!(
            f,
            "{calls}, half in {median:.1?}, 99 % in {most:.1?}, all in {longest:.1?}"
        )
    }
}
