package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	stillcue "stillcue.example/generate/stubs"
)

const (
	resumeWindow = 30 * time.Second
	cancelTime   = 2 * time.Second
)

// generation scores a pair and generates its clip. Both calls are made again as long as that can help.
type generation struct {
	stub       stillcue.StillcueServiceClient
	given      *arguments
	requestID  string
	resumption *resumption
}

func newGeneration(connection *grpc.ClientConn, given *arguments) *generation {
	return &generation{stub: stillcue.NewStillcueServiceClient(connection), given: given, requestID: newUUID()}
}

// score prints how well picture and sentence match, and what to change. A server without a scorer is no error.
func (job *generation) score(ctx context.Context) error {
	request := &stillcue.ScoreMatchRequest{
		Image:      &stillcue.Image{Data: job.given.picture},
		Prompt:     job.given.sentence,
		FrameCount: job.given.frameCount,
	}
	refusals := newResumption(nil, job.given.wait)
	for {
		response, err := job.stub.ScoreMatch(ctx, request)
		if err == nil {
			tell(response.GetReport())
			return nil
		}
		failed := failureOf(err)
		if failed.reason == "SCORER_MISSING" {
			say("match: the server has no scorer")
			return nil
		}
		if err := pause(ctx, refusals, failed); err != nil {
			return err
		}
	}
}

// run generates the clip and returns the line that tells about it.
func (job *generation) run(ctx context.Context, out *clip) (string, error) {
	job.resumption = newResumption(job.request(out.isVideo()), job.given.wait)
	for {
		line, err := job.read(ctx, out)
		if err == nil {
			return line, nil
		}
		if _, isCalls := err.(*failure); !isCalls {
			return "", err // of the disk
		}
		if err := pause(ctx, job.resumption, err.(*failure)); err != nil {
			return "", err
		}
	}
}

// read makes one call and reads its events to the end.
func (job *generation) read(ctx context.Context, out *clip) (string, error) {
	ctx, cancel := context.WithCancel(towards(ctx, job.resumption.replica()))
	defer cancel()
	stream, err := job.stub.Generate(ctx, job.resumption.request())
	if err != nil {
		return "", failureOf(err)
	}
	line := ""
	for {
		response, err := stream.Recv()
		if job.resumption.isComplete && err != nil {
			return line, nil
		}
		if err == io.EOF {
			return "", &failure{code: codes.DataLoss, message: "the stream ended before its summary; the clip is not complete"}
		}
		if err != nil {
			return "", failureOf(err)
		}
		if err := job.resumption.received(response); err != nil {
			return "", err
		}
		if err := take(response, out); err != nil {
			return "", err
		}
		if settings := response.GetSummary().GetSettings(); settings != nil {
			line = fmt.Sprintf("seed %d, %d frames", settings.GetSeed(), settings.GetFrameCount())
		}
	}
}

// cancel ends the job. Cancelling the call would not: a job with a resume window waits for its reader. If it fails, the
// server ends the job after that window.
func (job *generation) cancel() {
	ctx, cancel := context.WithTimeout(towards(context.Background(), job.resumption.replica()), cancelTime)
	defer cancel()
	_, _ = job.stub.CancelGenerate(ctx, &stillcue.CancelGenerateRequest{RequestId: job.requestID})
}

func (job *generation) request(isVideo bool) *stillcue.GenerateRequest {
	stream := &stillcue.StreamSpec{ResumeWindow: durationpb.New(resumeWindow)}
	if isVideo {
		stream.VideoContainer = stillcue.VideoContainer_VIDEO_CONTAINER_FRAGMENTED_MP4
		stream.OmitFrames = true
	} else {
		stream.FrameEncoding = stillcue.FrameEncoding_FRAME_ENCODING_PNG
	}
	return &stillcue.GenerateRequest{
		RequestId: job.requestID,
		Image:     &stillcue.Image{Data: job.given.picture},
		Prompt:    job.given.sentence,
		Video:     &stillcue.VideoSpec{FrameCount: job.given.frameCount},
		Sampling:  &stillcue.SamplingSpec{Seed: job.given.seed},
		Stream:    stream,
	}
}

func tell(report *stillcue.MatchReport) {
	verdict := strings.ToLower(strings.TrimPrefix(report.GetVerdict().String(), "MATCH_VERDICT_"))
	say("match: %.0f of 100, %s", report.GetScore(), verdict)
	for _, finding := range report.GetPromptReport().GetFindings() {
		say("advice: %s %s", finding.GetMessage(), finding.GetSuggestion())
	}
	for _, finding := range report.GetPictureReport().GetFindings() {
		say("advice: %s %s", finding.GetMessage(), finding.GetSuggestion())
	}
}

// take writes what an event holds and prints the progress.
func take(response *stillcue.GenerateResponse, out *clip) error {
	switch event := response.GetEvent().(type) {
	case *stillcue.GenerateResponse_Accepted:
		settings := event.Accepted.GetSettings()
		say("job %s: seed %d, %d frames of %dx%d", event.Accepted.GetRequestId(), settings.GetSeed(),
			settings.GetFrameCount(), settings.GetWidthPx(), settings.GetHeightPx())
		for _, warning := range event.Accepted.GetWarnings() {
			say("advice: %s", warning)
		}
	case *stillcue.GenerateResponse_QueueUpdate:
		say("queue: %d ahead", event.QueueUpdate.GetPosition())
	case *stillcue.GenerateResponse_DenoiseProgress:
		say("step %d of %d", event.DenoiseProgress.GetCompletedStepCount(), event.DenoiseProgress.GetStepCount())
	case *stillcue.GenerateResponse_Frame:
		say("frame %d", event.Frame.GetIndex())
		return out.add(event.Frame.GetData())
	case *stillcue.GenerateResponse_VideoChunk:
		say("video: %d frames more", event.VideoChunk.GetFrameCount())
		return out.add(event.VideoChunk.GetData())
	}
	return nil
}

// pause waits until the next call, or returns the failure if there is to be none.
func pause(ctx context.Context, state *resumption, failed *failure) error {
	if ctx.Err() != nil {
		return failed
	}
	delay, err := state.delayAfter(failed)
	if err != nil {
		return err
	}
	say("%s: again in %.1f s", failed.name(), delay.Seconds())
	select {
	case <-ctx.Done():
		return failed
	case <-time.After(delay):
		return nil
	}
}

func newUUID() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err) // the system has no random numbers
	}
	bytes[6], bytes[8] = bytes[6]&0x0f|0x40, bytes[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bytes[:4], bytes[4:6], bytes[6:8], bytes[8:10], bytes[10:])
}
