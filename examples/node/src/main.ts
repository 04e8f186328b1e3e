// generate PICTURE SENTENCE --out clip.mp4|FOLDER: results on standard output, everything else on standard error.

import {type Arguments, readArguments, USAGE, UsageError} from './arguments.js';
import {openClip} from './clip.js';
import {Connection} from './connection.js';
import {Failure} from './failure.js';
import {Generation, Interrupted} from './generate.js';

const say = (line: string) => console.error(line);

async function main(words: string[]): Promise<number> {
  let given: Arguments;
  let connection: Connection;
  try {
    given = readArguments(words);
    connection = new Connection(given);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message}\n${USAGE}`);
    return 2;
  }
  const generation = new Generation(given, connection, say);
  const interrupt = () => generation.interrupt();
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    await generation.score();
    const clip = openClip(given.out);
    try {
      const line = await generation.run(clip);
      clip.complete();
      console.log(`${given.out}: ${line}`);
      return 0;
    } finally {
      clip.discard();
    }
  } catch (error) {
    await generation.cancelJob();
    if (error instanceof Interrupted) {
      say('cancelled');
      return 130;
    }
    say(error instanceof Failure ? error.text : (error as Error).message);
    return 1;
  } finally {
    connection.close();
  }
}

process.exitCode = await main(process.argv.slice(2));
