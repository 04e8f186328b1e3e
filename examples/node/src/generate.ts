// Scores the pair, then generates the clip. Both calls are made again as long as that can help.

import {setTimeout as sleep} from 'node:timers/promises';
import {randomUUID} from 'node:crypto';

import {type ClientReadableStream, status} from '@grpc/grpc-js';

import type {GenerateRequest} from '../build/stubs/stillcue/v1/GenerateRequest.js';
import type {GenerateResponse__Output} from '../build/stubs/stillcue/v1/GenerateResponse.js';
import type {MatchReport__Output} from '../build/stubs/stillcue/v1/MatchReport.js';
import type {ScoreMatchResponse__Output} from '../build/stubs/stillcue/v1/ScoreMatchResponse.js';
import type {Arguments} from './arguments.js';
import type {Clip} from './clip.js';
import type {Connection} from './connection.js';
import {Failure} from './failure.js';
import {Resumption} from './resumption.js';

const RESUME_WINDOW_SECONDS = 30;
const CANCEL_SECONDS = 2;

export class Interrupted extends Error {}

/** One run of the program. `interrupt` may be called at any time and ends the job on the server. */
export class Generation {
  private readonly requestId = randomUUID();
  private readonly stop = new AbortController();
  private readonly deadline: Date;
  private stream: ClientReadableStream<GenerateResponse__Output> | undefined;
  private resumption: Resumption | undefined;

  constructor(
    private readonly given: Arguments,
    private readonly connection: Connection,
    private readonly say: (line: string) => void,
  ) {
    this.deadline = new Date(Date.now() + given.timeoutSeconds * 1000);
  }

  interrupt(): void {
    this.stop.abort();
    this.stream?.cancel();
  }

  /** Prints how well picture and sentence match, and what to change. A server without a scorer is no error. */
  async score(): Promise<void> {
    const {picture, sentence, frameCount, waitSeconds} = this.given;
    const refusals = new Resumption({}, waitSeconds);
    for (;;) {
      try {
        const {report} = await this.scoreMatch({image: {data: picture}, prompt: sentence, frameCount});
        if (report) this.tell(report);
        return;
      } catch (error) {
        const failure = this.failureOf(error);
        if (failure.reason === 'SCORER_MISSING') return this.say('match: the server has no scorer');
        await this.pause(refusals.delayAfter(failure), failure);
      }
    }
  }

  /** Generates the clip; returns the line that tells about it. */
  async run(clip: Clip): Promise<string> {
    const resumption = (this.resumption = new Resumption(this.request(clip.isVideo), this.given.waitSeconds));
    let line = '';
    for (;;) {
      try {
        const metadata = this.connection.metadata(resumption.replica);
        this.stream = this.connection.stub.Generate(resumption.request, metadata, {deadline: this.deadline});
        for await (const response of this.stream as AsyncIterable<GenerateResponse__Output>) {
          resumption.received(response);
          line = this.take(response, clip) || line;
        }
        if (resumption.isComplete) return line;
        throw new Failure(status.DATA_LOSS, 'the stream ended before its summary; the clip is not complete');
      } catch (error) {
        if (resumption.isComplete) return line;
        const failure = this.failureOf(error);
        await this.pause(resumption.delayAfter(failure), failure);
      }
    }
  }

  /** Ends the job. Cancelling the call would not: a job with a resume window waits for its reader. */
  async cancelJob(): Promise<void> {
    if (this.resumption === undefined || this.resumption.isComplete) return;
    const {requestId} = this;
    const metadata = this.connection.metadata(this.resumption.replica);
    const deadline = new Date(Date.now() + CANCEL_SECONDS * 1000);
    await new Promise<void>(done => {
      // If it fails, the server ends the job after the resume window.
      this.connection.stub.CancelGenerate({requestId}, metadata, {deadline}, () => done());
    });
  }

  private request(isVideo: boolean): GenerateRequest {
    const {picture, sentence, frameCount, seed} = this.given;
    return {
      requestId: this.requestId,
      image: {data: picture},
      prompt: sentence,
      video: {frameCount},
      sampling: seed === undefined ? {} : {seed},
      stream: {
        resumeWindow: {seconds: RESUME_WINDOW_SECONDS},
        ...(isVideo
          ? {videoContainer: 'VIDEO_CONTAINER_FRAGMENTED_MP4', omitFrames: true}
          : {frameEncoding: 'FRAME_ENCODING_PNG'}),
      },
    };
  }

  private scoreMatch(request: object): Promise<ScoreMatchResponse__Output> {
    return new Promise((done, failed) => {
      const answer = (error: unknown, response?: ScoreMatchResponse__Output) => (response ? done(response) : failed(error));
      const call = this.connection.stub.ScoreMatch(request, this.connection.metadata(), {deadline: this.deadline}, answer);
      this.stop.signal.addEventListener('abort', () => call.cancel(), {once: true});
    });
  }

  private tell(report: MatchReport__Output): void {
    const verdict = report.verdict.replace('MATCH_VERDICT_', '').toLowerCase();
    this.say(`match: ${report.score.toFixed(0)} of 100, ${verdict}`);
    for (const {message, suggestion} of report.promptReport?.findings ?? []) this.say(`advice: ${message} ${suggestion}`);
    for (const {message, suggestion} of report.pictureReport?.findings ?? []) this.say(`advice: ${message} ${suggestion}`);
  }

  /** Writes what an event holds and prints the progress; returns the last line of a complete clip. */
  private take(response: GenerateResponse__Output, clip: Clip): string {
    const {accepted, queueUpdate, denoiseProgress, frame, videoChunk, summary} = response;
    if (accepted) {
      const {seed, widthPx, heightPx, frameCount} = accepted.settings!;
      this.say(`job ${accepted.requestId}: seed ${seed}, ${frameCount} frames of ${widthPx}x${heightPx}`);
      for (const warning of accepted.warnings) this.say(`advice: ${warning}`);
    } else if (queueUpdate) this.say(`queue: ${queueUpdate.position} ahead`);
    else if (denoiseProgress) this.say(`step ${denoiseProgress.completedStepCount} of ${denoiseProgress.stepCount}`);
    else if (frame) {
      clip.add(frame.data);
      this.say(`frame ${frame.index}`);
    } else if (videoChunk) {
      clip.add(videoChunk.data);
      this.say(`video: ${videoChunk.frameCount} frames more`);
    } else if (summary) return `seed ${summary.settings!.seed}, ${summary.settings!.frameCount} frames`;
    return '';
  }

  private failureOf(error: unknown): Failure {
    if (this.stop.signal.aborted) throw new Interrupted();
    return Failure.of(error);
  }

  private async pause(seconds: number, failure: Failure): Promise<void> {
    this.say(`${failure.name}: again in ${seconds.toFixed(1)} s`);
    await sleep(seconds * 1000, undefined, {signal: this.stop.signal}).catch(() => {
      throw new Interrupted();
    });
  }
}
