//! `describe`: what the gateway offers, as it says itself through reflection.

mod schema;

use std::collections::BTreeMap;

use futures_util::stream;
use prost::Message as _;
use prost_types::FileDescriptorProto;

use tonic::{Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::call_failed;
use crate::args::Describe;
use crate::connection::{self, tell_of_waits};
use crate::failure::Failure;
use crate::settings::Settings;

/// Far more than any gateway has; a server that offers more is none.
const MAX_SERVICES: usize = 1000;

pub(super) async fn run(options: &Describe, settings: &Settings) -> Result<u8, Failure> {
    let client = connection::client(&settings.connection, tell_of_waits())?;
    let mut reflection = Reflection {
        client: ServerReflectionClient::new(client.channel()),
        settings,
    };
    let symbols = match &options.symbol {
        Some(symbol) => vec![symbol.clone()],
        None => reflection.services().await.map_err(failed)?,
    };
    let mut files = BTreeMap::new();
    for symbol in symbols.into_iter().take(MAX_SERVICES) {
        for file in reflection.files(symbol).await.map_err(failed)? {
            files.insert(file.name().to_owned(), file);
        }
    }
    let answer = schema::describe(files.values(), options.symbol.as_deref());
    settings
        .style
        .print("Describe", answer)
        .map_err(Failure::exception)?;
    Ok(0)
}

fn failed(status: Status) -> Failure {
    call_failed("ServerReflection.ServerReflectionInfo", &status)
}

struct Reflection<'a> {
    client: ServerReflectionClient<face_liveness_client::Channel>,
    settings: &'a Settings,
}

impl Reflection<'_> {
    async fn services(&mut self) -> Result<Vec<String>, Status> {
        match self
            .ask(MessageRequest::ListServices(String::new()))
            .await?
        {
            MessageResponse::ListServicesResponse(list) => Ok(list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect()),
            other => Err(unexpected(&other)),
        }
    }

    async fn files(&mut self, symbol: String) -> Result<Vec<FileDescriptorProto>, Status> {
        match self
            .ask(MessageRequest::FileContainingSymbol(symbol))
            .await?
        {
            MessageResponse::FileDescriptorResponse(answer) => {
                let files = answer.file_descriptor_proto.iter();
                let files = files.map(|file| FileDescriptorProto::decode(file.as_slice()));
                files
                    .collect::<Result<_, _>>()
                    .map_err(|error| Status::internal(error.to_string()))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&mut self, question: MessageRequest) -> Result<MessageResponse, Status> {
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let mut request = Request::new(stream::iter([question]));
        if let Some(timeout) = self.settings.connection.read_timeout {
            request.set_timeout(timeout);
        }
        let mut answers = self
            .client
            .server_reflection_info(request)
            .await?
            .into_inner();
        match answers
            .message()
            .await?
            .and_then(|answer| answer.message_response)
        {
            Some(MessageResponse::ErrorResponse(error)) => {
                Err(Status::new(error.error_code.into(), error.error_message))
            }
            Some(answer) => Ok(answer),
            None => Err(Status::internal("the gateway gave no answer")),
        }
    }
}

fn unexpected(_: &MessageResponse) -> Status {
    Status::internal("the gateway answered another question")
}
