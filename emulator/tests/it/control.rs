//! The control API reads and changes faults, moves the clock and resets the state.

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, FaultStatus};
use serde_json::{Value, json};

use crate::support::{CREATE, GET, call, control, unsigned};

async fn faults(emulator: &Emulator, method: &str, body: Value) -> (u16, Value) {
    let answer = control(emulator, method, "faults", &body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn faults_can_be_set_read_and_cleared() {
    let emulator = unsigned().await;
    let wanted = json!({"seed": 7, "faults": [{"fault": "throttling", "on_call": 2}]});
    assert_eq!(faults(&emulator, "PUT", wanted).await.0, 200);
    assert_eq!(call(&emulator, CREATE, "{}").await.status, 200);
    assert_eq!(
        call(&emulator, CREATE, "{}").await.error_type(),
        "ThrottlingException"
    );

    let read = control(&emulator, "GET", "faults", "").await.json();
    assert_eq!(read["seed"], 7);
    assert_eq!(
        (&read["faults"][0]["calls"], &read["faults"][0]["hits"]),
        (&json!(2), &json!(1))
    );
    let statuses: Vec<FaultStatus> = serde_json::from_value(read["faults"].clone()).unwrap();
    assert_eq!(statuses, emulator.faults());

    assert_eq!(control(&emulator, "DELETE", "faults", "").await.status, 200);
    assert_eq!(emulator.faults(), []);
}

#[tokio::test]
async fn a_fault_can_be_added_to_the_others() {
    let emulator = unsigned().await;
    emulator.set_faults([Fault::hang().on_call(9)]);
    let added = json!({"fault": "latency", "operation": "any", "latency": "1ms..2ms"});
    assert_eq!(faults(&emulator, "POST", added).await.0, 200);
    let set: Vec<String> = emulator
        .faults()
        .iter()
        .map(|set| set.fault.to_string())
        .collect();
    assert_eq!(set, ["hang@9", "any/latency:1ms..2ms"]);
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_says_what_is_allowed() {
    let emulator = unsigned().await;
    emulator.set_faults([Fault::reset().on_call(9)]);
    let before = emulator.faults();
    for wrong in [
        json!({"faults": [{"fault": "throtling"}]}),
        json!({"faults": [{"fault": "reset", "probability": 7}]}),
        json!({"fault": "reset"}),
        json!([]),
    ] {
        let (status, said) = faults(&emulator, "PUT", wrong).await;
        assert_eq!(status, 400);
        assert!(
            said["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{said}"
        );
    }
    assert_eq!(emulator.faults(), before);
}

#[tokio::test]
async fn the_clock_can_be_advanced() {
    let emulator = unsigned().await;
    let made = call(&emulator, CREATE, "{}").await.body;
    assert_eq!(
        call(&emulator, GET, &made).await.json()["Status"],
        "CREATED"
    );
    let advanced = control(&emulator, "POST", "clock", r#"{"advance_ms":180000}"#).await;
    assert_eq!(advanced.status, 200);
    assert_eq!(emulator.clock().now(), Duration::from_secs(180));
    assert_eq!(
        call(&emulator, GET, &made).await.error_type(),
        "SessionNotFoundException"
    );
}

#[tokio::test]
async fn a_reset_forgets_all_but_the_faults() {
    let emulator = unsigned().await;
    emulator.set_faults([Fault::throttling().on_call(2)]);
    let made = call(&emulator, CREATE, "{}").await.body;
    assert_eq!(control(&emulator, "POST", "reset", "").await.status, 200);
    assert_eq!(emulator.journal().requests_seen, 0);
    assert_eq!(emulator.faults()[0].calls, 0);
    assert_eq!(
        call(&emulator, GET, &made).await.error_type(),
        "SessionNotFoundException"
    );
    assert_eq!(call(&emulator, CREATE, "{}").await.status, 200);
    assert_eq!(
        call(&emulator, CREATE, "{}").await.error_type(),
        "ThrottlingException"
    );
}

#[tokio::test]
async fn an_unknown_endpoint_names_the_known_ones() {
    let emulator = unsigned().await;
    let answer = control(&emulator, "PATCH", "faults", "").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.body.contains("GET /_emulator/journal"),
        "{}",
        answer.body
    );
}
