// A failed call in the words of the server: google.rpc.ErrorInfo, BadRequest and RetryInfo.

import {type ServiceError, status} from '@grpc/grpc-js';

import type {BadRequest__Output} from '../build/stubs/google/rpc/BadRequest.js';
import type {ErrorInfo__Output} from '../build/stubs/google/rpc/ErrorInfo.js';
import type {RetryInfo__Output} from '../build/stubs/google/rpc/RetryInfo.js';
import type {Status__Output} from '../build/stubs/google/rpc/Status.js';
import {decode} from './connection.js';

export interface Violation {
  field: string;
  description: string;
}

export class Failure extends Error {
  /** Empty if neither the server nor a proxy stated one, as when a connection breaks. */
  reason = '';
  metadata: Record<string, string> = {};
  violations: Violation[] = [];
  retryAfterSeconds: number | undefined;

  constructor(readonly code: status, message: string) {
    super(message);
  }

  /** The failure of a call. Errors that gRPC did not raise are thrown as they are. */
  static of(error: unknown): Failure {
    if (error instanceof Failure) return error;
    if (!isServiceError(error)) throw error;
    const failure = new Failure(error.code, error.details);
    const [packed] = error.metadata?.get('grpc-status-details-bin') ?? [];
    if (packed instanceof Buffer) failure.readDetails(packed);
    return failure;
  }

  get name(): string {
    return `${status[this.code]}${this.reason && ` ${this.reason}`}`;
  }

  /** The error for a person: the message, then each wrong field. */
  get text(): string {
    const lines = this.violations.map(({field, description}) => `\n  ${field}: ${description}`);
    return `${this.name}: ${this.message}${lines.join('')}`;
  }

  private readDetails(packed: Buffer): void {
    try {
      for (const {type_url, value} of decode<Status__Output>('google.rpc.Status', packed).details as Detail[])
        this.readDetail(type_url.slice(type_url.lastIndexOf('/') + 1), value);
    } catch {
      // Details that cannot be read, of some proxy, leave the status and its message.
    }
  }

  private readDetail(type: string, value: Buffer): void {
    if (type === 'google.rpc.ErrorInfo') {
      const info = decode<ErrorInfo__Output>(type, value);
      this.reason = info.reason;
      this.metadata = info.metadata;
    } else if (type === 'google.rpc.BadRequest') {
      this.violations = decode<BadRequest__Output>(type, value).fieldViolations;
    } else if (type === 'google.rpc.RetryInfo') {
      const delay = decode<RetryInfo__Output>(type, value).retryDelay;
      if (delay) this.retryAfterSeconds = Number(delay.seconds) + delay.nanos / 1e9;
    }
  }
}

interface Detail {
  type_url: string;
  value: Buffer;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as ServiceError).code === 'number' && 'details' in error;
}
