//! Admits calls while there is room, and sheds the others at once: a queue here
//! would only make every caller late. Refuses all while the gateway drains.
//!
//! No caller takes all the room, unless that is a handful of slots: whatever it does,
//! some is left for who comes next.
//!
//! Sits inside the deadline, so that a slot is free again when a call's deadline
//! passes, inside the identity, and outside the service. One set of slots serves all
//! connections.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready as done};
use http::{Extensions, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::identity::caller;
use super::refuse;
use crate::caller::Caller;
use crate::refusal::Refusal;

/// A caller may hold so many times the slots that are free: alone three quarters of
/// all; of `n` greedy callers each as much as the others, and together all but one
/// part in `3 n + 1`. A bound that moves with what is free needs no list of callers
/// to divide by (the "dynamic threshold" of Choudhury and Hahne for shared buffers).
const TIMES_THE_FREE: usize = 3;

/// The slots for calls in flight, shared by all connections.
#[derive(Debug)]
pub(crate) struct Admission {
    max_in_flight: usize,
    held: Mutex<Held>,
    draining: AtomicBool,
}

/// The slots that are taken. Callers without one are not there.
#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_caller: HashMap<Caller, usize>,
}

impl Admission {
    pub(crate) fn new(max_in_flight: usize) -> Self {
        Self {
            max_in_flight,
            held: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on refuses every new call.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A slot for the call that `extensions` belong to.
    fn admit(self: &Arc<Self>, extensions: &Extensions) -> Result<Slot, Refusal> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Refusal::Draining);
        }
        let caller = caller(extensions);
        let mut held = self.lock();
        let free = self.max_in_flight.saturating_sub(held.total);
        let own = held.by_caller.get(&caller).copied().unwrap_or_default();
        if free == 0 || own > free.saturating_mul(TIMES_THE_FREE) {
            return Err(Refusal::Overloaded);
        }
        held.total += 1;
        *held.by_caller.entry(caller.clone()).or_default() += 1;
        Ok(Slot {
            admission: Arc::clone(self),
            caller,
        })
    }

    /// Both counts change together; nothing in between can panic.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot: dropped, it is free.
#[derive(Debug)]
struct Slot {
    admission: Arc<Admission>,
    caller: Caller,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.admission.lock();
        held.total -= 1;
        if let Entry::Occupied(mut own) = held.by_caller.entry(self.caller.clone()) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// Admits or sheds; see the module.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer(Arc<Admission>);

impl AdmissionLayer {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self(admission)
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService {
            inner,
            admission: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct AdmissionService<S> {
    inner: S,
    admission: Arc<Admission>,
}

impl<S, B, R> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, InFlight<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.admission.admit(request.extensions()) {
            Ok(slot) => Either::Right(InFlight {
                call: self.inner.call(request),
                slot,
            }),
            Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
        }
    }
}

pin_project! {
    /// A call that holds its slot until it ends or is dropped.
    pub(crate) struct InFlight<F> {
        #[pin]
        call: F,
        slot: Slot,
    }
}

impl<F: Future> Future for InFlight<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().call.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    type Answer = Result<Response<()>, Infallible>;

    async fn status(admission: &Arc<Admission>) -> Option<(Code, String)> {
        let service = tower::service_fn(|_: Request<()>| async { Answer::Ok(Response::new(())) });
        let answer = AdmissionLayer::new(Arc::clone(admission))
            .layer(service)
            .oneshot(Request::new(()))
            .await
            .unwrap();
        answer
            .extensions()
            .get::<Status>()
            .map(|status| (status.code(), status.message().to_owned()))
    }

    #[tokio::test]
    async fn a_call_beyond_the_slots_is_shed_and_a_dropped_call_frees_its_slot() {
        let admission = Arc::new(Admission::new(1));
        let endless = tower::service_fn(|_: Request<()>| pending::<Answer>());
        let held = AdmissionLayer::new(Arc::clone(&admission))
            .layer(endless)
            .oneshot(Request::new(()));
        let mut held = Box::pin(held);
        assert!(futures_util::poll!(&mut held).is_pending());
        assert_eq!(
            status(&admission).await.map(|(code, _)| code),
            Some(Code::Unavailable)
        );
        drop(held);
        assert_eq!(status(&admission).await, None);
    }

    /// How many of `calls` of this caller are admitted; those are added to `held`.
    fn admitted(
        admission: &Arc<Admission>,
        name: &str,
        calls: usize,
        held: &mut Vec<Slot>,
    ) -> usize {
        let mut extensions = Extensions::new();
        extensions.insert(Caller::named(name).unwrap());
        let slots = (0..calls).map_while(|_| admission.admit(&extensions).ok());
        let before = held.len();
        held.extend(slots);
        held.len() - before
    }

    #[test]
    fn no_number_of_greedy_callers_takes_the_last_slots_from_the_next() {
        let (admission, mut held) = (Arc::new(Admission::new(1000)), Vec::new());
        assert_eq!(admitted(&admission, "a", 1000, &mut held), 751);
        assert_eq!(admitted(&admission, "b", 1000, &mut held), 187);
        for n in 0..10 {
            assert!(admitted(&admission, &format!("late-{n}"), 1, &mut held) == 1);
        }
        held.clear();
        let empty = admission.lock();
        assert_eq!((empty.total, empty.by_caller.len()), (0, 0));
    }

    #[test]
    fn few_slots_can_all_be_used() {
        for slots in 1..=4 {
            let (admission, mut held) = (Arc::new(Admission::new(slots)), Vec::new());
            assert_eq!(admitted(&admission, "a", 9, &mut held), slots);
        }
    }

    #[tokio::test]
    async fn while_draining_every_call_is_refused() {
        let admission = Arc::new(Admission::new(1));
        admission.drain();
        let (code, message) = status(&admission).await.unwrap();
        assert_eq!(
            (code, message.as_str()),
            (
                Code::Unavailable,
                "this replica of the gateway is shutting down"
            )
        );
    }
}
