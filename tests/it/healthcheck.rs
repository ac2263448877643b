//! `healthcheck` tells by its exit status how a gateway is.

use std::io::{BufRead as _, BufReader};

use crate::program::{run, start};
use crate::support::{Running, emulator};

#[tokio::test]
async fn healthcheck_tells_serving_from_the_ways_of_not_serving() {
    let gateway = Running::over(&emulator().await).await;
    let address = gateway.address.to_string();
    crate::support::until(
        &mut crate::support::watch_health(gateway.connect().await).await,
        tonic_health::pb::health_check_response::ServingStatus::Serving,
    )
    .await;
    let check = |args: Vec<String>| async move {
        let args = [vec!["healthcheck".to_owned(), "--address".to_owned()], args].concat();
        tokio::task::spawn_blocking(move || {
            run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    };
    assert_eq!(
        check(vec![address.clone()]).await,
        (Some(0), "SERVING\n".to_owned(), String::new())
    );
    assert_eq!(check(vec!["127.0.0.1:9".to_owned()]).await.0, Some(2));
    let unknown = vec![
        address.clone(),
        "--service".to_owned(),
        "no.such.Service".to_owned(),
    ];
    assert_eq!(check(unknown).await.0, Some(3));
}

#[test]
fn healthcheck_tells_a_gateway_that_does_not_serve_yet() {
    // Its profile does not exist, so it never gets credentials.
    let mut served = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--profile",
        "none",
    ]);
    let mut err = BufReader::new(served.0.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("not ready") {
        assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
    }
    let address = log
        .split("address=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let (code, _, problem) = run(&["healthcheck", "--address", &address]);
    assert_eq!(
        (code, problem.contains("NOT_SERVING")),
        (Some(4), true),
        "{problem}"
    );
}
