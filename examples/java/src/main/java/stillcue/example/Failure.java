package stillcue.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** A failed call in the words of the server: google.rpc.ErrorInfo, BadRequest and RetryInfo. */
final class Failure extends RuntimeException {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  final Status.Code code;
  /** Empty if neither the server nor a proxy stated one, as when a connection breaks. */
  String reason = "";
  Map<String, String> metadata = Map.of();
  List<BadRequest.FieldViolation> violations = List.of();
  /** Null: the server names no time to try again. */
  Duration retryAfter;

  Failure(Status.Code code, String message) {
    super(message);
    this.code = code;
  }

  static Failure of(StatusRuntimeException error) {
    Status status = error.getStatus();
    Failure failure = new Failure(status.getCode(), messageOf(status));
    byte[] packed = error.getTrailers() == null ? null : error.getTrailers().get(DETAILS);
    if (packed != null) {
      try {
        for (Any detail : com.google.rpc.Status.parseFrom(packed).getDetailsList()) {
          failure.readDetail(detail);
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // Details that cannot be read, of some proxy, leave the status and its message.
      }
    }
    return failure;
  }

  String title() {
    return (code + " " + reason).strip();
  }

  /** The error for a person: the message, then each wrong field. */
  String text() {
    StringBuilder text = new StringBuilder(title() + ": " + getMessage());
    for (BadRequest.FieldViolation violation : violations) {
      text.append("\n  ").append(violation.getField()).append(": ").append(violation.getDescription());
    }
    return text.toString();
  }

  /** The description; gRPC leaves what the network said to the cause. */
  private static String messageOf(Status status) {
    String description = status.getDescription() == null ? "" : status.getDescription();
    return status.getCause() == null ? description : description + ": " + status.getCause().getMessage();
  }

  private void readDetail(Any detail) throws InvalidProtocolBufferException {
    if (detail.is(ErrorInfo.class)) {
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      reason = info.getReason();
      metadata = info.getMetadataMap();
    } else if (detail.is(BadRequest.class)) {
      violations = detail.unpack(BadRequest.class).getFieldViolationsList();
    } else if (detail.is(RetryInfo.class)) {
      com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
      retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
    }
  }
}
