package main

import (
	"math/rand"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	stillcue "stillcue.example/generate/stubs"
)

const (
	firstDelay            = 100 * time.Millisecond
	longestDelay          = 2 * time.Second
	beginningAttemptCount = 3
)

// busy holds the reasons of a server, or of the proxy of a fleet, that has no room now: another one may do the job.
var busy = map[string]bool{
	"QUEUE_FULL": true, "SERVER_STARTING": true, "SERVER_DRAINING": true, "ENGINE_RESTARTING": true, "NO_REPLICA_FREE": true,
}

// resumption decides if, when and with which request a Generate call is made again. It makes no calls itself.
//
//  1. A refusal with RetryInfo before the first event: the same request, after the advised time.
//  2. A connection that breaks before the first event: the same request, a few times; it joins the job it started.
//  3. A stream that breaks later: the token of the last event, within the resume window that the server granted.
//  4. A server that does not hold the job, and may do it again: the whole request together with the token.
type resumption struct {
	firstRequest *stillcue.GenerateRequest
	wait         time.Duration
	startedAt    time.Time
	brokeAt      time.Time // zero while the stream is whole
	token        string
	window       time.Duration
	lastNumber   int64
	attemptCount int
	isRepeated   bool
	isResumed    bool
	isComplete   bool // after the last event: what happens to the connection then does not matter
}

func newResumption(request *stillcue.GenerateRequest, wait time.Duration) *resumption {
	return &resumption{firstRequest: request, wait: wait, startedAt: time.Now(), lastNumber: -1}
}

// request is the request of the next call.
func (state *resumption) request() *stillcue.GenerateRequest {
	if state.token == "" {
		return state.firstRequest
	}
	if state.isRepeated {
		whole := proto.Clone(state.firstRequest).(*stillcue.GenerateRequest)
		whole.ResumeToken = state.token
		return whole
	}
	return &stillcue.GenerateRequest{RequestId: state.firstRequest.GetRequestId(), ResumeToken: state.token}
}

// replica is the server that holds the job, as a proxy knows it; empty for a server without a name, and where any server
// is to do the job again: the proxy gives it a place like a new one.
func (state *resumption) replica() string {
	key, _, hasKey := strings.Cut(state.token, ".")
	if !hasKey || state.isRepeated {
		return ""
	}
	return key
}

// received records an event. It fails if the event is not the next one of a resumed stream.
func (state *resumption) received(response *stillcue.GenerateResponse) error {
	if state.isResumed && response.GetSequenceNumber() != state.lastNumber+1 {
		return &failure{code: codes.DataLoss, message: "the stream went on with another event than the next one"}
	}
	if window := response.GetAccepted().GetResumeWindow(); window != nil {
		state.window = window.AsDuration()
	}
	state.token = response.GetResumeToken()
	state.lastNumber = response.GetSequenceNumber()
	state.isComplete = response.GetSummary() != nil
	state.attemptCount, state.isRepeated, state.brokeAt = 0, false, time.Time{}
	return nil
}

// delayAfter returns the time until the next call, or the failure if none is to be made.
func (state *resumption) delayAfter(failed *failure) (time.Duration, error) {
	now := time.Now()
	isRefused := failed.reason != "" && failed.isRefusal
	isBroken := failed.reason == "" &&
		(failed.code == codes.Unavailable || failed.code == codes.Unknown || failed.code == codes.Internal)
	if state.token == "" {
		if isRefused {
			return within(failed, failed.retryAfter, state.startedAt.Add(state.wait).Sub(now))
		}
		if !isBroken || state.attemptCount == beginningAttemptCount {
			return 0, failed
		}
		return state.backoff(), nil
	}
	isFirst := state.brokeAt.IsZero()
	if isFirst {
		state.brokeAt = now
	}
	state.isResumed = true
	if failed.reason == "JOB_NOT_FOUND" && failed.metadata["can_repeat"] == "true" && !state.isRepeated {
		state.isRepeated = true
		return 0, nil
	}
	isBusy := busy[failed.reason] && (state.replica() != "" || state.isRepeated)
	if !isBroken && !isBusy && (isFirst || !isRefused) {
		return 0, failed
	}
	// A job that is done again waits for a server like a new one; the window is that of a job that a server keeps.
	longest, delay := state.window, state.backoff()
	if state.wait > longest {
		longest = state.wait
	}
	if failed.retryAfter > delay {
		delay = failed.retryAfter
	}
	return within(failed, delay, state.brokeAt.Add(longest).Sub(now))
}

func within(failed *failure, delay, left time.Duration) (time.Duration, error) {
	if delay > left {
		return 0, failed
	}
	return delay, nil
}

// backoff grows from attempt to attempt, at random: clients that lost the same server do not all return at once.
func (state *resumption) backoff() time.Duration {
	longest := firstDelay << state.attemptCount
	if longest > longestDelay {
		longest = longestDelay
	} else {
		state.attemptCount++
	}
	return longest/2 + time.Duration(rand.Int63n(int64(longest/2)))
}
