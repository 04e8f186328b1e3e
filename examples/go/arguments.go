package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

const usage = `usage: generate PICTURE SENTENCE --out clip.mp4|FOLDER
  --server HOST:PORT    the server (localhost:50051)
  --seed N              seed of the noise; else the server draws one
  --frames N            number of frames, 4n + 1; else the server's default
  --timeout SECONDS     deadline of the whole work (3600)
  --wait SECONDS        how long a busy server is asked again (60)
  --tls-ca FILE         root certificates (PEM) in place of the system's
  --tls | --plaintext   else: plain text to this machine, TLS to any other
  --token-file FILE     bearer token; else STILLCUE_TOKEN`

type arguments struct {
	picture     []byte
	sentence    string
	out         string
	server      string
	seed        *int64
	frameCount  int32
	timeout     time.Duration
	wait        time.Duration
	isLocal     bool
	isEncrypted bool
	roots       []byte // PEM; nil: the system's
	token       string
}

func readArguments(words []string) (*arguments, error) {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	out := flags.String("out", "", "")
	server := flags.String("server", "localhost:50051", "")
	seed := flags.Int64("seed", -1, "")
	frames := flags.Uint("frames", 0, "")
	timeout := flags.Uint("timeout", 3600, "")
	wait := flags.Uint("wait", 60, "")
	tls := flags.Bool("tls", false, "")
	plaintext := flags.Bool("plaintext", false, "")
	tlsCa := flags.String("tls-ca", "", "")
	tokenFile := flags.String("token-file", "", "")
	var named []string // package flag stops at the first word without a dash
	for rest := words; ; {
		if err := flags.Parse(rest); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			break
		}
		named, rest = append(named, flags.Arg(0)), flags.Args()[1:]
	}
	if len(named) != 2 {
		return nil, errors.New("exactly one picture and one sentence are needed; put the sentence in quotes")
	}
	if *out == "" {
		return nil, errors.New("--out is missing: a file that ends in .mp4, or a folder")
	}
	if _, err := os.Stat(*out); err == nil && !strings.HasSuffix(*out, ".mp4") {
		return nil, fmt.Errorf("--out %s exists; name a new folder", *out)
	}
	if *plaintext && (*tls || *tlsCa != "") {
		return nil, errors.New("--plaintext contradicts --tls and --tls-ca; leave out one of them")
	}
	given := &arguments{
		sentence:   named[1],
		out:        strings.TrimRight(*out, "/"),
		server:     *server,
		frameCount: int32(*frames),
		timeout:    time.Duration(*timeout) * time.Second,
		wait:       time.Duration(*wait) * time.Second,
		isLocal:    isThisMachine(*server),
		token:      strings.TrimSpace(os.Getenv("STILLCUE_TOKEN")),
	}
	given.isEncrypted = *tls || *tlsCa != "" || !given.isLocal && !*plaintext
	if *seed >= 0 {
		given.seed = seed
	}
	var err error
	if given.picture, err = os.ReadFile(named[0]); err != nil {
		return nil, err
	}
	if *tlsCa != "" {
		if given.roots, err = os.ReadFile(*tlsCa); err != nil {
			return nil, err
		}
	}
	if *tokenFile != "" {
		text, err := os.ReadFile(*tokenFile)
		if err != nil {
			return nil, err
		}
		if given.token = strings.TrimSpace(string(text)); given.token == "" {
			return nil, fmt.Errorf("--token-file %s is empty", *tokenFile)
		}
	}
	return given, nil
}

// checkToken refuses a token that would cross the network in plain text. Its errors never hold the token.
func (given *arguments) checkToken() error {
	if given.token == "" {
		return nil
	}
	if !given.isEncrypted && !given.isLocal {
		return fmt.Errorf("the token would cross the network to %s in plain text; leave out --plaintext", given.server)
	}
	for _, letter := range given.token {
		if letter <= ' ' || letter > '~' {
			return errors.New("the token holds spaces or other characters that no token has")
		}
	}
	return nil
}

// isThisMachine is true for an address on this machine. Names are not looked up: the answer could change.
func isThisMachine(server string) bool {
	if strings.HasPrefix(server, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return false
	}
	address := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || address != nil && address.IsLoopback()
}
