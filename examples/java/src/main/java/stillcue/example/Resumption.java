package stillcue.example;

import io.grpc.Status;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import stillcue.v1.Generate.GenerateRequest;
import stillcue.v1.Generate.GenerateResponse;

/**
 * Decides if, when and with which request a Generate call is made again. Makes no calls itself.
 *
 * <ol>
 *   <li>A refusal with RetryInfo before the first event: the same request, after the advised time.
 *   <li>A connection that breaks before the first event: the same request, a few times; it joins the job it started.
 *   <li>A stream that breaks later: the token of the last event, within the resume window that the server granted.
 *   <li>A server that does not hold the job, and may do it again: the whole request together with the token.
 * </ol>
 */
final class Resumption {
  private static final double FIRST_DELAY_SECONDS = 0.1;
  private static final double LONGEST_DELAY_SECONDS = 2;
  private static final int BEGINNING_ATTEMPT_COUNT = 3;
  private static final Set<Status.Code> BROKEN =
      Set.of(Status.Code.UNAVAILABLE, Status.Code.UNKNOWN, Status.Code.INTERNAL);
  // Reasons of a server, or of the proxy of a fleet, that has no room now: another one may do the job.
  private static final Set<String> BUSY =
      Set.of("QUEUE_FULL", "SERVER_STARTING", "SERVER_DRAINING", "ENGINE_RESTARTING", "NO_REPLICA_FREE");

  private final GenerateRequest firstRequest;
  private final double waitSeconds;
  private final double startedAt = now();
  private String token = "";
  private double windowSeconds;
  private double brokeAt = Double.NaN; // while the stream is whole
  private long lastNumber = -1;
  private int attemptCount;
  private boolean isRepeated;
  private boolean isResumed;
  private boolean isComplete;

  Resumption(GenerateRequest request, Duration wait) {
    firstRequest = request;
    waitSeconds = seconds(wait);
  }

  /** True after the last event: what happens to the connection then does not matter. */
  boolean isComplete() {
    return isComplete;
  }

  /** The request of the next call. */
  GenerateRequest request() {
    if (token.isEmpty()) {
      return firstRequest;
    }
    if (isRepeated) {
      return firstRequest.toBuilder().setResumeToken(token).build();
    }
    return GenerateRequest.newBuilder().setRequestId(firstRequest.getRequestId()).setResumeToken(token).build();
  }

  /**
   * The server that holds the job, as a proxy knows it; empty for a server without a name, and where any server is to do
   * the job again: the proxy gives it a place like a new one.
   */
  String replica() {
    return isRepeated ? "" : token.substring(0, Math.max(token.indexOf('.'), 0));
  }

  /** Records an event. Throws {@link Failure} if it is not the next one of a resumed stream. */
  void received(GenerateResponse response) {
    if (isResumed && response.getSequenceNumber() != lastNumber + 1) {
      throw new Failure(Status.Code.DATA_LOSS, "the stream went on with another event than the next one");
    }
    if (response.getAccepted().hasResumeWindow()) {
      com.google.protobuf.Duration window = response.getAccepted().getResumeWindow();
      windowSeconds = window.getSeconds() + window.getNanos() / 1e9;
    }
    token = response.getResumeToken();
    lastNumber = response.getSequenceNumber();
    isComplete = response.hasSummary();
    attemptCount = 0;
    brokeAt = Double.NaN;
    isRepeated = false;
  }

  /** Seconds until the next call. Throws the failure if none is to be made. */
  double secondsAfter(Failure failure) {
    boolean isRefused = !failure.reason.isEmpty() && failure.retryAfter != null;
    boolean isBroken = failure.reason.isEmpty() && BROKEN.contains(failure.code);
    double advised = failure.retryAfter == null ? 0 : seconds(failure.retryAfter);
    if (token.isEmpty()) {
      if (isRefused) {
        return within(failure, advised, startedAt + waitSeconds);
      }
      if (!isBroken || attemptCount == BEGINNING_ATTEMPT_COUNT) {
        throw failure;
      }
      return backoffSeconds();
    }
    boolean isFirst = Double.isNaN(brokeAt);
    if (isFirst) {
      brokeAt = now();
    }
    isResumed = true;
    if (failure.reason.equals("JOB_NOT_FOUND") && "true".equals(failure.metadata.get("can_repeat")) && !isRepeated) {
      isRepeated = true;
      return 0;
    }
    boolean isBusy = BUSY.contains(failure.reason) && (!replica().isEmpty() || isRepeated);
    if (!isBroken && !isBusy && (isFirst || !isRefused)) {
      throw failure;
    }
    // A job that is done again waits for a server like a new one; the window is that of a job that a server keeps.
    return within(failure, Math.max(backoffSeconds(), advised), brokeAt + Math.max(windowSeconds, waitSeconds));
  }

  private static double within(Failure failure, double delay, double end) {
    if (now() + delay > end) {
      throw failure;
    }
    return delay;
  }

  /** Grows from attempt to attempt, at random: clients that lost the same server do not all return at once. */
  private double backoffSeconds() {
    double longest = Math.min(FIRST_DELAY_SECONDS * Math.pow(2, attemptCount++), LONGEST_DELAY_SECONDS);
    return longest * (0.5 + ThreadLocalRandom.current().nextDouble() / 2);
  }

  private static double seconds(Duration duration) {
    return duration.toNanos() / 1e9;
  }

  private static double now() {
    return System.nanoTime() / 1e9;
  }
}
