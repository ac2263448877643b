import { type Metadata, type ServiceError, status } from "@grpc/grpc-js";

import { Any } from "../../gen/grpc-js/google/protobuf/any.js";
import {
  BadRequest,
  ErrorInfo,
  QuotaFailure,
  RetryInfo,
} from "../../gen/grpc-js/google/rpc/error_details.js";
import { Status } from "../../gen/grpc-js/google/rpc/status.js";
import type { Refusal } from "../refusal.js";

export function decodeRefusal(error: ServiceError): Refusal {
  const pushback = first(error.metadata, "grpc-retry-pushback-ms");
  const [details] = error.metadata.get("grpc-status-details-bin");
  const decoded = details === undefined ? [] : Status.decode(details as Buffer).details;
  return {
    code: status[error.code],
    message: error.details,
    ...Object.assign({}, ...decoded.map(decodeDetail)),
    pushback_ms: pushback === undefined ? undefined : Number(pushback),
    request_id: first(error.metadata, "x-request-id"),
    aws_request_id: first(error.metadata, "x-amzn-requestid"),
  };
}

function decodeDetail({ typeUrl, value }: Any): Partial<Refusal> {
  switch (typeUrl) {
    case "type.googleapis.com/google.rpc.ErrorInfo": {
      const { reason, domain, metadata } = ErrorInfo.decode(value);
      return { reason, domain, metadata };
    }
    case "type.googleapis.com/google.rpc.BadRequest": {
      const violations = BadRequest.decode(value).fieldViolations;
      return {
        field_violations: violations.map(({ field, description }) => ({ field, description })),
      };
    }
    case "type.googleapis.com/google.rpc.QuotaFailure": {
      const { violations } = QuotaFailure.decode(value);
      return {
        quota_violations: violations.map(({ subject, description }) => ({ subject, description })),
      };
    }
    case "type.googleapis.com/google.rpc.RetryInfo": {
      const { seconds = 0, nanos = 0 } = RetryInfo.decode(value).retryDelay ?? {};
      return { retry_delay: seconds + nanos / 1e9 };
    }
    default:
      return {};
  }
}

export function first(metadata: Metadata, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}
