// The parts of a gRPC service config that a client without a gRPC channel can follow: the time-out,
// the retry policy and the retry throttling, as gRFC A6 has them.
import { setTimeout as sleep } from "node:timers/promises";

import type { DescService } from "@bufbuild/protobuf";
import { ConnectError, type Interceptor } from "@connectrpc/connect";

import { codeName, pushback } from "./refusal.js";

export interface ServiceConfig {
  methodConfig: { name: { service: string }[]; timeout: string; retryPolicy?: RetryPolicy }[];
  retryThrottling: { maxTokens: number; tokenRatio: number };
}

interface RetryPolicy {
  maxAttempts: number;
  initialBackoff: string;
  maxBackoff: string;
  backoffMultiplier: number;
  retryableStatusCodes: string[];
}

function methodConfig(config: ServiceConfig, { typeName }: DescService) {
  return config.methodConfig.find(({ name }) => name.some(({ service }) => service === typeName));
}

export function timeoutMs(config: ServiceConfig, service: DescService): number | undefined {
  const timeout = methodConfig(config, service)?.timeout;
  return timeout === undefined ? undefined : milliseconds(timeout);
}

/** Sends a call again as the service config and the server's push-back say, within its deadline. */
export function retries(config: ServiceConfig): Interceptor {
  const { maxTokens, tokenRatio } = config.retryThrottling;
  let tokens = maxTokens;
  return (next) => async (request) => {
    const policy = methodConfig(config, request.service)?.retryPolicy;
    if (policy === undefined || request.stream) {
      return next(request);
    }
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await next(request);
        tokens = Math.min(tokens + tokenRatio, maxTokens);
        return answer;
      } catch (caught) {
        const error = ConnectError.from(caught);
        const asked = pushback(error);
        const retryable = policy.retryableStatusCodes.includes(codeName(error.code));
        if (retryable || (asked ?? 0) < 0) {
          tokens = Math.max(tokens - 1, 0);
        }
        const allowed = retryable && attempt < policy.maxAttempts && tokens > maxTokens / 2;
        if (!allowed || (asked ?? 0) < 0 || request.signal.aborted) {
          throw error;
        }
        await pause(asked ?? backoff(policy, attempt), request.signal);
        request.header.set("grpc-previous-rpc-attempts", String(attempt));
      }
    }
  };
}

async function pause(duration: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(duration, undefined, { signal });
  } catch {
    throw signal.reason; // the deadline, or the caller's cancellation
  }
}

function backoff(policy: RetryPolicy, attempt: number): number {
  const grown = milliseconds(policy.initialBackoff) * policy.backoffMultiplier ** (attempt - 1);
  return Math.min(grown, milliseconds(policy.maxBackoff)) * (0.8 + 0.4 * Math.random());
}

/** Protobuf's JSON form of a duration, such as `0.1s`. */
function milliseconds(duration: string): number {
  return Number.parseFloat(duration) * 1000;
}
