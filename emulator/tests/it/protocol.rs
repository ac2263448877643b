//! What is no good call gets the answers of AWS's front end, each with a request id.

use rekognition_emulator::MAX_BODY;

use crate::support::{CREATE, call, call_text, control, exchange, parse, request, unsigned};

const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let emulator = unsigned().await;
    let answers = [
        call(&emulator, CREATE, "{}").await,
        call(&emulator, CREATE, "nonsense").await,
        call(&emulator, "DetectFaces", "{}").await,
        parse(
            &exchange(emulator.addr(), &request("GET", "/", &[], ""))
                .await
                .unwrap(),
        ),
        control(&emulator, "GET", "faults", "").await,
    ];
    let mut ids: Vec<_> = answers
        .iter()
        .map(|answer| answer.header("x-amzn-requestid"))
        .collect();
    assert!(
        ids.iter().all(|id| id.is_some_and(|id| id.len() == 36)),
        "{ids:?}"
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
}

#[tokio::test]
async fn answers_and_errors_are_of_the_protocols_type() {
    let emulator = unsigned().await;
    for body in ["{}", "nonsense"] {
        let answer = call(&emulator, CREATE, body).await;
        assert_eq!(answer.header("content-type"), Some(JSON.1));
    }
}

#[tokio::test]
async fn an_unknown_target_is_an_unknown_operation() {
    let emulator = unsigned().await;
    for headers in [
        vec![JSON],
        vec![JSON, ("x-amz-target", "RekognitionService.DetectFaces")],
        vec![JSON, ("x-amz-target", "Other.CreateFaceLivenessSession")],
    ] {
        let text = request("POST", "/", &headers, "{}");
        let answer = parse(&exchange(emulator.addr(), &text).await.unwrap());
        assert_eq!(
            (answer.status, answer.error_type().as_str()),
            (400, "UnknownOperationException")
        );
    }
    assert!(
        emulator
            .journal()
            .requests
            .iter()
            .all(|seen| seen.operation.is_none())
    );
}

#[tokio::test]
async fn other_methods_paths_and_content_types_get_xml() {
    let emulator = unsigned().await;
    let target = (
        "x-amz-target",
        "RekognitionService.CreateFaceLivenessSession",
    );
    let text = ("content-type", "text/plain");
    for (method, path, headers, status, said) in [
        (
            "GET",
            "/",
            vec![JSON, target],
            403,
            "Unable to determine service/operation name",
        ),
        ("PUT", "/", vec![JSON, target], 403, "AccessDeniedException"),
        (
            "POST",
            "/other",
            vec![JSON, target],
            404,
            "<UnknownOperationException/>",
        ),
        (
            "POST",
            "/",
            vec![text, target],
            404,
            "<UnknownOperationException/>",
        ),
    ] {
        let text = request(method, path, &headers, "{}");
        let answer = parse(&exchange(emulator.addr(), &text).await.unwrap());
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.body.contains(said), "{}", answer.body);
    }
    assert_eq!(emulator.journal().sessions_made, 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let emulator = unsigned().await;
    // Announced, not sent: the refusal must not wait for it.
    let text = call_text(CREATE, "").replace(
        "content-length: 0",
        &format!("content-length: {}", MAX_BODY + 1),
    );
    let answer = parse(&exchange(emulator.addr(), &text).await.unwrap());
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (413, "RequestEntityTooLargeException")
    );
}
