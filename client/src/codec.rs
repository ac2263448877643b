//! The call itself, with an answer that cannot be read told from a refusal.

use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Request, Response, Status};
use tonic_prost::{ProstDecoder, ProstEncoder};

use crate::channel::{Channel, Failure};
use crate::v1::{CreateSessionRequest, CreateSessionResponse};

/// An answer has about 200 bytes; a larger one is not this service's.
const MAX_ANSWER: usize = 64 << 10;

const PATH: &str = "/faceliveness.v1.FaceLivenessService/CreateSession";

/// Sends one request.
pub(crate) async fn create_session(
    channel: Channel,
    request: Request<CreateSessionRequest>,
) -> Result<Response<CreateSessionResponse>, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
    grpc.ready().await?;
    let path = http::uri::PathAndQuery::from_static(PATH);
    grpc.unary(request, path, CreateSession).await
}

struct CreateSession;

impl Codec for CreateSession {
    type Encode = CreateSessionRequest;
    type Decode = CreateSessionResponse;
    type Encoder = ProstEncoder<CreateSessionRequest>;
    type Decoder = Answer;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Answer {
        Answer(ProstDecoder::default())
    }
}

struct Answer(ProstDecoder<CreateSessionResponse>);

impl Decoder for Answer {
    type Item = CreateSessionResponse;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        self.0
            .decode(bytes)
            .map_err(|status| Failure::Malformed(status.message().to_owned()).into())
    }
}
