mod rebound;
mod sharing;
mod store;
mod waiting;

use super::*;
use crate::quota::Windows;
use crate::quota::limits::{Flow, GUARD, Limits};

const SECOND: Duration = Duration::from_secs(1);

fn caller(name: &str) -> Caller {
    Caller::named(name).unwrap()
}

fn weight(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap()
}

fn limits(creates: u32, sessions: u32) -> Limits {
    Limits {
        creates_per_second: NonZeroU32::new(creates),
        sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
            sessions,
            session_length: SECOND * 10,
        }),
    }
}

fn limiter(limits: Limits, bound: usize) -> Limiter {
    let region = Region::parse("eu-west-1").unwrap();
    Limiter::start(region, Source::Memory(Windows::new(limits)), bound)
}

/// Counts the permits of a caller that has `every` so often a call with 2 s.
async fn offer(limiter: &Limiter, name: &str, of: u32, every: Duration, until: Instant) -> Tally {
    let granted = Arc::new(Mutex::new(Tally::default()));
    while Instant::now() < until {
        let (limiter, caller, tally) = (limiter.clone(), caller(name), Arc::clone(&granted));
        tokio::spawn(async move {
            let began = Instant::now();
            let permit = limiter
                .permit(&caller, weight(of), began + SECOND * 2)
                .await;
            let mut tally = tally.lock().unwrap();
            match permit {
                Ok(_) => tally.granted.push(Instant::now()),
                Err(_) => tally.denied += 1,
            }
            tally.longest = tally.longest.max(began.elapsed());
        });
        tokio::time::sleep(every).await;
    }
    // Those that still wait get their answers too.
    tokio::time::sleep(SECOND * 2).await;
    granted.lock().unwrap().clone()
}

impl Tally {
    fn granted_by(&self, until: Instant) -> usize {
        self.granted.iter().filter(|&&at| at <= until).count()
    }
}

#[derive(Clone, Debug, Default)]
struct Tally {
    granted: Vec<Instant>,
    denied: usize,
    longest: Duration,
}

/// Waits for a permit, and tells when it came.
async fn granted(limiter: &Limiter, name: &str, deadline: Instant) -> Result<Instant, Denied> {
    let permit = limiter.permit(&caller(name), weight(1), deadline).await;
    permit.map(|permit| permit.granted)
}
