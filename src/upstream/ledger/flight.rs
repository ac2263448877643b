//! The call of a flight: what became of it is remembered before it leaves the
//! book, also when it is dropped on the way.

use std::time::SystemTime;

use tower::{Service, ServiceExt as _};

use super::book::{Call, Inquiry, Listed};
use super::{Ledger, Outcome, Over};
use crate::session::Session;
use crate::telemetry::call;
use crate::upstream::{Error, FirstSent, Request};

/// Has `inner` make the session. Its earlier attempts, if there were any, go back
/// to `since`.
pub(super) fn call<S>(
    ledger: &Ledger,
    inner: S,
    request: Request,
    inquiry: Inquiry,
    listed: Listed,
    since: Option<SystemTime>,
) -> Call
where
    S: Service<Request, Response = Session, Error = Error, Future: Send> + Send + 'static,
{
    let first_sent = FirstSent::since(since);
    let request = Request {
        first_sent: first_sent.clone(),
        ..request
    };
    let mut underway = Underway {
        ledger: ledger.clone(),
        inquiry,
        first_sent,
        resumes: since.is_some(),
        answered: false,
        _listed: listed,
    };
    // Whoever of its waiters drives it, it is told as the leader's.
    Box::pin(call::carry(async move {
        let session = inner.oneshot(request).await?;
        underway.made(session.clone());
        if since.is_some() {
            // An earlier call may have made it, and this one waited since.
            let ledger = &underway.ledger;
            ledger.long_enough(session.create_time, (ledger.now)())?;
        }
        Ok(session)
    }))
}

/// Remembers what becomes of a call. One that ends without a session, or that
/// nobody waits for any more, is remembered if AWS may have made one.
struct Underway {
    ledger: Ledger,
    inquiry: Inquiry,
    first_sent: FirstSent,
    /// Whether it takes up a call whose end was known to be unknown.
    resumes: bool,
    answered: bool,
    /// Dropped last, when what became of the call is on the book.
    _listed: Listed,
}

impl Underway {
    fn made(&mut self, session: Session) {
        self.answered = true;
        let outcome = Outcome::Made(session);
        self.ledger.remember(self.inquiry, outcome, Over::Unknown);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.answered
            && let Some(first_sent) = self.first_sent.uncertain()
        {
            let outcome = Outcome::Unknown { first_sent };
            let over = if self.resumes {
                Over::Unknown
            } else {
                Over::Nothing
            };
            self.ledger.remember(self.inquiry, outcome, over);
        }
    }
}
