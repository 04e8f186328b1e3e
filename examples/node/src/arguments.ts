// The command line. A wrong one ends the program with 2, before any call.

import {existsSync, readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';

export const USAGE = `usage: generate PICTURE SENTENCE --out clip.mp4|FOLDER
  --server HOST:PORT    the server (localhost:50051)
  --seed N              seed of the noise; else the server draws one
  --frames N            number of frames, 4n + 1; else the server's default
  --timeout SECONDS     deadline of the whole work (3600)
  --wait SECONDS        how long a busy server is asked again (60)
  --tls-ca FILE         root certificates (PEM) in place of the system's
  --tls | --plaintext   else: plain text to this machine, TLS to any other
  --token-file FILE     bearer token; else STILLCUE_TOKEN`;

export class UsageError extends Error {}

export interface Arguments {
  picture: Buffer;
  sentence: string;
  out: string;
  server: string;
  seed: number | undefined;
  frameCount: number;
  timeoutSeconds: number;
  waitSeconds: number;
  /** Undefined: plain text to this machine, TLS to any other. */
  tls: boolean | undefined;
  rootCertificates: Buffer | null;
  token: string | undefined;
}

export function readArguments(words: string[]): Arguments {
  const {values, positionals} = parsed(words);
  const [picture, sentence, ...rest] = positionals;
  if (picture === undefined || sentence === undefined || rest.length > 0)
    throw new UsageError('exactly one picture and one sentence are needed; put the sentence in quotes');
  if (values.out === undefined) throw new UsageError('--out is missing: a file that ends in .mp4, or a folder');
  if (!values.out.endsWith('.mp4') && existsSync(values.out))
    throw new UsageError(`--out ${values.out} exists; name a new folder`);
  const tlsCa = values['tls-ca'];
  if (values.plaintext && (values.tls || tlsCa !== undefined))
    throw new UsageError('--plaintext contradicts --tls and --tls-ca; leave out one of them');
  const tokenFile = values['token-file'];
  return {
    picture: read('PICTURE', picture),
    sentence,
    out: values.out,
    server: values.server,
    seed: values.seed === undefined ? undefined : number('--seed', values.seed),
    frameCount: number('--frames', values.frames),
    timeoutSeconds: number('--timeout', values.timeout),
    waitSeconds: number('--wait', values.wait),
    tls: values.plaintext ? false : values.tls || tlsCa !== undefined ? true : undefined,
    rootCertificates: tlsCa === undefined ? null : read('--tls-ca', tlsCa),
    token: tokenFile === undefined
      ? process.env.STILLCUE_TOKEN?.trim() || undefined
      : read('--token-file', tokenFile).toString('utf8').trim(),
  };
}

function parsed(words: string[]) {
  try {
    return parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        out: {type: 'string'},
        server: {type: 'string', default: 'localhost:50051'},
        seed: {type: 'string'},
        frames: {type: 'string', default: '0'},
        timeout: {type: 'string', default: '3600'},
        wait: {type: 'string', default: '60'},
        tls: {type: 'boolean', default: false},
        plaintext: {type: 'boolean', default: false},
        'tls-ca': {type: 'string'},
        'token-file': {type: 'string'},
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function number(flag: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${flag} ${text} is not a whole number from 0`);
  return Number(text);
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`${name}: ${(error as Error).message}`);
  }
}
