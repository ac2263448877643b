// Creates a face liveness session through the gateway with connect-es over its gRPC transport, and
// prints it as JSON, or what the gateway says about the refusal.
import { fromBinary, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import {
  CreateSessionRequestSchema,
  FaceLivenessService,
} from "../../gen/es/faceliveness/v1/face_liveness_pb.js";
import { bearer, flags, readRequest, traceContext } from "../flags.js";
import { print } from "../refusal.js";
import { decodeRefusal } from "./refusal.js";
import { retries, timeoutMs } from "./service-config.js";

const { ca, cert, key, "token-file": tokenFile } = flags;
if (tokenFile !== undefined && ca === undefined) {
  throw new Error("--token-file needs --ca: a token is not sent in plaintext");
}

const authorize: Interceptor = (next) => (request) => {
  if (tokenFile !== undefined) {
    request.header.set("authorization", bearer(tokenFile));
  }
  return next(request);
};

const config = JSON.parse(flags.serviceConfig);

// A program shares one transport among all its calls.
const transport = createGrpcTransport({
  baseUrl: `${ca === undefined ? "http" : "https"}://${flags.address}`,
  nodeOptions: { ca, cert, key },
  // connect-es knows no service config, so that an interceptor reads its retry policy. The outer
  // comes first: a retry asks for a token of its own.
  interceptors: [retries(config), authorize],
  defaultTimeoutMs: timeoutMs(config, FaceLivenessService),
});
const client = createClient(FaceLivenessService, transport);

const request = readRequest({
  fromJson: (json) => fromJson(CreateSessionRequestSchema, json as JsonValue),
  fromBinary: (bytes) => fromBinary(CreateSessionRequestSchema, bytes),
});

// Ctrl-C cancels the call, here and in the gateway.
const cancelled = new AbortController();
process.once("SIGINT", () => cancelled.abort());

let header = new Headers();
try {
  const session = await client.createSession(request, {
    headers: traceContext(),
    signal: cancelled.signal,
    timeoutMs: flags.deadlineMs,
    onHeader: (received) => (header = received),
  });
  print({
    session_id: session.sessionId,
    region: session.region,
    create_time: time(session.createTime),
    expire_time: time(session.expireTime),
    replayed: session.replayed,
    request_id: header.get("x-request-id") ?? undefined,
    aws_request_id: header.get("x-amzn-requestid") ?? undefined,
  });
} catch (error) {
  print(decodeRefusal(ConnectError.from(error)));
  process.exitCode = 1;
}

function time(timestamp?: Timestamp): Date | undefined {
  return timestamp && timestampDate(timestamp);
}
