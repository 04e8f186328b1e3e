// Command generate makes a clip from a picture and a sentence with a Stillcue server: results on standard output,
// everything else on standard error.
package main

//go:generate sh stubs.sh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(words []string) int {
	given, err := readArguments(words)
	if err == nil {
		err = given.checkToken()
	}
	if err != nil {
		say("%v\n%s", err, usage)
		return 2
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, given.timeout)
	defer cancel()
	line, err := generateClip(ctx, given)
	switch {
	case err == nil:
		fmt.Printf("%s: %s\n", given.out, line)
		return 0
	case interrupted.Err() != nil:
		say("cancelled")
		return 130
	}
	var failed *failure
	if errors.As(err, &failed) {
		say("%s", failed.text())
	} else {
		say("%v", err)
	}
	return 1
}

func generateClip(ctx context.Context, given *arguments) (string, error) {
	connection, err := connect(given)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	job := newGeneration(connection, given)
	if err := job.score(ctx); err != nil {
		return "", err
	}
	out, err := openClip(given.out)
	if err != nil {
		return "", err
	}
	defer out.discard()
	line, err := job.run(ctx, out)
	if err != nil {
		job.cancel() // a job with a resume window would wait for its reader
		return "", err
	}
	return line, out.complete()
}

func say(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
}
