// Command client creates a face liveness session through the gateway, and prints it as JSON, or
// what the gateway says about the refusal.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/health" // the service config's health checks
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	facelivenessv1 "example.com/faceliveness/gen/faceliveness/v1"
)

var (
	address       = flag.String("address", "localhost:50051", "the gateway's `HOST:PORT`")
	serviceConfig = flag.String("service-config", "../../proto/faceliveness/v1/service_config.json", "gRPC service config `FILE`")
	requestFile   = flag.String("request", "", "CreateSessionRequest, a .json or .binpb `FILE`")
	requestToken  = flag.String("request-token", "", "`TOKEN` that names the intent; a repeat gets the same session")
	region        = flag.String("region", "", "AWS `REGION` of the session")
	deadline      = flag.Float64("deadline", 0, "`SECONDS` for the whole call, retries included; 0 is the service config's")
)

func main() {
	flag.Parse()
	// Ctrl-C cancels the call, here and in the gateway.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context) error {
	request, err := readRequest()
	if err != nil {
		return err
	}
	connection, err := connect()
	if err != nil {
		return err
	}
	defer connection.Close()

	if *deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*deadline*float64(time.Second)))
		defer cancel()
	}
	// With OpenTelemetry, otelgrpc.NewClientHandler does this.
	if parent, ok := os.LookupEnv("TRACEPARENT"); ok {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", parent)
	}

	var header, trailer metadata.MD
	client := facelivenessv1.NewFaceLivenessServiceClient(connection)
	session, err := client.CreateSession(ctx, request, grpc.Header(&header), grpc.Trailer(&trailer))
	answered := metadata.Join(header, trailer)
	if err != nil {
		printJSON(decodeRefusal(err, answered))
		os.Exit(1)
	}
	printJSON(map[string]any{
		"session_id":     session.GetSessionId(),
		"region":         session.GetRegion(),
		"create_time":    session.GetCreateTime().AsTime(),
		"expire_time":    session.GetExpireTime().AsTime(),
		"replayed":       session.GetReplayed(),
		"request_id":     first(answered, "x-request-id"),
		"aws_request_id": first(answered, "x-amzn-requestid"),
	})
	return nil
}

// readRequest always names the intent: retries then get one session, not several.
func readRequest() (*facelivenessv1.CreateSessionRequest, error) {
	message := &facelivenessv1.CreateSessionRequest{}
	if *requestFile != "" {
		content, err := os.ReadFile(*requestFile)
		if err != nil {
			return nil, err
		}
		unmarshal := proto.Unmarshal
		if filepath.Ext(*requestFile) == ".json" {
			unmarshal = protojson.Unmarshal
		}
		if err := unmarshal(content, message); err != nil {
			return nil, fmt.Errorf("%s: %w", *requestFile, err)
		}
	}
	if *region != "" {
		message.Region = region
	}
	if *requestToken != "" {
		message.ClientRequestToken = requestToken
	}
	if message.ClientRequestToken == nil {
		message.ClientRequestToken = proto.String(rand.Text())
	}
	return message, nil
}

func printJSON(value any) {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
	}
}
