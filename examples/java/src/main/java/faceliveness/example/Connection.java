package faceliveness.example;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Executor;

/** The channel to the gateway. */
final class Connection {
  private Connection() {}

  /** A channel that is shared by all calls of a program, and connects when it is first needed. */
  static ManagedChannel open(
      String address, File ca, File cert, File key, Path tokenFile, Path serviceConfig)
      throws IOException {
    Map<String, ?> config =
        new Gson().fromJson(Files.readString(serviceConfig), new TypeToken<Map<String, ?>>() {});
    return Grpc.newChannelBuilder(address, credentials(ca, cert, key, tokenFile))
        .defaultServiceConfig(config)
        .build();
  }

  private static ChannelCredentials credentials(File ca, File cert, File key, Path tokenFile)
      throws IOException {
    if (ca == null) {
      if (tokenFile != null) {
        throw new IllegalArgumentException(
            "--token-file needs --ca: a token is not sent in plaintext");
      }
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(ca);
    if (cert != null) {
      tls.keyManager(cert, key);
    }
    return tokenFile == null
        ? tls.build()
        : CompositeChannelCredentials.create(tls.build(), new BearerToken(tokenFile));
  }

  /** Read for every call: a token in a mounted file changes while the program runs. */
  private static final class BearerToken extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Path file;

    BearerToken(Path file) {
      this.file = file;
    }

    @Override
    public void applyRequestMetadata(
        RequestInfo call, Executor executor, MetadataApplier metadata) {
      executor.execute(
          () -> {
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
              metadata.apply(headers);
            } catch (IOException e) {
              metadata.fail(Status.UNAUTHENTICATED.withDescription(e.toString()).withCause(e));
            }
          });
    }
  }
}
