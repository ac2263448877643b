//! Callers prove who they are, and are treated by the name that they proved.

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::v1;
use tonic_types::StatusExt as _;

use crate::certificates::{Authority, Secret, channel, client};
use crate::support::{ONE_REGION, Running, emulator, until, watch_health};

/// Random enough for a test.
const TOKEN: &str = "b0b2c3a9d6f14e57";

/// Only `shop` and `spiffe://…/web` are let in.
pub(crate) const ADMITTED: &str = "
    [default_caller]
    admitted = false
    [[callers]]
    id = 'shop'
    [[callers]]
    id = 'spiffe://example.org/**/web'
";

/// The entry for a caller's token.
pub(crate) fn token_of(caller: &str, token: &str) -> String {
    let digest = Sha256::digest(token);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[tokens]]\ncaller = '{caller}'\nsha256 = '{hex}'\n")
}

pub(crate) async fn serve(toml: &str) -> Running {
    Running::configured(&emulator().await, &format!("{ONE_REGION}{toml}")).await
}

async fn create(channel: Channel, metadata: &[(&'static str, &str)]) -> Result<(), Status> {
    let mut request = Request::new(CreateSessionRequest::default());
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let mut client = FaceLivenessServiceClient::new(channel);
    client.create_session(request).await.map(drop)
}

pub(crate) async fn with_bearer(gateway: &Running, token: &str) -> Result<(), Status> {
    let authorization = format!("Bearer {token}");
    create(
        gateway.connect().await,
        &[("authorization", &authorization)],
    )
    .await
}

/// Asserts that it is the refusal of credentials, and gives its words.
pub(crate) fn unauthenticated(answer: Result<(), Status>) -> String {
    let status = answer.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), &*info.reason),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    status.message().to_owned()
}

#[tokio::test]
async fn a_static_token_names_its_caller_and_nothing_else_does() {
    let gateway = serve(&format!("{ADMITTED}{}", token_of("shop", TOKEN))).await;
    with_bearer(&gateway, TOKEN).await.unwrap();
    let anonymous = create(gateway.connect().await, &[("x-caller-id", "shop")]).await;
    let told = unauthenticated(anonymous);
    assert_eq!(
        told,
        "the call needs a bearer token in the metadata authorization"
    );
    let not_accepted =
        "the credentials are not accepted; they may be withdrawn, or meant for another service";
    for wrong in ["b0b2c3a9d6f14e58", "b0b2", "a.b.c", ""] {
        let told = unauthenticated(with_bearer(&gateway, wrong).await);
        assert_eq!(told, not_accepted, "{wrong:?}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let basic = format!("Basic {TOKEN}");
    for values in [vec![&*basic], vec![&*bearer, &*bearer]] {
        let values: Vec<_> = values
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let answer = create(gateway.connect().await, &values).await;
        assert_eq!(unauthenticated(answer), not_accepted);
    }
    create(
        gateway.connect().await,
        &[("authorization", &format!("bEARER {TOKEN}"))],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn whom_no_rule_admits_is_refused_though_it_proved_who_it_is() {
    let gateway = serve(&format!("{ADMITTED}{}", token_of("stranger", TOKEN))).await;
    let status = with_bearer(&gateway, TOKEN).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

async fn reflects(gateway: &Running, authorization: Option<&str>) -> Result<(), Status> {
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut request = Request::new(tokio_stream::once(request));
    if let Some(value) = authorization {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", value.parse().unwrap());
    }
    let channel = gateway.connect().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    answers.message().await.map(drop)
}

#[tokio::test]
async fn health_is_open_and_reflection_as_configured() {
    let bearer = format!("Bearer {TOKEN}");
    for (reflection, anonymous, known) in [
        ("open", None, None),
        ("authenticated", Some(Code::Unauthenticated), None),
        ("off", Some(Code::Unimplemented), Some(Code::Unimplemented)),
    ] {
        let auth = format!("[auth]\nreflection = '{reflection}'\n");
        let gateway = serve(&format!("{auth}{}", token_of("shop", TOKEN))).await;
        let mut states = watch_health(gateway.connect().await).await;
        until(&mut states, ServingStatus::Serving).await;
        let code = |answer: Result<(), Status>| answer.err().map(|status| status.code());
        assert_eq!(
            code(reflects(&gateway, None).await),
            anonymous,
            "{reflection}"
        );
        let answer = reflects(&gateway, Some(&bearer)).await;
        assert_eq!(code(answer), known, "{reflection}");
    }
}

#[tokio::test]
async fn a_certificate_names_its_caller_and_a_bearer_token_counts_before_it() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), &authority.pem());
    let tls = secret.mutual("client_auth = 'optional'");
    let gateway = serve(&format!("{tls}{ADMITTED}{}", token_of("shop", TOKEN))).await;
    let bearer = format!("Bearer {TOKEN}");
    let pair = |name| authority.client(name);
    let web = pair("spiffe://example.org/ns/pay/sa/web");
    let other = pair("spiffe://example.org/ns/pay/sa/other");
    let nameless = authority.nameless();
    let connect = |identity| channel(gateway.address, client(&authority, identity));
    create(connect(Some(&web)), &[]).await.unwrap();
    let status = create(connect(Some(&other)), &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    for identity in [None, Some(&nameless)] {
        let told = unauthenticated(create(connect(identity), &[]).await);
        assert!(
            told.contains("certificate") && told.contains("bearer"),
            "{told}"
        );
    }
    create(connect(None), &[("authorization", &bearer)])
        .await
        .unwrap();
    create(connect(Some(&other)), &[("authorization", &bearer)])
        .await
        .unwrap();
    unauthenticated(create(connect(Some(&web)), &[("authorization", "Bearer wrong")]).await);
}

#[tokio::test]
async fn callers_with_the_same_request_token_never_see_each_others_session() {
    let emulator = emulator().await;
    let hash = |token: &str| -> String {
        let digest = Sha256::digest(token);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let tokens = ["shop", "pay"].map(|caller| {
        let sha256 = hash(&format!("{TOKEN}-{caller}"));
        format!("[[tokens]]\ncaller = '{caller}'\nsha256 = '{sha256}'\n")
    });
    let toml = format!("{ONE_REGION}{}", tokens.concat());
    let gateway = Running::configured(&emulator, &toml).await;
    let create = async |caller: &str| {
        let mut request = Request::new(CreateSessionRequest {
            client_request_token: Some("the-same".to_owned()),
            ..CreateSessionRequest::default()
        });
        let authorization = format!("Bearer {TOKEN}-{caller}").parse().unwrap();
        let metadata = request.metadata_mut();
        metadata.insert("authorization", authorization);
        let mut client = gateway.client().await;
        let session = client.create_session(request).await.unwrap().into_inner();
        (session.session_id, session.replayed)
    };
    let shops = create("shop").await;
    let pays = create("pay").await;
    assert_ne!(shops.0, pays.0);
    assert_eq!((shops.1, pays.1), (false, false));
    // Not through AWS's own memory of tokens either.
    let journal = emulator.journal();
    let sent = journal.requests.iter();
    let sent = sent.map(|request| request.body.as_ref().unwrap()["ClientRequestToken"].clone());
    let sent: Vec<_> = sent.collect();
    assert!(sent.len() == 2 && sent[0] != sent[1], "{sent:?}");
    assert_eq!(create("shop").await, (shops.0, true));
    assert_eq!(create("pay").await, (pays.0, true));
}
