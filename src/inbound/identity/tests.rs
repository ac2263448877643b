//! Who is taken to call.

use super::*;
use tonic::{Code, Status};

/// Whom a call with this `x-caller-id` is taken to come from.
async fn taken_for(identity: Identity, id: Option<&str>) -> Response<String> {
    let mut request = Request::new(());
    if let Some(id) = id {
        request.headers_mut().insert(CALLER_ID, id.parse().unwrap());
    }
    let tell = tower::service_fn(async |request: Request<()>| {
        Ok(Response::new(caller(request.extensions()).to_string()))
    });
    IdentityLayer::new(Identification::new(identity), Rules::default())
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
