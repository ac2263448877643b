//! A Redis behind TLS and access lists is used as the README says, and one that
//! cannot be used is told of with the reason.

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rekognition_emulator::Emulator;

use crate::redis_server::{Identity, Server, poll};
use crate::replica::{BY_THE_SECOND, Replica};
use crate::support::emulator;

const USER: &str = "gateway";
const SECRET: &str = "hush-hush";

/// What the README grants to a user, on a server or on each node of a cluster.
pub(crate) fn grants() -> String {
    let readme = include_str!("../../README.md");
    let (_, grants) = readme
        .split_once("ACL SETUSER gateway on >PASSWORD ")
        .unwrap();
    let (grants, _) = grants.split_once("```").unwrap();
    let grants: Vec<_> = grants
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect();
    grants.join(" ")
}

/// A gateway that falls back to half of the quota.
fn replica(emulator: &Emulator, store: &str, bundle: Option<&Identity>) -> Replica {
    let mut variables = vec![("QUOTA_SHARE", "0.5"), ("DEBUG", "true"), BY_THE_SECOND];
    let path = bundle.map(|identity| identity.certificate.path().display().to_string());
    if let Some(path) = &path {
        variables.push(("QUOTA_STORE_CA_BUNDLE", path));
    }
    Replica::start(emulator, store, &variables)
}

async fn create(replica: &Replica, token: &str) -> String {
    let mut client = FaceLivenessServiceClient::new(replica.channel.clone());
    let request = CreateSessionRequest {
        client_request_token: Some(token.to_owned()),
        ..CreateSessionRequest::default()
    };
    let session = client.create_session(request).await.unwrap();
    session.into_inner().session_id
}

/// Two replicas behind one store know each other's sessions, and it their quota.
async fn assert_shared(store: &str, server: &Server, bundle: Option<&Identity>) {
    let emulator = emulator().await;
    let replicas = [(); 2].map(|()| replica(&emulator, store, bundle));
    poll(async || replicas[0].shares().await && replicas[1].shares().await).await;
    let session = create(&replicas[0], "one-intent").await;
    assert_eq!(create(&replicas[1], "one-intent").await, session);
    assert_eq!(emulator.journal().sessions_made, 1);
    let key = "{face-liveness:quota:us-east-1}:creates";
    // A slot that was told too late is let pass, and another one taken.
    assert!(server.tell::<u32>(&format!("ZCARD {key}")).await >= 1);
    for replica in &replicas {
        assert!(!replica.log().contains(SECRET), "{}", replica.log());
    }
}

/// The gateway serves from its share, and its log says `reason` without the
/// password.
async fn assert_alone(replica: &Replica, reason: &str) {
    replica.logs(reason).await;
    replica.logs("going on with this replica's share").await;
    create(replica, "alone").await;
    assert!(!replica.shares().await);
    assert!(!replica.log().contains(SECRET), "{}", replica.log());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_certificate_of_the_store_s_bundle_is_trusted() {
    let identity = Identity::new();
    let server = Server::encrypted(&identity, &[]).await;
    assert_shared(&server.url(), &server, Some(&identity)).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_certificate_of_nobody_trusted_is_refused_with_the_key_to_set() {
    let (identity, other) = (Identity::new(), Identity::new());
    let server = Server::encrypted(&identity, &[]).await;
    let emulator = emulator().await;
    for bundle in [None, Some(&other)] {
        let replica = replica(&emulator, &server.url(), bundle);
        assert_alone(&replica, "a certificate that is not trusted").await;
        assert!(replica.log().contains("quota.store_ca_bundle names"));
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_user_with_what_the_readme_grants_is_enough() {
    let server = Server::start(&[]).await;
    let user = format!("ACL SETUSER {USER} on >{SECRET} {}", grants());
    server.tell::<()>(&user).await;
    let url = format!("redis://{USER}:{SECRET}@{}", server.address());
    assert_shared(&url, &server, None).await;
    // Refused commands would be told of here, also those whose refusal is ignored.
    let refused: Vec<::redis::Value> = server.tell("ACL LOG").await;
    let refused = format!("{refused:?}");
    assert!(!refused.contains("\"key\""), "{refused}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_wrong_password_is_told_without_it_and_one_that_is_set_later_is_found() {
    let server = Server::start(&[]).await;
    let user = format!("ACL SETUSER {USER} on >another {}", grants());
    server.tell::<()>(&user).await;
    let url = format!("redis://{USER}:{SECRET}@{}", server.address());
    let emulator = emulator().await;
    let replica = replica(&emulator, &url, None);
    assert_alone(&replica, "refuses the user or the password").await;
    server
        .tell::<()>(&format!("ACL SETUSER {USER} >{SECRET}"))
        .await;
    poll(async || replica.shares().await).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_user_who_may_not_do_enough_is_told_of() {
    let server = Server::start(&[]).await;
    let user = format!("ACL SETUSER {USER} on >{SECRET} {} -evalsha", grants());
    server.tell::<()>(&user).await;
    let url = format!("redis://{USER}:{SECRET}@{}", server.address());
    let emulator = emulator().await;
    let replica = replica(&emulator, &url, None);
    assert_alone(&replica, "NOPERM").await;
    server
        .tell::<()>(&format!("ACL SETUSER {USER} +evalsha"))
        .await;
    poll(async || replica.shares().await).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_loss_and_a_return_are_each_told_once() {
    let mut server = Server::start(&[]).await;
    let emulator = emulator().await;
    // A machine that is busy is not to be taken for another loss.
    let variables = [
        ("QUOTA_SHARE", "0.5"),
        ("QUOTA_STORE_TIMEOUT", "5s"),
        BY_THE_SECOND,
    ];
    let replica = Replica::start(&emulator, &server.url(), &variables);
    let told = [
        "Redis is lost",
        "Redis is back",
        "the quota is shared again",
    ];
    replica.logs("the quota is shared through Redis").await;
    assert_eq!(told.map(|mark| replica.logged(mark)), [0, 0, 0]);
    server.kill();
    replica.logs(told[0]).await;
    // It looks for Redis meanwhile, in vain.
    for call in 0..8 {
        create(&replica, &call.to_string()).await;
    }
    server.restart().await;
    replica.logs(told[2]).await;
    assert_eq!(told.map(|mark| replica.logged(mark)), [1, 1, 1]);
}
