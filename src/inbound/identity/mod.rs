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
use http::{Extensions, HeaderMap, Request, Response};
use tower::{Layer, Service, ServiceExt as _};

use super::refuse;
use crate::caller::{Caller, Rule, Rules};
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

/// How callers are told apart at the moment, which may change at any time. Clones
/// are one.
#[derive(Clone, Debug)]
pub(crate) struct Identification(Arc<ArcSwap<State>>);

#[derive(Debug)]
enum State {
    Anonymous,
    Believed,
    Proven(Arc<Judge>),
}

impl Identification {
    /// Must be called on the runtime for background work, where an issuer's keys
    /// are then kept fresh.
    pub(crate) fn new(identity: Identity) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(State::new(identity, None))))
    }

    /// Puts `identity` in force for every call that begins from now on; as
    /// [`new`](Self::new). Where proof was wanted it stays wanted, even if there is
    /// none that would do; and whether TLS asks for certificates was settled at
    /// the start.
    pub(crate) fn replace(&self, identity: Identity) {
        let before = self.0.load();
        let judge = match &**before {
            State::Proven(judge) => Some(&**judge),
            _ => None,
        };
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
        self.0.store(Arc::new(State::new(identity, judge)));
    }

    /// Completes when callers can be told apart.
    pub(crate) async fn ready(&self) {
        let judge = match &**self.0.load() {
            State::Proven(judge) => Arc::clone(judge),
            _ => return,
        };
        judge.ready().await;
    }

    fn verdict(&self, headers: &HeaderMap, extensions: &Extensions) -> Pending {
        let judge = match &**self.0.load() {
            State::Anonymous => return Pending::Done(Ok(Caller::Anonymous)),
            State::Believed => return Pending::Done(believed(headers)),
            State::Proven(judge) => Arc::clone(judge),
        };
        match judge.judge(headers, extensions) {
            Verdict::Known(caller) => Pending::Done(Ok(caller)),
            Verdict::Refused(refusal) => Pending::Done(Err(refusal)),
            Verdict::NeedsKeys(token) => Pending::NeedsKeys(judge, token),
        }
    }
}

impl Part for Identification {
    fn takes_on(&self, key: &str) -> bool {
        key == "tokens" || key.starts_with("auth.jwt.")
    }

    fn apply(&self, config: &Config) {
        self.replace(config.identity.clone());
    }
}

impl State {
    fn new(identity: Identity, before: Option<&Judge>) -> Self {
        match identity {
            Identity::Anonymous => Self::Anonymous,
            Identity::Believed => Self::Believed,
            Identity::Proven(proofs) => Self::Proven(Arc::new(Judge::new(*proofs, before))),
        }
    }
}

/// Who calls, or what is missing to tell.
enum Pending {
    Done(Result<Caller, Refusal>),
    NeedsKeys(Arc<Judge>, String),
}

/// Adds the caller and its rule to each request; see the module.
#[derive(Clone, Debug)]
pub(crate) struct IdentityLayer {
    identification: Identification,
    rules: Rules,
}

impl IdentityLayer {
    pub(crate) fn new(identification: Identification, rules: Rules) -> Self {
        Self {
            identification,
            rules,
        }
    }

    /// Lets the caller in, with its rule, if that admits it. Telemetry learns who it
    /// is in either case.
    fn admit<B>(&self, caller: Caller, request: &mut Request<B>) -> Result<(), Refusal> {
        call::note(|facts| facts.caller = Some(caller.to_string()));
        let rule = self.rules.rule(&caller);
        if !rule.admitted {
            return Err(Refusal::NotAdmitted { caller });
        }
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(rule);
        Ok(())
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct IdentityService<S> {
    inner: S,
    layer: IdentityLayer,
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
        let identification = &self.layer.identification;
        match identification.verdict(request.headers(), request.extensions()) {
            Pending::Done(caller) => {
                let admitted = caller.and_then(|caller| self.layer.admit(caller, &mut request));
                Either::Left(match admitted {
                    Ok(()) => Either::Right(self.inner.call(request)),
                    Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
                })
            }
            Pending::NeedsKeys(judge, token) => {
                let Self { inner, layer } = self.clone();
                Either::Right(Box::pin(async move {
                    let caller = judge.judge_with_new_keys(&token).await;
                    match caller.and_then(|caller| layer.admit(caller, &mut request)) {
                        Ok(()) => inner.oneshot(request).await,
                        Err(refusal) => Ok(refuse(refusal)),
                    }
                }))
            }
        }
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
            description: format!("must be 1 to {} visible ASCII characters", Caller::MAX_NAME),
        }])
    })
}

#[cfg(test)]
mod tests;
