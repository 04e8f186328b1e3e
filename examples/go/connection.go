package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// gRPC receives at most 4 MiB by default; a PNG frame of 1280x720 can be larger.
const maxReceivedBytes = 64 << 20

// connect returns a connection that is made with the first call.
func connect(given *arguments) (*grpc.ClientConn, error) {
	delays := backoff.DefaultConfig
	delays.MaxDelay = 2 * time.Second // by default they grow to two minutes, longer than a resume window
	options := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceivedBytes)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: 5 * time.Second}),
		// Less often than gRPC servers allow pings of a client that waits in their queue.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 310 * time.Second, Timeout: 20 * time.Second}),
	}
	if given.isLocal {
		options = append(options, grpc.WithNoProxy()) // it would read the token
	}
	if given.isEncrypted {
		roots, err := certificates(given.roots)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	} else {
		options = append(options, grpc.WithInsecure())
	}
	if given.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{given.token, given.isEncrypted}))
	}
	return grpc.Dial(given.server, options...)
}

// certificates returns nil, the system's, for no PEM.
func certificates(pem []byte) (*x509.CertPool, error) {
	if pem == nil {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("--tls-ca holds no certificate in PEM")
	}
	return pool, nil
}

// bearer sends a token with every call.
type bearer struct {
	token       string
	isEncrypted bool
}

func (credential bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + credential.token}, nil
}

// RequireTransportSecurity lets gRPC refuse the token in plain text, but for calls to this machine.
func (credential bearer) RequireTransportSecurity() bool { return credential.isEncrypted }

// towards adds the metadata that a proxy routes by: the part of a resume token before the dot.
func towards(ctx context.Context, replica string) context.Context {
	if replica == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "stillcue-replica", replica)
}
