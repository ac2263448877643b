"""What a failed call says."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

Metadata = Iterable[tuple[str, str | bytes]]


def decode_refusal(call: grpc.Call) -> dict[str, Any]:
    answered = list(call.trailing_metadata() or ())
    decoded: dict[str, Any] = {
        "code": call.code().name,
        "message": call.details(),
        "request_id": first(answered, "x-request-id"),
        "aws_request_id": first(answered, "x-amzn-requestid"),
    }
    # Milliseconds, as gRPC's own retries read it; negative means never.
    if pushback := first(answered, "grpc-retry-pushback-ms"):
        decoded["pushback_ms"] = int(pushback)
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        decoded |= decode_detail(detail)
    return decoded


def decode_detail(detail: any_pb2.Any) -> dict[str, Any]:
    info = error_details_pb2.ErrorInfo()
    if detail.Unpack(info):
        return {"reason": info.reason, "domain": info.domain, "metadata": dict(info.metadata)}
    invalid = error_details_pb2.BadRequest()
    if detail.Unpack(invalid):
        violations = [
            {"field": each.field, "description": each.description}
            for each in invalid.field_violations
        ]
        return {"field_violations": violations}
    quota = error_details_pb2.QuotaFailure()
    if detail.Unpack(quota):
        exceeded = [
            {"subject": each.subject, "description": each.description} for each in quota.violations
        ]
        return {"quota_violations": exceeded}
    retry = error_details_pb2.RetryInfo()
    if detail.Unpack(retry):
        # Seconds to wait before the next attempt.
        return {"retry_delay": retry.retry_delay.ToTimedelta().total_seconds()}
    return {}


def first(answered: Metadata, name: str) -> str | None:
    return next((str(value) for key, value in answered if key == name), None)
