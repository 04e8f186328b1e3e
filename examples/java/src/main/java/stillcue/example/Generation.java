package stillcue.example;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.util.Iterator;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import stillcue.v1.Generate.CancelGenerateRequest;
import stillcue.v1.Generate.GenerateRequest;
import stillcue.v1.Generate.GenerateResponse;
import stillcue.v1.Generate.GenerateSettings;
import stillcue.v1.Generate.StreamSpec;
import stillcue.v1.Generate.VideoSpec;
import stillcue.v1.Match.MatchReport;
import stillcue.v1.Match.ScoreMatchRequest;
import stillcue.v1.Media.FrameEncoding;
import stillcue.v1.Media.Image;
import stillcue.v1.Media.VideoContainer;
import stillcue.v1.StillcueServiceGrpc;
import stillcue.v1.StillcueServiceGrpc.StillcueServiceBlockingStub;

/** Scores a pair and generates its clip. Both calls are made again as long as that can help. */
final class Generation {
  private static final int RESUME_WINDOW_SECONDS = 30;
  private static final int CANCEL_SECONDS = 2;

  private final Arguments given;
  private final ManagedChannel channel;
  private final Deadline deadline;
  private final Image image;
  private final String requestId = UUID.randomUUID().toString();
  private Resumption resumption;

  Generation(Arguments given, ManagedChannel channel) {
    this.given = given;
    this.channel = channel;
    deadline = Deadline.after(given.timeout().toSeconds(), TimeUnit.SECONDS);
    image = Image.newBuilder().setData(ByteString.copyFrom(given.picture())).build();
  }

  /** Prints how well picture and sentence match, and what to change. A server without a scorer is no error. */
  void score() throws InterruptedException {
    ScoreMatchRequest request = ScoreMatchRequest.newBuilder()
        .setImage(image).setPrompt(given.sentence()).setFrameCount(given.frameCount()).build();
    Resumption refusals = new Resumption(GenerateRequest.getDefaultInstance(), given.patience());
    while (true) {
      try {
        tell(stub("").withDeadline(deadline).scoreMatch(request).getReport());
        return;
      } catch (StatusRuntimeException error) {
        Failure failure = Failure.of(error);
        if (failure.reason.equals("SCORER_MISSING")) {
          Main.say("match: the server has no scorer");
          return;
        }
        pause(refusals, failure);
      }
    }
  }

  /** Generates the clip; returns the line that tells about it. */
  String run(Clip clip) throws IOException, InterruptedException {
    resumption = new Resumption(request(clip.isVideo()), given.patience());
    String line = "";
    while (true) {
      try {
        Iterator<GenerateResponse> events =
            stub(resumption.replica()).withDeadline(deadline).generate(resumption.request());
        while (events.hasNext()) {
          GenerateResponse response = events.next();
          resumption.received(response);
          line = take(response, clip);
        }
        if (!resumption.isComplete()) {
          throw new Failure(
              Status.Code.DATA_LOSS, "the stream ended before its summary; the clip is not complete");
        }
        return line;
      } catch (StatusRuntimeException error) {
        if (resumption.isComplete()) {
          return line;
        }
        pause(resumption, Failure.of(error));
      }
    }
  }

  /**
   * Ends the job. Cancelling the call would not: a job with a resume window waits for its reader. If it fails, the
   * server ends the job after that window.
   */
  void cancel() {
    if (resumption == null || resumption.isComplete()) {
      return;
    }
    try {
      stub(resumption.replica()).withDeadlineAfter(CANCEL_SECONDS, TimeUnit.SECONDS)
          .cancelGenerate(CancelGenerateRequest.newBuilder().setRequestId(requestId).build());
    } catch (StatusRuntimeException ignored) {
      // as said above
    }
  }

  private StillcueServiceBlockingStub stub(String replica) {
    Metadata headers = Connection.towards(replica);
    return StillcueServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private GenerateRequest request(boolean isVideo) {
    StreamSpec.Builder stream =
        StreamSpec.newBuilder().setResumeWindow(Duration.newBuilder().setSeconds(RESUME_WINDOW_SECONDS));
    if (isVideo) {
      stream.setVideoContainer(VideoContainer.VIDEO_CONTAINER_FRAGMENTED_MP4).setOmitFrames(true);
    } else {
      stream.setFrameEncoding(FrameEncoding.FRAME_ENCODING_PNG);
    }
    GenerateRequest.Builder request = GenerateRequest.newBuilder()
        .setRequestId(requestId)
        .setImage(image)
        .setPrompt(given.sentence())
        .setVideo(VideoSpec.newBuilder().setFrameCount(given.frameCount()))
        .setStream(stream);
    if (given.seed() != null) {
      request.getSamplingBuilder().setSeed(given.seed());
    }
    return request.build();
  }

  private static void tell(MatchReport report) {
    String verdict = report.getVerdict().name().replace("MATCH_VERDICT_", "").toLowerCase();
    Main.say("match: %.0f of 100, %s".formatted(report.getScore(), verdict));
    report.getPromptReport().getFindingsList()
        .forEach(finding -> Main.say("advice: " + finding.getMessage() + " " + finding.getSuggestion()));
    report.getPictureReport().getFindingsList()
        .forEach(finding -> Main.say("advice: " + finding.getMessage() + " " + finding.getSuggestion()));
  }

  /** Writes what an event holds and prints the progress; the last line of a complete clip. */
  private static String take(GenerateResponse response, Clip clip) throws IOException {
    switch (response.getEventCase()) {
      case ACCEPTED -> {
        GenerateSettings settings = response.getAccepted().getSettings();
        Main.say("job %s: seed %d, %d frames of %dx%d".formatted(
            response.getAccepted().getRequestId(), settings.getSeed(), settings.getFrameCount(),
            settings.getWidthPx(), settings.getHeightPx()));
        response.getAccepted().getWarningsList().forEach(warning -> Main.say("advice: " + warning));
      }
      case QUEUE_UPDATE -> Main.say("queue: " + response.getQueueUpdate().getPosition() + " ahead");
      case DENOISE_PROGRESS -> Main.say("step %d of %d".formatted(
          response.getDenoiseProgress().getCompletedStepCount(), response.getDenoiseProgress().getStepCount()));
      case FRAME -> {
        clip.add(response.getFrame().getData());
        Main.say("frame " + response.getFrame().getIndex());
      }
      case VIDEO_CHUNK -> {
        clip.add(response.getVideoChunk().getData());
        Main.say("video: " + response.getVideoChunk().getFrameCount() + " frames more");
      }
      case SUMMARY -> {
        GenerateSettings settings = response.getSummary().getSettings();
        return "seed " + settings.getSeed() + ", " + settings.getFrameCount() + " frames";
      }
      default -> { }
    }
    return "";
  }

  private void pause(Resumption state, Failure failure) throws InterruptedException {
    if (io.grpc.Context.current().isCancelled()) {
      throw failure;
    }
    double seconds = state.secondsAfter(failure);
    Main.say("%s: again in %.1f s".formatted(failure.title(), seconds));
    Thread.sleep(Math.round(seconds * 1000));
    channel.resetConnectBackoff(); // its pauses grow to two minutes, longer than a resume window
  }
}
