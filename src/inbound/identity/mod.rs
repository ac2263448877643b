//! Says who calls, and under which rule: refuses callers that cannot prove who
//! they are, and those whom no rule admits.
//!
//! Sits outside everything that treats callers differently, and inside the
//! deadline, because an issuer's keys may have to be read.
//!
//! | module | what is there |
//! |---|---|
//! | [`proof`] | whom a call's credentials name |
//! | [`tokens`] | static tokens |
//! | [`jwt`], [`keys`] | tokens of an issuer, and its keys |

pub mod jwt;
pub mod keys;
mod proof;
mod tokens;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, Either, Ready, ready as done};
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt as _};

use super::refuse;
use crate::caller::{Caller, Callers, Rule};
use crate::config::Config;
use crate::refusal::{Refusal, Violation};
use crate::reload::Part;
use crate::telemetry::call;
use proof::{Judge, Verdict};

pub use proof::Proofs;
pub use tokens::Tokens;

/// The metadata in which development names the caller.
const CALLER_ID: &str = "x-caller-id";

/// How callers are told apart.
#[derive(Clone, Debug)]
pub enum Identity {
    /// All are anonymous.
    Anonymous,
    /// They are believed who they say they are. For development only.
    Believed,
    /// They prove it.
    Proven(Box<Proofs>),
}

/// Whom the client's certificate names: an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Caller);

/// The caller of the call that `extensions` belong to.
pub(crate) fn caller(extensions: &Extensions) -> Caller {
    extensions.get().cloned().unwrap_or(Caller::Anonymous)
}

/// The rule for the caller, as it was when the call began.
///
/// # Errors
/// When the call did not pass the [`IdentityLayer`], which is a defect.
pub(crate) fn rule(extensions: &Extensions) -> Result<Arc<Rule>, Refusal> {
    extensions.get().cloned().ok_or(Refusal::Internal)
}

/// How callers are told apart at the moment, and treated, which may change at any time.
/// Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Identification(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    present: ArcSwap<Present>,
    replaced: Notify,
}

/// What holds for a call from its beginning to its end: both halves are of one
/// configuration.
#[derive(Debug)]
struct Present {
    proof: Proof,
    callers: Callers,
}

#[derive(Debug)]
enum Proof {
    NotAsked,
    Believed,
    Wanted(Box<Judge>),
}

impl Identification {
    /// Must be called on the runtime for background work, where an issuer's keys
    /// are then kept fresh.
    pub(crate) fn new(identity: Identity, callers: Callers) -> Self {
        let proof = Proof::new(identity, None);
        Self(Arc::new(Inner {
            present: ArcSwap::from_pointee(Present { proof, callers }),
            replaced: Notify::new(),
        }))
    }

    /// Puts both in force for every call that begins from now on; as
    /// [`new`](Self::new). Where proof was wanted it stays wanted, even if there is
    /// none that would do; and whether TLS asks for certificates was settled at
    /// the start.
    fn replace(&self, identity: Identity, callers: Callers) {
        let before = self.0.present.load();
        let judge = before.judge();
        let certificates = judge.is_some_and(Judge::takes_certificates);
        let identity = match identity {
            Identity::Proven(proofs) => Identity::Proven(Box::new(Proofs {
                certificates,
                ..*proofs
            })),
            _ if judge.is_some() => Identity::Proven(Box::new(Proofs {
                certificates,
                ..Proofs::default()
            })),
            other => other,
        };
        let proof = Proof::new(identity, judge);
        self.0.present.store(Arc::new(Present { proof, callers }));
        self.0.replaced.notify_waiters();
    }

    /// Completes when callers can be told apart, under the configuration that is then
    /// in force.
    pub(crate) async fn ready(&self) {
        loop {
            // Before the look, so that nothing is missed in between.
            let replaced = self.0.replaced.notified();
            let present = self.0.present.load_full();
            let Some(judge) = present.judge() else { return };
            tokio::select! {
                biased;
                () = replaced => {}
                () = judge.ready() => return,
            }
        }
    }

    /// Whether the issuer's keys are known; `None` without an issuer.
    pub(crate) fn has_keys(&self) -> Option<bool> {
        self.0.present.load().judge()?.has_keys()
    }
}

impl Part for Identification {
    fn takes_on(&self, key: &str) -> bool {
        matches!(key, "tokens" | "callers")
            || key.starts_with("auth.jwt.")
            || key.starts_with("default_caller.")
    }

    fn apply(&self, config: &Config) {
        self.replace(config.identity.clone(), config.callers.clone());
    }
}

impl Present {
    fn judge(&self) -> Option<&Judge> {
        match &self.proof {
            Proof::Wanted(judge) => Some(judge),
            Proof::NotAsked | Proof::Believed => None,
        }
    }

    fn verdict(&self, headers: &HeaderMap, extensions: &Extensions) -> Verdict {
        match &self.proof {
            Proof::NotAsked => Verdict::Known(Caller::Anonymous),
            Proof::Believed => believed(headers).map_or_else(Verdict::Refused, Verdict::Known),
            Proof::Wanted(judge) => judge.judge(headers, extensions),
        }
    }

    /// Lets the caller in, with its rule, if that admits it. Telemetry learns who it
    /// is in either case.
    fn admit(&self, caller: Caller, extensions: &mut Extensions) -> Result<(), Refusal> {
        call::note(|facts| facts.caller = Some(caller.to_string()));
        let rule = self.callers.rule(&caller);
        if !rule.admitted {
            return Err(Refusal::NotAdmitted { caller });
        }
        extensions.insert(Arc::clone(rule));
        extensions.insert(caller);
        Ok(())
    }

    /// As [`admit`](Self::admit), after the issuer's keys were read once more.
    async fn admit_with_new_keys(&self, call: &mut Parts) -> Result<(), Refusal> {
        let judge = self.judge().ok_or(Refusal::Internal)?;
        let caller = judge
            .judge_with_new_keys(&call.headers, &call.extensions)
            .await?;
        self.admit(caller, &mut call.extensions)
    }
}

impl Proof {
    fn new(identity: Identity, before: Option<&Judge>) -> Self {
        match identity {
            Identity::Anonymous => Self::NotAsked,
            Identity::Believed => Self::Believed,
            Identity::Proven(proofs) => Self::Wanted(Box::new(Judge::new(*proofs, before))),
        }
    }
}

/// Adds the caller and its rule to each request; see the module.
#[derive(Clone, Debug)]
pub(crate) struct IdentityLayer {
    identification: Identification,
}

impl IdentityLayer {
    pub(crate) fn new(identification: Identification) -> Self {
        Self { identification }
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService {
            inner,
            identification: self.identification.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct IdentityService<S> {
    inner: S,
    identification: Identification,
}

type Answer<R> = Result<Response<R>, Infallible>;

impl<S, B, R> Service<Request<B>> for IdentityService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Either<Ready<Answer<R>>, S::Future>, BoxFuture<'static, Answer<R>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let present = self.identification.0.present.load_full();
        let admitted = match present.verdict(request.headers(), request.extensions()) {
            Verdict::Known(caller) => present.admit(caller, request.extensions_mut()),
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::NeedsKeys => {
                let inner = self.inner.clone();
                return Either::Right(Box::pin(async move {
                    let (mut call, body) = request.into_parts();
                    match present.admit_with_new_keys(&mut call).await {
                        Ok(()) => inner.oneshot(Request::from_parts(call, body)).await,
                        Err(refusal) => Ok(refuse(refusal)),
                    }
                }));
            }
        };
        Either::Left(match admitted {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
        })
    }
}

fn believed(headers: &HeaderMap) -> Result<Caller, Refusal> {
    let Some(value) = headers.get(CALLER_ID) else {
        return Ok(Caller::Anonymous);
    };
    let name = value.to_str().ok().and_then(Caller::named);
    name.ok_or_else(|| {
        Refusal::InvalidRequest(vec![Violation {
            field: CALLER_ID.to_owned(),
            description: format!("must be {}", Caller::NAMES),
        }])
    })
}

#[cfg(test)]
mod tests;
