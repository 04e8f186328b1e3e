package stillcue.example;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.stream.Stream;

/** The clip on the disk, as an MP4 file or as a folder of PNG files. It gets its name when it is complete. */
final class Clip implements AutoCloseable {
  private final Path path;
  private final Path partial;
  private final FileChannel file; // null for a folder
  private int frameCount;

  private Clip(Path path, Path partial, FileChannel file) {
    this.path = path;
    this.partial = partial;
    this.file = file;
  }

  static Clip open(String out) throws IOException {
    Path path = Path.of(out);
    Path partial = path.resolveSibling(path.getFileName() + "." + ProcessHandle.current().pid() + ".partial");
    if (out.endsWith(".mp4")) {
      return new Clip(path, partial, FileChannel.open(partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
    }
    return new Clip(path, Files.createDirectory(partial), null);
  }

  boolean isVideo() {
    return file != null;
  }

  /** Adds the next chunk of the file, or the next frame. */
  void add(ByteString data) throws IOException {
    if (file == null) {
      Files.write(partial.resolve("%05d.png".formatted(frameCount++)), data.toByteArray());
      return;
    }
    for (var rest = data.asReadOnlyByteBuffer(); rest.hasRemaining(); ) {
      file.write(rest);
    }
  }

  void complete() throws IOException {
    if (file != null) {
      file.force(true);
      file.close();
    }
    Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Removes what was written, unless the clip is complete. */
  @Override
  public void close() throws IOException {
    if (file != null) {
      file.close();
    }
    if (Files.exists(partial)) {
      try (Stream<Path> written = Files.walk(partial)) {
        for (Path item : (Iterable<Path>) written.sorted(Comparator.reverseOrder())::iterator) {
          Files.delete(item);
        }
      }
    }
  }
}
