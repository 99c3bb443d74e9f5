// One file after the other: `flows.csv` becomes `flows-00000.csv`, `flows-00001.csv`, … A file is begun with its first
// flow and finished at the first limit that it reaches; each has its name when it is whole, and opens by itself.
//
// Numbers go on behind the highest that is there, so that a service that starts again adds to what it left. With
// `overwrite` they begin at 0, and what an earlier, longer run left behind the last file goes when all went well.
import { access, constants, readdir, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { FlowBatch } from '../flow/flow-batch.ts';
import { openFailed, writeFailed } from './output-error.ts';
import type { Sink, TargetSink } from './sink.ts';
import type { RotateOptions } from './sink-options.ts';

/** Digits of a file's number, so that names sort; more where they don't suffice. */
const DIGITS = 5;

interface Rotation {
  readonly limits: RotateOptions;
  readonly overwrite: boolean;
  readonly onFailure: ((error: unknown) => void) | undefined;
}

export class RotatingSink implements TargetSink {
  readonly name: string;
  readonly #open: (path: string) => Promise<Sink>;
  readonly #limits: Required<RotateOptions>;
  readonly #onFailure: ((error: unknown) => void) | undefined;
  /** Numbers that an earlier run left and this one replaces. */
  readonly #stale: ReadonlySet<number>;
  #number: number;
  #part: Sink | null = null;
  #partRows = 0;
  #timer: NodeJS.Timeout | undefined;
  #isWriting = false;
  #isDue = false;
  /** A file that time ended is finished while nothing is written. */
  #ending: Promise<void> | undefined;
  #finishedBytes = 0;
  readonly files: string[] = [];
  rows = 0;

  /**
   * `open` opens one file. None is opened yet; whether files can be made in the folder is looked at.
   * @throws NfstreamError OUTPUT_FAILED.
   */
  static async open(target: string, open: (path: string) => Promise<Sink>, rotation: Rotation): Promise<RotatingSink> {
    try {
      await access(dirname(target), constants.W_OK | constants.X_OK);
      return new RotatingSink(target, open, await numbersIn(target), rotation);
    } catch (error) {
      throw openFailed(target, error);
    }
  }

  private constructor(
    name: string,
    open: (path: string) => Promise<Sink>,
    numbers: readonly number[],
    { limits, overwrite, onFailure }: Rotation,
  ) {
    const {
      rows = Number.POSITIVE_INFINITY,
      bytes = Number.POSITIVE_INFINITY,
      seconds = Number.POSITIVE_INFINITY,
    } = limits;
    this.name = name;
    this.#open = open;
    this.#limits = { rows, bytes, seconds };
    this.#onFailure = onFailure;
    this.#stale = new Set(overwrite ? numbers : []);
    this.#number = overwrite ? 0 : Math.max(-1, ...numbers) + 1;
  }

  get bytes(): number {
    return this.#finishedBytes + (this.#part?.bytes ?? 0);
  }

  async write(batch: FlowBatch): Promise<void> {
    this.#isWriting = true;
    try {
      await this.#ending;
      for (let from = 0; from < batch.count; ) {
        const part = this.#part ?? (await this.#begin());
        const end = Math.min(batch.count, from + this.#limits.rows - this.#partRows);
        await part.write(end - from === batch.count ? batch : rowsOf(batch, from, end));
        this.rows += end - from;
        this.#partRows += end - from;
        from = end;
        if (this.#isDue || this.#partRows >= this.#limits.rows || part.bytes >= this.#limits.bytes)
          await this.#finish();
      }
    } finally {
      this.#isWriting = false;
    }
  }

  async close(): Promise<void> {
    await this.#ending;
    await this.#finish();
    // Behind a gap they may be anybody's.
    for (let number = this.#number; this.#stale.has(number); number++) await remove(partName(this.name, number));
  }

  async abandon(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#ending?.catch(() => {});
    await this.#part?.abandon();
  }

  unlink(): void {
    this.#part?.unlink();
  }

  async #begin(): Promise<Sink> {
    this.#part = await this.#open(partName(this.name, this.#number));
    this.#partRows = 0;
    this.#isDue = false;
    const { seconds } = this.#limits;
    if (seconds < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#timeIsUp(), seconds * 1000).unref();
    return this.#part;
  }

  async #finish(): Promise<void> {
    clearTimeout(this.#timer);
    const part = this.#part;
    if (part === null) return;
    await part.close();
    this.#part = null;
    this.#finishedBytes += part.bytes;
    this.files.push(partName(this.name, this.#number++));
  }

  /** Where nothing comes any more, the file is finished all the same. */
  #timeIsUp(): void {
    this.#isDue = true;
    if (this.#isWriting) return;
    this.#ending = this.#finish();
    // The failure is met by whoever writes or closes next.
    this.#ending.catch((error: unknown) => this.#onFailure?.(error));
  }
}

/** `flows-00000.csv` */
function partName(target: string, number: number): string {
  const ending = extname(target);
  const digits = String(number).padStart(DIGITS, '0');
  return join(dirname(target), `${basename(target, ending)}-${digits}${ending}`);
}

/** What an earlier run left; it may be gone already. */
async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw writeFailed(path, error);
  }
}

/** Of files that an earlier run left. */
async function numbersIn(target: string): Promise<number[]> {
  const folder = dirname(target);
  const names = await readdir(folder);
  return names.flatMap((name) => {
    const number = Number(/-(\d{5,15})(\.[^.]*)?$/.exec(name)?.[1] ?? Number.NaN);
    return join(folder, name) === partName(target, number) ? [number] : [];
  });
}

/** Some rows of a batch. */
function rowsOf(batch: FlowBatch, from: number, end: number): FlowBatch {
  const part = new FlowBatch(batch.store.shape);
  for (let row = from; row < end; row++) part.push(batch.store, row, batch.flow(row));
  return part;
}
