package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

var (
	ca        = flag.String("ca", "", "authorities of the gateway's certificate, a PEM `FILE`; without it the call is in plaintext")
	cert      = flag.String("cert", "", "certificate of this client, a PEM `FILE`, for mutual TLS")
	key       = flag.String("key", "", "its private key, a PEM `FILE`")
	tokenFile = flag.String("token-file", "", "bearer token, a `FILE`")
)

// connect prepares a connection that is shared by all calls of a program, and made when it is
// first needed.
func connect() (*grpc.ClientConn, error) {
	config, err := os.ReadFile(*serviceConfig)
	if err != nil {
		return nil, err
	}
	transport, err := transportCredentials()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(string(config)),
	}
	if *tokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{*tokenFile}))
	}
	return grpc.NewClient(*address, options...)
}

func transportCredentials() (credentials.TransportCredentials, error) {
	if *ca == "" {
		return insecure.NewCredentials(), nil
	}
	authorities, err := os.ReadFile(*ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s: no certificate in it", *ca)
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// bearer is read for every call: a token in a mounted file changes while the program runs.
type bearer struct{ file string }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(b.file)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
