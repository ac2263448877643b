package faceliveness.example

import com.google.gson.Gson
import com.google.gson.reflect.TypeToken
import faceliveness.v1.FaceLivenessServiceGrpcKt.FaceLivenessServiceCoroutineStub
import faceliveness.v1.createSessionRequest
import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import java.nio.file.Files
import java.nio.file.Path
import java.util.UUID
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.runBlocking

/**
 * Creates a face liveness session through the gateway: `client [HOST:PORT [SERVICE-CONFIG]]`.
 *
 * The smallest call that there is, for Kotlin's coroutines; what else a client does is as in Java.
 */
fun main(args: Array<String>): Unit = runBlocking {
  val address = args.getOrElse(0) { "localhost:50051" }
  val config = args.getOrElse(1) { "../../proto/faceliveness/v1/service_config.json" }
  val channel =
    Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
      .defaultServiceConfig(
        Gson().fromJson(Files.readString(Path.of(config)), object : TypeToken<Map<String, *>>() {})
      )
      .build()
  try {
    val stub = FaceLivenessServiceCoroutineStub(channel).withDeadlineAfter(5, TimeUnit.SECONDS)
    // The token names the intent: retries then get one session, not several.
    val session =
      stub.createSession(
        createSessionRequest { clientRequestToken = UUID.randomUUID().toString() }
      )
    println("${session.sessionId} ${session.region}")
  } finally {
    channel.shutdownNow()
  }
}
