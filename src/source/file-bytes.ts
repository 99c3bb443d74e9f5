// Bytes of a path or of standard input. Regular files and devices are read in large positioned pieces by descriptor;
// pipes, which may stay silent for hours, are read as sockets, because a blocked read would hold a thread of the pool
// and could not be given up.
import { close as closeCallback, constants, open as openCallback, read as readCallback } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { ByteFeeder, ByteOrigin } from './byte-feeder.ts';
import { directoryError, sourceError } from './source-error.ts';
import { StreamFeeder } from './stream-bytes.ts';

const openDescriptor = promisify(openCallback);
const closeDescriptor = promisify(closeCallback);
const readDescriptor = promisify(readCallback);

class FileFeeder implements ByteFeeder {
  position: number;
  private readonly descriptor: number;
  private readonly name: string;
  private readonly isPositioned: boolean;
  private isClosed = false;
  private pending: Promise<unknown> | null = null;

  constructor(descriptor: number, name: string, offset: number, isPositioned: boolean) {
    this.descriptor = descriptor;
    this.name = name;
    this.position = offset;
    this.isPositioned = isPositioned;
  }

  async readInto(target: Uint8Array, at: number, end: number): Promise<number> {
    if (this.isClosed) return 0;
    const from = this.isPositioned ? this.position : null;
    const reading = readDescriptor(this.descriptor, target, at, end - at, from);
    this.pending = reading;
    try {
      const { bytesRead } = await reading;
      this.position += bytesRead;
      return bytesRead;
    } catch (error) {
      throw sourceError(this.name, error);
    } finally {
      this.pending = null;
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    // The descriptor's number may be given to another file at once: never close it under a read.
    await this.pending?.catch(() => {});
    await closeDescriptor(this.descriptor);
  }
}

/** A file, device or named pipe. */
export class FileOrigin implements ByteOrigin {
  readonly name: string;
  size: number | null = null;
  isSeekable = false;
  private isPipe = false;

  constructor(path: string) {
    this.name = path;
  }

  async probe(): Promise<void> {
    try {
      const facts = await stat(this.name);
      if (facts.isDirectory()) throw directoryError(this.name);
      await access(this.name, constants.R_OK);
      this.isPipe = facts.isFIFO();
      this.isSeekable = facts.isFile();
      this.size = facts.isFile() ? facts.size : null;
    } catch (error) {
      throw sourceError(this.name, error);
    }
  }

  async open(offset = 0): Promise<ByteFeeder> {
    await this.probe();
    try {
      // Without O_NONBLOCK opening a pipe would wait, in a thread of the pool, for somebody to write.
      const flags = constants.O_RDONLY | (this.isPipe ? constants.O_NONBLOCK : 0);
      const descriptor = await openDescriptor(this.name, flags);
      if (!this.isPipe) return new FileFeeder(descriptor, this.name, offset, this.isSeekable);
      return new StreamFeeder(new Socket({ fd: descriptor, readable: true, writable: false }), this.name);
    } catch (error) {
      throw sourceError(this.name, error);
    }
  }
}

/** Stops reading standard input without closing it, and lets the process end. */
function leaveStdin(stream: Readable): void {
  stream.pause();
  (stream as Readable & { unref?: () => void }).unref?.();
}

/** Standard input, whatever it is. */
export class StdinOrigin implements ByteOrigin {
  readonly name: string;
  readonly size = null;
  readonly isSeekable = false;

  constructor(name: string) {
    this.name = name;
  }

  async probe(): Promise<void> {}

  async open(): Promise<ByteFeeder> {
    return new StreamFeeder(process.stdin, this.name, leaveStdin);
  }
}
