// The clip on the disk, as an MP4 file or as a folder of PNG files. It gets its name when it is complete.

import {closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';

export interface Clip {
  readonly isVideo: boolean;
  /** Adds the next chunk of the file, or the next frame. */
  add(data: Buffer): void;
  complete(): void;
  /** Removes what was written. Has no effect on a complete clip. */
  discard(): void;
}

export function openClip(out: string): Clip {
  return out.endsWith('.mp4') ? new Mp4File(out) : new FrameFolder(out.replace(/\/+$/, ''));
}

class Mp4File implements Clip {
  readonly isVideo = true;
  private readonly partial: string;
  private readonly file: number;
  private isOpen = true;

  constructor(private readonly path: string) {
    this.partial = `${path}.${process.pid}.partial`;
    this.file = openSync(this.partial, 'wx');
  }

  add(data: Buffer): void {
    for (let start = 0; start < data.length; ) start += writeSync(this.file, data, start);
  }

  complete(): void {
    fsyncSync(this.file);
    this.close();
    renameSync(this.partial, this.path);
  }

  discard(): void {
    this.close();
    rmSync(this.partial, {force: true});
  }

  private close(): void {
    if (this.isOpen) closeSync(this.file);
    this.isOpen = false;
  }
}

class FrameFolder implements Clip {
  readonly isVideo = false;
  private readonly partial: string;
  private frameCount = 0;

  constructor(private readonly path: string) {
    this.partial = `${path}.${process.pid}.partial`;
    mkdirSync(this.partial);
  }

  add(data: Buffer): void {
    writeFileSync(join(this.partial, `${String(this.frameCount++).padStart(5, '0')}.png`), data);
  }

  complete(): void {
    renameSync(this.partial, this.path);
  }

  discard(): void {
    rmSync(this.partial, {recursive: true, force: true});
  }
}
