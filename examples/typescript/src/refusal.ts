/** What a failed call says. */
export interface Refusal {
  code: string;
  message: string;
  reason?: string;
  domain?: string;
  metadata?: Record<string, string>;
  field_violations?: { field: string; description: string }[];
  quota_violations?: { subject: string; description: string }[];
  /** Seconds to wait before the next attempt. */
  retry_delay?: number;
  /** The same in milliseconds, as gRPC's own retries read it; negative means never. */
  pushback_ms?: number;
  request_id?: string;
  aws_request_id?: string;
}

export function print(value: object): void {
  console.log(JSON.stringify(value, undefined, 2));
}
