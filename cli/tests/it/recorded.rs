//! What was recorded from the AWS CLI holds for this program, case by case.

use face_liveness_client::testing::Received;
use face_liveness_client::v1::{ChallengeType, CreateSessionRequest};
use serde_json::{Map, Value, json};

use crate::support::{BINARY, Program, Ran, gateway, recorded_session};

const CASES: &str = include_str!("../data/cli-cases.json");

/// What differs on purpose: the case, and what the recorded text must be turned
/// into before it is compared.
const DIFFERENCES: [(&str, Difference); 4] = [
    // Usage errors begin with the program's own name.
    ("kms missing value", Difference::ProgramName),
    // What caused it, and what to do, follows.
    ("refused endpoint", Difference::MoreFollows),
    // The AWS CLI draws one of the words by lot, each time anew.
    ("skeleton input", Difference::AnyChallenge),
    ("skeleton default", Difference::AnyChallenge),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Difference {
    ProgramName,
    MoreFollows,
    AnyChallenge,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_recorded_case_of_the_aws_cli_holds() {
    let recorded: Value = serde_json::from_str(CASES).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    assert!(cases.len() > 40, "the record is complete");
    for (name, _) in DIFFERENCES {
        assert!(
            cases.iter().any(|case| case["name"] == name),
            "{name} is recorded"
        );
    }
    let mut failures = Vec::new();
    for case in cases {
        failures.extend(check(case).await.err());
    }
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn check(case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let gateway = gateway().await;
    gateway.enqueue(recorded_session());
    let mut program = Program::new(BINARY)
        .at(&gateway)
        .args(["create-face-liveness-session"]);
    for (file, contents) in case["files"].as_object().into_iter().flatten() {
        program = program.file(file, contents.as_str().unwrap());
    }
    for (variable, value) in case["env"].as_object().into_iter().flatten() {
        program = program.env(variable, value.as_str().unwrap());
    }
    let args = case["args"].as_array().unwrap().iter();
    let ran = program
        .args(args.map(|arg| arg.as_str().unwrap()))
        .run()
        .await;
    let sent: Vec<_> = gateway.requests().iter().map(aws_json).collect();
    let expected = Expected::of(case, name);
    expected
        .compare(&ran, &sent)
        .map_err(|problem| format!("- {name}: {problem}\n{ran:?}"))
}

struct Expected<'a> {
    difference: Option<Difference>,
    case: &'a Value,
}

impl<'a> Expected<'a> {
    fn of(case: &'a Value, name: &str) -> Self {
        let difference = DIFFERENCES.iter().find(|(case, _)| *case == name);
        Self {
            difference: difference.map(|(_, difference)| *difference),
            case,
        }
    }

    fn compare(&self, ran: &Ran, sent: &[Value]) -> Result<(), String> {
        if json!(ran.status) != self.case["exit"] {
            return Err(format!(
                "exit status {}, not {}",
                ran.status, self.case["exit"]
            ));
        }
        let stdout = self.case["stdout"].as_str().unwrap();
        let stdout = match self.difference {
            Some(Difference::AnyChallenge) => stdout.replace(
                "\"FaceMovementChallenge\"",
                "\"FaceMovementAndLightChallenge\"",
            ),
            _ => stdout.to_owned(),
        };
        if ran.stdout != stdout {
            return Err(format!("stdout is not {stdout:?}"));
        }
        let error = self.case["stderr_last"].as_str().unwrap().trim_end();
        let is_told = match self.difference {
            Some(Difference::ProgramName) => {
                ran.last_error() == error.replacen("aws: ", "face-liveness: ", 1)
            }
            Some(Difference::MoreFollows) => ran.stderr.lines().any(|line| line == error),
            _ => ran.last_error() == error,
        };
        if !is_told {
            return Err(format!("the last line of stderr is not {error:?}"));
        }
        let requests = self.case["requests"].as_array().unwrap();
        if sent != requests.as_slice() {
            return Err(format!("sent {sent:?}, not {requests:?}"));
        }
        Ok(())
    }
}

/// The request as the AWS CLI would have sent it. Without a token in the options
/// this program makes one, so that its retries make no second session: a UUID.
fn aws_json(received: &Received) -> Value {
    let request: &CreateSessionRequest = &received.message;
    let mut sent = Map::new();
    if let Some(key) = &request.kms_key_id {
        sent.insert("KmsKeyId".to_owned(), json!(key));
    }
    if let Some(settings) = &request.settings {
        let mut members = Map::new();
        if let Some(output) = &settings.output_config {
            let mut config = json!({"S3Bucket": output.s3_bucket});
            if let Some(prefix) = &output.s3_key_prefix {
                config["S3KeyPrefix"] = json!(prefix);
            }
            members.insert("OutputConfig".to_owned(), config);
        }
        if let Some(limit) = settings.audit_images_limit {
            members.insert("AuditImagesLimit".to_owned(), json!(limit));
        }
        if !settings.challenge_preferences.is_empty() {
            let kinds = settings.challenge_preferences.iter().map(|preference| {
                let kind = ChallengeType::try_from(preference.r#type).unwrap();
                json!({"Type": kind.as_str_name()})
            });
            members.insert("ChallengePreferences".to_owned(), kinds.collect());
        }
        sent.insert("Settings".to_owned(), Value::Object(members));
    }
    let token = request.client_request_token.as_deref().unwrap();
    if token.len() != 36 {
        sent.insert("ClientRequestToken".to_owned(), json!(token));
    }
    Value::Object(sent)
}
