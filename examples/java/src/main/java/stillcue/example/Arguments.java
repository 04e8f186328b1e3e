package stillcue.example;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The command line. {@code seed} null: the server draws one; {@code roots} (PEM) null: the system's. */
record Arguments(
    byte[] picture, String sentence, String out, String server, Long seed, int frameCount, Duration timeout,
    Duration patience, boolean isLocal, boolean isEncrypted, byte[] roots, String token) {

  static final String USAGE = """
      usage: generate PICTURE SENTENCE --out clip.mp4|FOLDER
        --server HOST:PORT    the server (localhost:50051)
        --seed N              seed of the noise; else the server draws one
        --frames N            number of frames, 4n + 1; else the server's default
        --timeout SECONDS     deadline of the whole work (3600)
        --wait SECONDS        how long a busy server is asked again (60)
        --tls-ca FILE         root certificates (PEM) in place of the system's
        --tls | --plaintext   else: plain text to this machine, TLS to any other
        --token-file FILE     bearer token; else STILLCUE_TOKEN""";

  private static final List<String> SWITCHES = List.of("--tls", "--plaintext");
  private static final List<String> FLAGS = List.of(
      "--out", "--server", "--seed", "--frames", "--timeout", "--wait", "--tls-ca", "--token-file");

  static Arguments read(String[] words) throws UsageException {
    Map<String, String> flags = new HashMap<>();
    List<String> named = new ArrayList<>();
    for (int index = 0; index < words.length; index++) {
      String word = words[index];
      if (SWITCHES.contains(word)) {
        flags.put(word, "");
      } else if (FLAGS.contains(word)) {
        if (++index == words.length) {
          throw new UsageException(word + " lacks its value");
        }
        flags.put(word, words[index]);
      } else if (word.startsWith("--")) {
        throw new UsageException(word + " is no flag of this program");
      } else {
        named.add(word);
      }
    }
    if (named.size() != 2) {
      throw new UsageException("exactly one picture and one sentence are needed; put the sentence in quotes");
    }
    String out = flags.get("--out");
    if (out == null) {
      throw new UsageException("--out is missing: a file that ends in .mp4, or a folder");
    }
    if (!out.endsWith(".mp4") && Files.exists(Path.of(out))) {
      throw new UsageException("--out " + out + " exists; name a new folder");
    }
    boolean isTls = flags.containsKey("--tls") || flags.containsKey("--tls-ca");
    boolean isPlain = flags.containsKey("--plaintext");
    if (isTls && isPlain) {
      throw new UsageException("--plaintext contradicts --tls and --tls-ca; leave out one of them");
    }
    String server = flags.getOrDefault("--server", "localhost:50051");
    boolean isLocal = isThisMachine(server);
    boolean isEncrypted = isTls || !isLocal && !isPlain;
    return new Arguments(
        file("PICTURE", named.get(0)),
        named.get(1),
        out,
        server,
        flags.containsKey("--seed") ? (Long) number("--seed", flags.get("--seed")) : null,
        (int) number("--frames", flags.getOrDefault("--frames", "0")),
        Duration.ofSeconds(number("--timeout", flags.getOrDefault("--timeout", "3600"))),
        Duration.ofSeconds(number("--wait", flags.getOrDefault("--wait", "60"))),
        isLocal,
        isEncrypted,
        flags.containsKey("--tls-ca") ? file("--tls-ca", flags.get("--tls-ca")) : null,
        token(flags.get("--token-file"), server, isEncrypted || isLocal));
  }

  /** The token; empty without one. Messages never hold it. */
  private static String token(String path, String server, boolean isSafe) throws UsageException {
    String token = path == null
        ? System.getenv().getOrDefault("STILLCUE_TOKEN", "").strip()
        : new String(file("--token-file", path)).strip();
    if (!token.isEmpty() && !isSafe) {
      throw new UsageException(
          "the token would cross the network to " + server + " in plain text; leave out --plaintext");
    }
    if (!token.matches("[!-~]*") || path != null && token.isEmpty()) {
      throw new UsageException("the token is empty or holds spaces or other characters that no token has");
    }
    return token;
  }

  /** True for an address on this machine. Names are not looked up: the answer could change. */
  private static boolean isThisMachine(String server) {
    String host = server.replaceFirst(":\\d+$", "").toLowerCase();
    return host.equals("localhost") || host.equals("[::1]") || host.matches("127(\\.\\d{1,3}){3}");
  }

  private static long number(String flag, String text) throws UsageException {
    if (!text.matches("\\d{1,9}")) {
      throw new UsageException(flag + " " + text + " is not a whole number from 0 to 999999999");
    }
    return Long.parseLong(text);
  }

  private static byte[] file(String name, String path) throws UsageException {
    try {
      return Files.readAllBytes(Path.of(path));
    } catch (IOException error) {
      throw new UsageException(name + ": " + error.getMessage() + " cannot be read");
    }
  }
}
