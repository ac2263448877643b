//! Says who calls. Nobody proves anything yet: the caller is anonymous, or, in
//! plaintext development only, whom the metadata `x-caller-id` names.
//!
//! Sits outside everything that treats callers differently.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready as done};
use http::{Extensions, HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::refuse;
use crate::caller::{Caller, Rule, Rules};
use crate::refusal::{Refusal, Violation};

/// The metadata in which development names the caller.
const CALLER_ID: &str = "x-caller-id";

/// How callers are told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// All are anonymous.
    Anonymous,
    /// They are believed who they say they are. For development only.
    Believed,
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

/// Adds the caller and its rule to each request; see the module.
#[derive(Clone, Debug)]
pub(crate) struct IdentityLayer {
    identity: Identity,
    rules: Rules,
}

impl IdentityLayer {
    pub(crate) fn new(identity: Identity, rules: Rules) -> Self {
        Self { identity, rules }
    }

    /// Lets the caller in, with its rule, if that admits it.
    fn admit<B>(&self, caller: Caller, request: &mut Request<B>) -> Result<(), Refusal> {
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

impl<S, B, R> Service<Request<B>> for IdentityService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = match self.layer.identity {
            Identity::Anonymous => Ok(Caller::Anonymous),
            Identity::Believed => believed(request.headers()),
        };
        match caller.and_then(|caller| self.layer.admit(caller, &mut request)) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
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
mod tests {
    use super::*;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    /// Whom a call with this `x-caller-id` is taken to come from.
    async fn taken_for(identity: Identity, id: Option<&str>) -> Response<String> {
        let mut request = Request::new(());
        if let Some(id) = id {
            request.headers_mut().insert(CALLER_ID, id.parse().unwrap());
        }
        let tell = tower::service_fn(async |request: Request<()>| {
            Ok(Response::new(caller(request.extensions()).to_string()))
        });
        IdentityLayer::new(identity, Rules::default())
            .layer(tell)
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_caller_is_believed_in_development_only() {
        let told = async |identity, id| taken_for(identity, id).await.into_body();
        assert_eq!(told(Identity::Believed, Some("checkout")).await, "checkout");
        assert_eq!(told(Identity::Believed, None).await, "anonymous");
        assert_eq!(
            told(Identity::Anonymous, Some("checkout")).await,
            "anonymous"
        );
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_one_is_refused() {
        for id in ["", "two words", &"x".repeat(257)] {
            let answer = taken_for(Identity::Believed, Some(id)).await;
            let status = answer.extensions().get::<Status>().unwrap();
            assert_eq!(status.code(), Code::InvalidArgument, "{id:?}");
        }
    }
}
