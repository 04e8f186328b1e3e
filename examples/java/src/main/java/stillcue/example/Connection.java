package stillcue.example;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

/** The connection to one server. */
final class Connection {
  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");
  private static final Metadata.Key<String> REPLICA = key("stillcue-replica");
  // gRPC receives at most 4 MiB by default; a PNG frame of 1280x720 can be larger.
  private static final int MAX_RECEIVED_BYTES = 64 << 20;

  private Connection() {}

  static ManagedChannel open(Arguments given) throws UsageException {
    ManagedChannelBuilder<?> builder = builder(given)
        .maxInboundMessageSize(MAX_RECEIVED_BYTES)
        // Less often than gRPC servers allow pings of a client that waits in their queue.
        .keepAliveTime(310, TimeUnit.SECONDS)
        .keepAliveTimeout(20, TimeUnit.SECONDS);
    if (given.isLocal()) {
      builder.proxyDetector(address -> null); // a proxy would read the token
    }
    if (!given.token().isEmpty()) {
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + given.token());
      builder.intercept(MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    return builder.build();
  }

  private static ManagedChannelBuilder<?> builder(Arguments given) throws UsageException {
    try {
      return Grpc.newChannelBuilder(given.server(), credentials(given));
    } catch (UnsupportedOperationException error) {
      throw new UsageException("the Netty of this class path cannot do TLS for gRPC: " + error.getMessage());
    }
  }

  /** Metadata that a proxy routes by: the part of a resume token before the dot; none if that is empty. */
  static Metadata towards(String replica) {
    Metadata headers = new Metadata();
    if (!replica.isEmpty()) {
      headers.put(REPLICA, replica);
    }
    return headers;
  }

  private static ChannelCredentials credentials(Arguments given) throws UsageException {
    if (!given.isEncrypted()) {
      return InsecureChannelCredentials.create();
    }
    if (given.roots() == null) {
      return TlsChannelCredentials.create();
    }
    try {
      return TlsChannelCredentials.newBuilder().trustManager(new ByteArrayInputStream(given.roots())).build();
    } catch (IOException error) {
      throw new UsageException("--tls-ca holds no certificate in PEM");
    }
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
