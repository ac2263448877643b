// The command line, and what both clients make of it.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const SERVICE_CONFIG = "../../../../proto/faceliveness/v1/service_config.json";

const { values } = parseArgs({
  options: {
    address: { type: "string", default: "localhost:50051" },
    // Authorities of the gateway's certificate (PEM); without it plaintext.
    ca: { type: "string" },
    // Certificate of this client and its key (PEM), for mutual TLS.
    cert: { type: "string" },
    key: { type: "string" },
    // Bearer token.
    "token-file": { type: "string" },
    "service-config": {
      type: "string",
      default: fileURLToPath(new URL(SERVICE_CONFIG, import.meta.url)),
    },
    // CreateSessionRequest, a .json or .binpb file.
    request: { type: "string" },
    // Names the intent; a repeat gets the same session.
    "request-token": { type: "string" },
    region: { type: "string" },
    // Seconds for the whole call, retries included; else the service config's.
    deadline: { type: "string" },
  },
});

export const flags = {
  ...values,
  serviceConfig: readFileSync(values["service-config"], "utf8"),
  deadlineMs: values.deadline === undefined ? undefined : Number(values.deadline) * 1000,
  ca: values.ca === undefined ? undefined : readFileSync(values.ca),
  cert: values.cert === undefined ? undefined : readFileSync(values.cert),
  key: values.key === undefined ? undefined : readFileSync(values.key),
};

interface Codec<T> {
  fromJson(json: unknown): T;
  fromBinary(bytes: Uint8Array): T;
}

/** The request, which always names the intent: retries then get one session, not several. */
export function readRequest<T extends { region?: string; clientRequestToken?: string }>(
  codec: Codec<T>,
): T {
  const file = flags.request;
  const request = file?.endsWith(".json")
    ? codec.fromJson(JSON.parse(readFileSync(file, "utf8")))
    : codec.fromBinary(file === undefined ? new Uint8Array() : readFileSync(file));
  request.region = flags.region ?? request.region;
  request.clientRequestToken =
    flags["request-token"] ?? request.clientRequestToken ?? randomUUID();
  return request;
}

/** Read for every call: a token in a mounted file changes while the program runs. */
export function bearer(file: string): string {
  return `Bearer ${readFileSync(file, "utf8").trim()}`;
}

/** With OpenTelemetry, its instrumentation of gRPC and HTTP does this. */
export function traceContext(): Record<string, string> {
  const traceparent = process.env["TRACEPARENT"];
  return traceparent === undefined ? {} : { traceparent };
}
