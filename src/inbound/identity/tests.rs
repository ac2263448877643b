//! Who is taken to call.

use super::*;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use std::time::Duration;
use tonic::{Code, Status};

/// Answers with whom it takes to call.
async fn tell(request: Request<()>) -> Answer<String> {
    Ok(Response::new(caller(request.extensions()).to_string()))
}

/// Whom a call with this `x-caller-id` is taken to come from.
async fn taken_for(identity: Identity, id: Option<&str>) -> Response<String> {
    let mut request = Request::new(());
    if let Some(id) = id {
        request.headers_mut().insert(CALLER_ID, id.parse().unwrap());
    }
    IdentityLayer::new(Identification::new(identity, Callers::default()))
        .layer(tower::service_fn(tell))
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
    for id in ["", "two words", "anonymous", &"x".repeat(257)] {
        let answer = taken_for(Identity::Believed, Some(id)).await;
        let status = answer.extensions().get::<Status>().unwrap();
        assert_eq!(status.code(), Code::InvalidArgument, "{id:?}");
    }
}

/// Signs the tokens of an issuer, with a key of this id.
struct Issuer(EncodingKey, &'static str);

impl Issuer {
    fn new(id: &'static str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        Self(EncodingKey::from_ec_der(&key.serialize_der()), id)
    }

    fn key_set(&self) -> String {
        let mut key = Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap();
        key.common.key_id = Some(self.1.to_owned());
        serde_json::to_string(&JwkSet { keys: vec![key] }).unwrap()
    }

    fn bearer(&self) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.1.to_owned());
        let claims = serde_json::json!({
            "iss": "issuer", "aud": "gateway", "sub": "shop", "exp": u32::MAX,
        });
        format!("Bearer {}", encode(&header, &claims, &self.0).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_signed_with_a_key_that_was_published_since_is_accepted_a_little_later() {
    let (first, second) = (Issuer::new("a"), Issuer::new("b"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), first.key_set()).unwrap();
    let proofs = Proofs {
        jwt: Some(jwt::Settings {
            issuer: "issuer".to_owned(),
            audience: vec!["gateway".to_owned()],
            algorithms: vec![Algorithm::ES256],
            claim: "sub".to_owned(),
            prefix: String::new(),
            keys: keys::Settings {
                source: keys::Source::File(file.path().to_owned()),
                refresh_interval: Duration::from_secs(300),
                max_stale: Duration::ZERO,
            },
        }),
        ..Proofs::default()
    };
    let identity = Identity::Proven(Box::new(proofs));
    let identification = Identification::new(identity, Callers::default());
    identification.ready().await;
    let layer = IdentityLayer::new(identification);
    let told = async |issuer: &Issuer| {
        let mut request = Request::new(());
        let bearer = issuer.bearer().parse().unwrap();
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let answer = layer.layer(tower::service_fn(tell)).oneshot(request).await;
        let answer = answer.unwrap();
        let code = answer.extensions().get::<Status>().map(Status::code);
        code.map_or_else(|| Ok(answer.into_body()), Err)
    };
    assert_eq!(told(&first).await.unwrap(), "shop");
    assert_eq!(told(&second).await, Err(Code::Unauthenticated));
    std::fs::write(file.path(), second.key_set()).unwrap();
    assert_eq!(told(&second).await, Err(Code::Unauthenticated), "too soon");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(told(&second).await.unwrap(), "shop");
    assert_eq!(told(&first).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_call_keeps_the_rule_with_which_it_began() {
    let callers = |name: &str| {
        let rule = Rule {
            name: name.into(),
            ..Rule::default()
        };
        Callers::new(rule, [])
    };
    let identification = Identification::new(Identity::Anonymous, callers("first"));
    let layer = IdentityLayer::new(identification.clone());
    let second = callers("second");
    let replaces = tower::service_fn(move |request: Request<()>| {
        identification.replace(Identity::Anonymous, second.clone());
        let rule = rule(request.extensions()).unwrap();
        done(Ok(Response::new(rule.name.to_string())))
    });
    let service = layer.layer(replaces);
    for expected in ["first", "second"] {
        let answer = service.clone().oneshot(Request::new(())).await;
        assert_eq!(answer.unwrap().into_body(), expected);
    }
}
