//! Answers what is not gRPC with HTTP 415 and a sentence that says so.
//!
//! Sits outside every service: only gRPC goes further.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready as done};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;
use tower::{Layer, Service};

/// The answer to what is not gRPC.
const EXPLANATION: &str =
    "this port speaks gRPC: POST with content-type application/grpc, for example with grpcurl\n";

/// Lets only gRPC pass; see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcOnlyLayer;

impl<S> Layer<S> for GrpcOnlyLayer {
    type Service = GrpcOnly<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcOnly { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct GrpcOnly<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for GrpcOnly<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_grpc(&request) {
            return Either::Right(self.inner.call(request));
        }
        let mut answer = Response::new(Body::new(Full::from(EXPLANATION)));
        *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Either::Left(done(Ok(answer)))
    }
}

/// `application/grpc`, alone or followed by `+proto` or a parameter.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(b"+proto") || rest.starts_with(b";")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_counts_as_grpc() {
        let cases = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc+json", false),
            ("application/json", false),
            ("", false),
        ];
        for (content_type, expected) in cases {
            let request = Request::builder()
                .header(CONTENT_TYPE, content_type)
                .body(())
                .unwrap();
            assert_eq!(is_grpc(&request), expected, "{content_type:?}");
        }
        assert!(!is_grpc(&Request::new(())));
    }
}
