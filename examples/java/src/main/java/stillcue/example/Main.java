package stillcue.example;

import io.grpc.Context;
import io.grpc.ManagedChannel;
import java.io.IOException;
import sun.misc.Signal;

/** {@code generate PICTURE SENTENCE --out clip.mp4|FOLDER}: results on standard output, all else on standard error. */
public final class Main {
  private Main() {}

  public static void main(String[] words) {
    System.exit(run(words));
  }

  private static int run(String[] words) {
    Arguments given;
    ManagedChannel channel;
    try {
      given = Arguments.read(words);
      channel = Connection.open(given);
    } catch (UsageException error) {
      say(error.getMessage() + "\n" + Arguments.USAGE);
      return 2;
    }
    Context.CancellableContext interrupted = Context.current().withCancellation();
    Thread main = Thread.currentThread();
    for (String name : new String[] {"INT", "TERM"}) {
      Signal.handle(new Signal(name), signal -> {
        interrupted.cancel(null); // ends the call
        main.interrupt(); // ends a pause
      });
    }
    Generation job = new Generation(given, channel);
    try {
      String line = interrupted.call(() -> make(job, given));
      System.out.println(given.out() + ": " + line);
      return 0;
    } catch (Exception error) {
      Thread.interrupted(); // the next call must not fail for it
      job.cancel();
      if (interrupted.isCancelled()) {
        say("cancelled");
        return 130;
      }
      say(error instanceof Failure failure ? failure.text() : String.valueOf(error.getMessage()));
      return 1;
    } finally {
      interrupted.close();
      channel.shutdownNow();
    }
  }

  private static String make(Generation job, Arguments given) throws IOException, InterruptedException {
    job.score();
    try (Clip clip = Clip.open(given.out())) {
      String line = job.run(clip);
      clip.complete();
      return line;
    }
  }

  static void say(String line) {
    System.err.println(line);
  }
}
