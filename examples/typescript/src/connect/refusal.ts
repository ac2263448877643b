import { Code, type ConnectError } from "@connectrpc/connect";

import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/es/google/rpc/error_details_pb.js";
import type { Refusal } from "../refusal.js";

export function decodeRefusal(error: ConnectError): Refusal {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [invalid] = error.findDetails(BadRequestSchema);
  const [quota] = error.findDetails(QuotaFailureSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return {
    code: codeName(error.code),
    message: error.rawMessage,
    reason: info?.reason,
    domain: info?.domain,
    metadata: info?.metadata,
    field_violations: invalid?.fieldViolations.map(({ field, description }) => ({
      field,
      description,
    })),
    quota_violations: quota?.violations.map(({ subject, description }) => ({
      subject,
      description,
    })),
    retry_delay: delay && Number(delay.seconds) + delay.nanos / 1e9,
    pushback_ms: pushback(error),
    request_id: error.metadata.get("x-request-id") ?? undefined,
    aws_request_id: error.metadata.get("x-amzn-requestid") ?? undefined,
  };
}

/** How long to wait before a retry, in milliseconds; negative means never. */
export function pushback(error: ConnectError): number | undefined {
  const value = error.metadata.get("grpc-retry-pushback-ms");
  return value === null ? undefined : Number(value);
}

/** As gRPC and the service config write it: `RESOURCE_EXHAUSTED`. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) {
    return "CANCELLED";
  }
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
