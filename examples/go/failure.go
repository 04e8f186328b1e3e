package main

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is a failed call in the words of the server: google.rpc.ErrorInfo, BadRequest and RetryInfo.
type failure struct {
	code       codes.Code
	message    string
	reason     string // empty if nobody stated one, as when a connection breaks
	metadata   map[string]string
	violations []*errdetails.BadRequest_FieldViolation
	isRefusal  bool // the server names a time to try again
	retryAfter time.Duration
}

// failureOf reads the details of a call's error; of an error that is not a call's it keeps the text.
func failureOf(err error) *failure {
	if known, isKnown := err.(*failure); isKnown {
		return known
	}
	answer := status.Convert(err)
	failed := &failure{code: answer.Code(), message: answer.Message()}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failed.reason = detail.GetReason()
			failed.metadata = detail.GetMetadata()
		case *errdetails.BadRequest:
			failed.violations = detail.GetFieldViolations()
		case *errdetails.RetryInfo:
			failed.isRefusal = true
			failed.retryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return failed
}

func (failed *failure) Error() string { return failed.text() }

func (failed *failure) name() string {
	return strings.TrimSpace(codeNames[failed.code] + " " + failed.reason)
}

// text is the error for a person: the message, then each wrong field.
func (failed *failure) text() string {
	text := failed.name() + ": " + failed.message
	for _, violation := range failed.violations {
		text += fmt.Sprintf("\n  %s: %s", violation.GetField(), violation.GetDescription())
	}
	return text
}

// codeNames are the names that every other language has.
var codeNames = map[codes.Code]string{
	codes.Canceled:           "CANCELLED",
	codes.Unknown:            "UNKNOWN",
	codes.InvalidArgument:    "INVALID_ARGUMENT",
	codes.DeadlineExceeded:   "DEADLINE_EXCEEDED",
	codes.NotFound:           "NOT_FOUND",
	codes.AlreadyExists:      "ALREADY_EXISTS",
	codes.PermissionDenied:   "PERMISSION_DENIED",
	codes.ResourceExhausted:  "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION",
	codes.Aborted:            "ABORTED",
	codes.OutOfRange:         "OUT_OF_RANGE",
	codes.Unimplemented:      "UNIMPLEMENTED",
	codes.Internal:           "INTERNAL",
	codes.Unavailable:        "UNAVAILABLE",
	codes.DataLoss:           "DATA_LOSS",
	codes.Unauthenticated:    "UNAUTHENTICATED",
}
