//! What was recorded from the AWS CLI holds for this program, case by case, with a
//! gateway between it and what stands for AWS.

use serde_json::{Value, json};

use crate::support::{BINARY, Program, Ran};
use crate::upstream::Recorder;

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
    let aws = Recorder::start().await;
    let gateway = aws.gateway().await;
    let mut program = Program::new(BINARY)
        .env("FACE_LIVENESS_ENDPOINT_URL", gateway.endpoint())
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
    let expected = Expected::of(case, name);
    expected
        .compare(&ran, aws.bodies())
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

    fn compare(&self, ran: &Ran, sent: Vec<Value>) -> Result<(), String> {
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
        let sent: Vec<_> = sent
            .into_iter()
            .zip(requests.iter().map(Some).chain(std::iter::repeat(None)))
            .map(|(body, recorded)| without_added_token(body, recorded))
            .collect();
        if sent != *requests {
            return Err(format!("AWS was sent {sent:?}, not {requests:?}"));
        }
        Ok(())
    }
}

/// Without the token that is added where the options give none, so that a retry
/// makes no second session: a UUID.
fn without_added_token(mut body: Value, recorded: Option<&Value>) -> Value {
    if recorded.is_none_or(|recorded| recorded.get("ClientRequestToken").is_none()) {
        let added = body
            .as_object_mut()
            .and_then(|members| members.remove("ClientRequestToken"));
        let added = added.as_ref().and_then(Value::as_str);
        assert_eq!(added.map(str::len), Some(36), "a token is added: {body}");
    }
    body
}
