package main

import (
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// refusal is what a failed call says.
type refusal struct {
	Code            string            `json:"code"`
	Message         string            `json:"message"`
	Reason          string            `json:"reason,omitempty"`
	Domain          string            `json:"domain,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	FieldViolations []fieldViolation  `json:"field_violations,omitempty"`
	QuotaViolations []quotaViolation  `json:"quota_violations,omitempty"`
	// Seconds to wait before the next attempt.
	RetryDelay *float64 `json:"retry_delay,omitempty"`
	// The same as gRPC's own retries read it; negative means never.
	PushbackMs   *int64 `json:"pushback_ms,omitempty"`
	RequestID    string `json:"request_id,omitempty"`
	AwsRequestID string `json:"aws_request_id,omitempty"`
}

type fieldViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

type quotaViolation struct {
	Subject     string `json:"subject"`
	Description string `json:"description"`
}

func decodeRefusal(err error, answered metadata.MD) refusal {
	said := status.Convert(err)
	decoded := refusal{
		Code:         code.Code(said.Code()).String(),
		Message:      said.Message(),
		RequestID:    first(answered, "x-request-id"),
		AwsRequestID: first(answered, "x-amzn-requestid"),
	}
	if wait, err := strconv.ParseInt(first(answered, "grpc-retry-pushback-ms"), 10, 64); err == nil {
		decoded.PushbackMs = &wait
	}
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			decoded.Reason, decoded.Domain = detail.GetReason(), detail.GetDomain()
			decoded.Metadata = detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				decoded.FieldViolations = append(decoded.FieldViolations,
					fieldViolation{each.GetField(), each.GetDescription()})
			}
		case *errdetails.QuotaFailure:
			for _, each := range detail.GetViolations() {
				decoded.QuotaViolations = append(decoded.QuotaViolations,
					quotaViolation{each.GetSubject(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			delay := detail.GetRetryDelay().AsDuration().Seconds()
			decoded.RetryDelay = &delay
		}
	}
	return decoded
}

func first(answered metadata.MD, name string) string {
	if values := answered.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}
