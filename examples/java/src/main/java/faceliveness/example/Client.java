package faceliveness.example;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import faceliveness.v1.CreateSessionRequest;
import faceliveness.v1.CreateSessionResponse;
import faceliveness.v1.FaceLivenessServiceGrpc;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "client",
    description =
        "Creates a face liveness session through the gateway, and prints it as JSON, or what the"
            + " gateway says about the refusal.")
public final class Client implements Callable<Integer> {
  @Option(names = "--address", description = "the gateway's HOST:PORT")
  private String address = "localhost:50051";

  @Option(
      names = "--ca",
      description = "authorities of the gateway's certificate (PEM); without it plaintext")
  private File ca;

  @Option(names = "--cert", description = "certificate of this client (PEM), for mutual TLS")
  private File cert;

  @Option(names = "--key", description = "its private key (PEM, PKCS #8)")
  private File key;

  @Option(names = "--token-file", description = "bearer token")
  private Path tokenFile;

  @Option(names = "--service-config", description = "gRPC service config")
  private Path serviceConfig = Path.of("../../proto/faceliveness/v1/service_config.json");

  @Option(names = "--request", description = "CreateSessionRequest, a .json or .binpb file")
  private Path requestFile;

  @Option(names = "--request-token", description = "names the intent; a repeat gets the same session")
  private String requestToken;

  @Option(names = "--region", description = "AWS region of the session")
  private String region;

  @Option(
      names = "--deadline",
      description = "seconds for the whole call, retries included; else the service config's")
  private Double deadline;

  private static final Gson JSON =
      new GsonBuilder()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .disableHtmlEscaping()
          .setPrettyPrinting()
          .create();

  record Session(
      String sessionId,
      String region,
      String createTime,
      String expireTime,
      boolean replayed,
      String requestId,
      String awsRequestId) {}

  public static void main(String[] args) {
    System.exit(new CommandLine(new Client()).execute(args));
  }

  @Override
  public Integer call() throws Exception {
    CreateSessionRequest request = readRequest();
    // A program shares one channel among all its calls.
    ManagedChannel channel = Connection.open(address, ca, cert, key, tokenFile, serviceConfig);
    Context.CancellableContext context = Context.current().withCancellation();
    CountDownLatch done = new CountDownLatch(1);
    cancelOnInterrupt(context, done);
    try {
      System.out.println(JSON.toJson(context.call(() -> createSession(channel, request))));
      return 0;
    } catch (StatusRuntimeException e) {
      System.out.println(JSON.toJson(Refusal.decode(e)));
      return 1;
    } finally {
      channel.shutdownNow();
      done.countDown();
    }
  }

  private Session createSession(ManagedChannel channel, CreateSessionRequest request) {
    AtomicReference<Metadata> headers = new AtomicReference<>(new Metadata());
    AtomicReference<Metadata> trailers = new AtomicReference<>(new Metadata());
    FaceLivenessServiceGrpc.FaceLivenessServiceBlockingStub stub =
        FaceLivenessServiceGrpc.newBlockingStub(channel)
            .withInterceptors(
                MetadataUtils.newAttachHeadersInterceptor(traceContext()),
                MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
    if (deadline != null) {
      stub = stub.withDeadlineAfter(Math.round(deadline * 1e9), TimeUnit.NANOSECONDS);
    }
    CreateSessionResponse session = stub.createSession(request);
    return new Session(
        session.getSessionId(),
        session.getRegion(),
        Timestamps.toString(session.getCreateTime()),
        Timestamps.toString(session.getExpireTime()),
        session.getReplayed(),
        Refusal.value(headers.get(), "x-request-id"),
        Refusal.value(headers.get(), "x-amzn-requestid"));
  }

  /** The request, which always names the intent: retries then get one session, not several. */
  private CreateSessionRequest readRequest() throws Exception {
    CreateSessionRequest.Builder request = CreateSessionRequest.newBuilder();
    if (requestFile != null && requestFile.toString().endsWith(".json")) {
      JsonFormat.parser().merge(Files.readString(requestFile), request);
    } else if (requestFile != null) {
      request.mergeFrom(Files.readAllBytes(requestFile));
    }
    if (region != null) {
      request.setRegion(region);
    }
    if (requestToken != null) {
      request.setClientRequestToken(requestToken);
    }
    if (!request.hasClientRequestToken()) {
      request.setClientRequestToken(UUID.randomUUID().toString());
    }
    return request.build();
  }

  /** With OpenTelemetry, its instrumentation of gRPC does this. */
  private static Metadata traceContext() {
    Metadata metadata = new Metadata();
    String parent = System.getenv("TRACEPARENT");
    if (parent != null) {
      metadata.put(Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER), parent);
    }
    return metadata;
  }

  /** Ctrl-C cancels the call, here and in the gateway, and waits until that is told. */
  private static void cancelOnInterrupt(Context.CancellableContext context, CountDownLatch done) {
    Thread hook =
        new Thread(
            () -> {
              context.cancel(null);
              try {
                done.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
  }
}
