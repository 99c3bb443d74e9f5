// One interface of a live source: opened, read, and where that is wished opened again after it was gone. Turns what libpcap
// says into an NfstreamError that says what to do.
import { shownFilter } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import {
  type CaptureAddon,
  type CaptureFailure,
  type CaptureHandle,
  type CaptureSettings,
  loadCapture,
} from '../native/capture.ts';
import { deniedText } from './capture-rights.ts';
import type { CaptureCounters, PacketBatch, SlabPool } from './source.ts';

export interface Fanout {
  /** Number of the group, 1 to 65535, of this network namespace. */
  readonly group: number;
  /** The classic BPF program that chooses a member for each packet. */
  readonly program: Uint32Array;
}

export interface InterfaceOptions extends Omit<CaptureSettings, 'isHeld'> {
  /** Wait for an interface that is gone. */
  readonly reconnect: boolean;
  /** Share the packets with other captures of the same interface; these are opened on hold. */
  readonly fanout?: Fanout;
  /** Where memory for packets comes from. */
  readonly slabs?: SlabPool;
}

/** libpcap takes no more. */
const MAX_SNAPLEN = 262144;
/** How often an interface that is gone is looked for, and one that is silent asked whether it is up. */
const LOOK_AGAIN_MS = 500;

export class InterfaceCapture {
  readonly name: string;
  readonly #options: InterfaceOptions;
  readonly #ready: () => void;
  readonly #load: typeof loadCapture;
  #addon: CaptureAddon | undefined;
  /** Null while the interface is gone. */
  #handle: CaptureHandle | null = null;
  #batch: PacketBatch | undefined;
  #isWaiting = false;
  #isReleased: boolean;
  /** Gone, and waited for. */
  #isLost = false;
  #isFinished = false;
  #isClosed = false;
  #linkType = 0;
  #lookedMs = 0;
  /** Of this capture, and of those that were closed. */
  readonly #counters = new Float64Array(3);
  readonly #closed = new Float64Array(3);

  /** `ready` is called when there may be something to read. */
  constructor(name: string, options: InterfaceOptions, ready: () => void, load: typeof loadCapture = loadCapture) {
    this.name = name;
    this.#load = load;
    this.#options = options;
    this.#ready = ready;
    this.#isReleased = options.fanout === undefined;
  }

  /** LINKTYPE_ of the packets that were read last. */
  get linkType(): number {
    return this.#linkType;
  }

  /** Bytes of a frame at most. */
  get snaplen(): number {
    return Math.min(this.#options.snaplen, MAX_SNAPLEN);
  }

  /** @throws NfstreamError CAPTURE_*, INTERFACE_DOWN, INVALID_FILTER or SOURCE_NOT_FOUND. */
  open(): void {
    const loaded = this.#load();
    if (!loaded.ok) {
      throw new NfstreamError('CAPTURE_UNAVAILABLE', `${this.name}: capturing needs libpcap, but ${loaded.message}`);
    }
    this.#addon = loaded.addon;
    const failure = this.#tryOpening();
    if (failure === null) return;
    if (failure.kind !== 'down') throw this.#error(failure);
    if (this.#options.reconnect) this.#lose(failure);
    else throw this.#error({ kind: 'down', message: `${failure.message}${bringUpHint(this.name)}` });
  }

  #tryOpening(): CaptureFailure | null {
    const { promiscuous, bufferSize, batchTimeoutMs, immediate, filter, fanout } = this.#options;
    const { snaplen } = this;
    const isHeld = fanout !== undefined;
    const settings = { snaplen, promiscuous, bufferSize, batchTimeoutMs, immediate, filter, isHeld };
    let opened: CaptureHandle | CaptureFailure;
    try {
      opened = (this.#addon as CaptureAddon).openCapture(this.name, settings);
    } catch (error) {
      // A NUL, or too long: the filter, or the name of an interface that there can not be.
      const { message } = error as Error;
      return { kind: message.includes('for filter') ? 'filter' : 'not_found', message };
    }
    if ('kind' in opened) return opened;
    this.#handle = opened;
    this.#linkType = opened.linkType;
    this.#isWaiting = false;
    if (fanout !== undefined) {
      const problem = opened.joinFanout(fanout.group, fanout.program);
      if (problem !== '') throw new NfstreamError('CAPTURE_FAILED', `${this.name}: sharing among meters: ${problem}`);
      if (this.#isReleased) opened.release();
    }
    if (this.#isFinished) opened.finish();
    if (this.#batch !== undefined) opened.attach(this.#batch);
    return null;
  }

  release(): void {
    if (!this.#isReleased && !this.#isFinished) this.#handle?.release();
    this.#isReleased = true;
  }

  /** Lets no more packets in. */
  finish(): void {
    this.#isFinished = true;
    this.#handle?.finish();
  }

  attach(batch: PacketBatch): void {
    this.#batch = batch;
    this.#handle?.attach(batch);
  }

  /** As CaptureHandle.read; 0 while the interface is gone. @throws NfstreamError INTERFACE_DOWN, CAPTURE_FAILED. */
  read(row: number, at: number): number {
    if (this.#handle === null) return 0;
    let rows: number;
    try {
      rows = this.#handle.read(row, at);
    } catch (error) {
      const { kind, message } = error as CaptureFailure;
      this.#gone({ kind, message });
      return 0;
    }
    if (rows === 0 && this.#isTimeToLook() && !this.#handle.isUp()) {
      this.#gone({ kind: 'down', message: 'the interface went down' });
    }
    return rows;
  }

  #isTimeToLook(): boolean {
    const now = performance.now();
    if (now - this.#lookedMs < LOOK_AGAIN_MS) return false;
    this.#lookedMs = now;
    return true;
  }

  #gone(failure: CaptureFailure): void {
    this.#closeHandle();
    if (!this.#options.reconnect || failure.kind !== 'down') throw this.#error(failure);
    if (!this.#isFinished) this.#lose(failure);
  }

  #lose({ message }: CaptureFailure): void {
    this.#isLost = true;
    warn('NFSTREAM_INTERFACE_DOWN', `${this.name}: ${message}; waiting for it`);
  }

  /** Opens an interface that was gone, if it is there again. @throws NfstreamError CAPTURE_*, INVALID_FILTER. */
  lookAgain(): void {
    if (this.#handle !== null || this.#isClosed || this.#isFinished || !this.#isTimeToLook()) return;
    const failure = this.#tryOpening();
    if (failure === null) {
      this.#isLost = false;
      warn('NFSTREAM_INTERFACE_UP', `${this.name}: it is back`);
    } else if (failure.kind !== 'down' && failure.kind !== 'not_found') throw this.#error(failure);
  }

  /** Has `ready` called when packets come. Returns the ms after which to look again in any case. */
  wait(): number {
    if (this.#isClosed) return Number.POSITIVE_INFINITY;
    if (this.#handle === null) return this.#isFinished ? Number.POSITIVE_INFINITY : LOOK_AGAIN_MS;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      const handle = this.#handle;
      handle?.wait(() => {
        if (handle === this.#handle) {
          this.#isWaiting = false;
          // It may have gone down: be sure to look.
          this.#lookedMs = 0;
        }
        this.#ready();
      });
    }
    return Number.POSITIVE_INFINITY;
  }

  addCounters(sum: CaptureCounters): void {
    this.#handle?.stats(this.#counters);
    sum.received += this.#closed[0] + this.#counters[0];
    sum.droppedByKernel += this.#closed[1] + this.#counters[1];
    sum.droppedByInterface += this.#closed[2] + this.#counters[2];
    if (this.#isLost) sum.interfacesDown++;
  }

  close(): void {
    this.#isClosed = true;
    this.#closeHandle();
  }

  #closeHandle(): void {
    if (this.#handle === null) return;
    this.#handle.stats(this.#counters);
    for (let i = 0; i < this.#closed.length; i++) this.#closed[i] += this.#counters[i];
    this.#counters.fill(0);
    this.#handle.close();
    this.#handle = null;
  }

  #error({ kind, message }: CaptureFailure): NfstreamError {
    const { name } = this;
    const details = { file: name };
    switch (kind) {
      case 'not_found':
        return new NfstreamError('SOURCE_NOT_FOUND', `${name}: no such interface`, details);
      case 'denied':
        return new NfstreamError('CAPTURE_DENIED', `${name}: ${deniedText()}`, details);
      case 'down':
        return new NfstreamError('INTERFACE_DOWN', `${name}: ${message}`, details);
      case 'filter':
        return new NfstreamError(
          'INVALID_FILTER',
          `Expected a filter that libpcap compiles for ${name} for bpfFilter and received ` +
            `${shownFilter(this.#options.filter)}: ${message}`,
        );
      default:
        return new NfstreamError('CAPTURE_FAILED', `${name}: ${message}`, details);
    }
  }
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'NfstreamWarning', code });
}

function bringUpHint(name: string): string {
  return process.platform === 'linux' ? `; to bring it up: sudo ip link set ${name} up` : '';
}
