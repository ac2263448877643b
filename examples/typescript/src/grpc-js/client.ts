// Creates a face liveness session through the gateway with @grpc/grpc-js, and prints it as JSON, or
// what the gateway says about the refusal.
//
// @grpc/grpc-js takes retries, time-out and balancing from the service config; it has no health
// checks, and passes over them.
import { ChannelCredentials, Metadata, type ServiceError, credentials } from "@grpc/grpc-js";

import {
  CreateSessionRequest,
  type CreateSessionResponse,
  FaceLivenessServiceClient,
} from "../../gen/grpc-js/faceliveness/v1/face_liveness.js";
import { bearer, flags, readRequest, traceContext } from "../flags.js";
import { print } from "../refusal.js";
import { decodeRefusal, first } from "./refusal.js";

function channelCredentials(): ChannelCredentials {
  const { ca, cert, key, "token-file": file } = flags;
  if (ca === undefined) {
    if (file !== undefined) {
      throw new Error("--token-file needs --ca: a token is not sent in plaintext");
    }
    return credentials.createInsecure();
  }
  const tls = credentials.createSsl(ca, key, cert);
  if (file === undefined) {
    return tls;
  }
  const token = credentials.createFromMetadataGenerator((_, callback) => {
    const metadata = new Metadata();
    metadata.set("authorization", bearer(file));
    callback(null, metadata);
  });
  return credentials.combineChannelCredentials(tls, token);
}

// A program shares one client among all its calls.
const client = new FaceLivenessServiceClient(flags.address, channelCredentials(), {
  "grpc.service_config": flags.serviceConfig,
});

const request = readRequest({
  fromJson: CreateSessionRequest.fromJSON,
  fromBinary: (bytes) => CreateSessionRequest.decode(bytes),
});
const metadata = new Metadata();
for (const [name, value] of Object.entries(traceContext())) {
  metadata.set(name, value);
}
const { deadlineMs } = flags;
const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };

let header = new Metadata();
const call = client.createSession(
  request,
  metadata,
  options,
  (error: ServiceError | null, session: CreateSessionResponse) => {
    client.close();
    if (error) {
      print(decodeRefusal(error));
      process.exitCode = 1;
      return;
    }
    print({
      session_id: session.sessionId,
      region: session.region,
      create_time: session.createTime,
      expire_time: session.expireTime,
      replayed: session.replayed,
      request_id: first(header, "x-request-id"),
      aws_request_id: first(header, "x-amzn-requestid"),
    });
  },
);
call.on("metadata", (received) => (header = received));
// Ctrl-C cancels the call, here and in the gateway.
process.once("SIGINT", () => call.cancel());
