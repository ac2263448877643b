package faceliveness.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.QuotaFailure;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Map;

/** What a failed call says. */
final class Refusal {
  record FieldViolation(String field, String description) {}

  record QuotaViolation(String subject, String description) {}

  String code;
  String message;
  String reason;
  String domain;
  Map<String, String> metadata;
  List<FieldViolation> fieldViolations;
  List<QuotaViolation> quotaViolations;

  /** Seconds to wait before the next attempt. */
  Double retryDelay;

  /** The same in milliseconds, as gRPC's own retries read it; negative means never. */
  Long pushbackMs;

  String requestId;
  String awsRequestId;

  private Refusal() {}

  static Refusal decode(StatusRuntimeException error) throws InvalidProtocolBufferException {
    Refusal refusal = new Refusal();
    refusal.code = error.getStatus().getCode().name();
    refusal.message = error.getStatus().getDescription();
    Metadata trailers = error.getTrailers() == null ? new Metadata() : error.getTrailers();
    String pushback = value(trailers, "grpc-retry-pushback-ms");
    refusal.pushbackMs = pushback == null ? null : Long.valueOf(pushback);
    refusal.requestId = value(trailers, "x-request-id");
    refusal.awsRequestId = value(trailers, "x-amzn-requestid");
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      refusal.add(detail);
    }
    return refusal;
  }

  private void add(Any detail) throws InvalidProtocolBufferException {
    if (detail.is(ErrorInfo.class)) {
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      reason = info.getReason();
      domain = info.getDomain();
      metadata = info.getMetadataMap();
    } else if (detail.is(BadRequest.class)) {
      fieldViolations =
          detail.unpack(BadRequest.class).getFieldViolationsList().stream()
              .map(each -> new FieldViolation(each.getField(), each.getDescription()))
              .toList();
    } else if (detail.is(QuotaFailure.class)) {
      quotaViolations =
          detail.unpack(QuotaFailure.class).getViolationsList().stream()
              .map(each -> new QuotaViolation(each.getSubject(), each.getDescription()))
              .toList();
    } else if (detail.is(RetryInfo.class)) {
      retryDelay = Durations.toNanos(detail.unpack(RetryInfo.class).getRetryDelay()) / 1e9;
    }
  }

  static String value(Metadata metadata, String name) {
    return metadata.get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
  }
}
