// Decides if, when and with which request a Generate call is made again. Makes no calls itself.
//
// 1. A refusal with RetryInfo before the first event: the same request, after the advised time.
// 2. A connection that breaks before the first event: the same request, a few times; it joins the job it started.
// 3. A stream that breaks later: the token of the last event, within the resume window that the server granted.
// 4. A server that does not hold the job, and may do it again: the whole request together with the token.

import {status} from '@grpc/grpc-js';

import type {GenerateRequest} from '../build/stubs/stillcue/v1/GenerateRequest.js';
import type {GenerateResponse__Output} from '../build/stubs/stillcue/v1/GenerateResponse.js';
import {Failure} from './failure.js';

const FIRST_DELAY_SECONDS = 0.1;
const LONGEST_DELAY_SECONDS = 2;
const BEGINNING_ATTEMPT_COUNT = 3;
const BROKEN = new Set([status.UNAVAILABLE, status.UNKNOWN, status.INTERNAL]);
// Reasons of a server, or of the proxy of a fleet, that has no room now: another one may do the job.
const BUSY = new Set(['QUEUE_FULL', 'SERVER_STARTING', 'SERVER_DRAINING', 'ENGINE_RESTARTING', 'NO_REPLICA_FREE']);

export class Resumption {
  /** True after the last event: what happens to the connection then does not matter. */
  isComplete = false;
  private token = '';
  private windowSeconds = 0;
  private lastNumber = -1;
  private attemptCount = 0;
  private isRepeated = false;
  private isResumed = false;
  private brokeAt: number | undefined;
  private readonly startedAt: number;

  constructor(
    private readonly firstRequest: GenerateRequest,
    private readonly waitSeconds: number,
    private readonly clock: () => number = () => performance.now() / 1000,
  ) {
    this.startedAt = clock();
  }

  get request(): GenerateRequest {
    if (this.token === '') return this.firstRequest;
    if (this.isRepeated) return {...this.firstRequest, resumeToken: this.token};
    return {requestId: this.firstRequest.requestId, resumeToken: this.token};
  }

  /**
   * The server that holds the job, as a proxy knows it; empty for a server without a name, and where any server is to
   * do the job again: the proxy gives it a place like a new one.
   */
  get replica(): string {
    return this.isRepeated ? '' : this.token.slice(0, Math.max(this.token.indexOf('.'), 0));
  }

  received(response: GenerateResponse__Output): void {
    if (this.isResumed && response.sequenceNumber !== this.lastNumber + 1)
      throw new Failure(status.DATA_LOSS, 'the stream went on with another event than the next one');
    const window = response.accepted?.resumeWindow;
    if (window) this.windowSeconds = Number(window.seconds) + window.nanos / 1e9;
    this.token = response.resumeToken;
    this.lastNumber = response.sequenceNumber;
    this.isComplete = response.event === 'summary';
    this.attemptCount = 0;
    this.brokeAt = undefined;
    this.isRepeated = false;
  }

  /** Seconds until the next call. Throws the failure if none is to be made. */
  delayAfter(failure: Failure): number {
    const now = this.clock();
    const isRefused = failure.reason !== '' && failure.retryAfterSeconds !== undefined;
    const isBroken = failure.reason === '' && BROKEN.has(failure.code);
    if (this.token === '') {
      if (isRefused) return this.within(failure, failure.retryAfterSeconds!, this.startedAt + this.waitSeconds - now);
      if (!isBroken || this.attemptCount === BEGINNING_ATTEMPT_COUNT) throw failure;
      return this.backoffSeconds();
    }
    const isFirst = this.brokeAt === undefined;
    this.brokeAt ??= now;
    this.isResumed = true;
    if (failure.reason === 'JOB_NOT_FOUND' && failure.metadata.can_repeat === 'true' && !this.isRepeated) {
      this.isRepeated = true;
      return 0;
    }
    const isBusy = BUSY.has(failure.reason) && (this.replica !== '' || this.isRepeated);
    if (!isBroken && !isBusy && (isFirst || !isRefused)) throw failure;
    // A job that is done again waits for a server like a new one; the window is that of a job that a server keeps.
    const longestSeconds = Math.max(this.windowSeconds, this.waitSeconds);
    const delay = Math.max(this.backoffSeconds(), failure.retryAfterSeconds ?? 0);
    return this.within(failure, delay, this.brokeAt + longestSeconds - now);
  }

  private within(failure: Failure, delay: number, leftSeconds: number): number {
    if (delay > leftSeconds) throw failure;
    return delay;
  }

  /** Grows from attempt to attempt, at random: clients that lost the same server do not all return at once. */
  private backoffSeconds(): number {
    const longest = Math.min(FIRST_DELAY_SECONDS * 2 ** this.attemptCount++, LONGEST_DELAY_SECONDS);
    return longest * (0.5 + Math.random() / 2);
  }
}
