package stillcue.example;

/** The command line is wrong; no call was made. */
final class UsageException extends Exception {
  UsageException(String message) {
    super(message);
  }
}
