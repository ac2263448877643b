//! `create-face-liveness-session`.

use std::io::{self, IsTerminal as _};
use std::time::SystemTime;

use face_liveness_client::{Client, Error, Session, v1};
use serde_json::{Map, Value, json};

use crate::args::Create;
use crate::connection::{self, NOTICEABLE, tell_of_waits};
use crate::create::{model, parameters, request, skeleton, validate};
use crate::failure::Failure;
use crate::output;
use crate::refusal;
use crate::settings::Settings;

/// The title of tables.
const OPERATION: &str = "CreateFaceLivenessSession";

/// Does what needs no gateway; gives the request to send, if there is one.
pub(super) fn prepare(
    options: &Create,
    settings: &Settings,
) -> Result<Option<v1::CreateSessionRequest>, Failure> {
    let parameters = parameters::parameters(options)?;
    let skeleton = options.generate_cli_skeleton.as_deref();
    if skeleton == Some("input") {
        output::print_json(&skeleton::skeleton(&model::INPUT));
        return Ok(None);
    }
    validate::validate(&parameters).map_err(Failure::exception)?;
    if skeleton.is_some() {
        print(settings, sample(options.verbose_output))?;
        return Ok(None);
    }
    Ok(Some(request::request(&parameters, settings.region.clone())))
}

/// Creates the session and prints it.
pub(super) async fn run(
    options: &Create,
    request: v1::CreateSessionRequest,
    settings: &Settings,
) -> Result<u8, Failure> {
    tracing::debug!(?request, "creating a session");
    let client = connection::client(&settings.connection, tell_of_waits())?;
    let session = create(&client, request)
        .await
        .map_err(|error| refusal::failure(&error, &settings.connection.endpoint))?;
    tracing::debug!(?session, "created");
    print(settings, answer(session, options.verbose_output))?;
    Ok(0)
}

/// Waits for the session, and says so where somebody waits for long.
async fn create(client: &Client, request: v1::CreateSessionRequest) -> Result<Session, Error> {
    let mut session = std::pin::pin!(client.create_session(request));
    if !io::stderr().is_terminal() {
        return session.await;
    }
    match tokio::time::timeout(NOTICEABLE, &mut session).await {
        Ok(session) => session,
        Err(_) => {
            connection::tell("still waiting for the gateway; Ctrl-C ends the call");
            session.await
        }
    }
}

fn print(settings: &Settings, answer: Value) -> Result<(), Failure> {
    let printed = settings.style.print(OPERATION, answer);
    printed.map_err(Failure::exception)
}

fn answer(session: Session, is_verbose: bool) -> Value {
    let mut answer = Map::new();
    answer.insert("SessionId".to_owned(), session.session_id.into());
    if is_verbose {
        let time = |time: SystemTime| humantime::format_rfc3339_millis(time).to_string();
        answer.insert("Region".to_owned(), session.region.into());
        answer.insert("CreateTime".to_owned(), time(session.create_time).into());
        answer.insert("ExpireTime".to_owned(), time(session.expire_time).into());
        answer.insert("Replayed".to_owned(), session.replayed.into());
    }
    Value::Object(answer)
}

/// An answer with the names of the members as values, as the AWS CLI prints it
/// for other operations; for this one it refuses its own sample as too short.
fn sample(is_verbose: bool) -> Value {
    if is_verbose {
        let time = "1970-01-01T00:00:00.000Z";
        return json!({
            "SessionId": "SessionId",
            "Region": "Region",
            "CreateTime": time,
            "ExpireTime": time,
            "Replayed": true,
        });
    }
    json!({"SessionId": "SessionId"})
}
