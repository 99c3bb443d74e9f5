// A capture addon without a kernel: what waits in its buffers is put there by the test.
import type {
  CaptureAddon,
  CaptureFailure,
  CaptureHandle,
  CaptureSettings,
  CaptureTarget,
} from '../../src/native/capture.ts';
import type { LoadedAddon } from '../../src/native/load.ts';
import type { InterfaceOptions } from '../../src/source/interface-capture.ts';
import { InterfaceSource } from '../../src/source/interface-source.ts';
import { LiveClock } from '../../src/source/live-clock.ts';
import { PacketBatch } from '../../src/source/source.ts';

export interface FakePacket {
  timeMs: number;
  bytes: Uint8Array;
}

export class FakeInterface {
  failure: CaptureFailure | null = null;
  isUp = true;
  /** What `read` throws once its packets are read. */
  error: CaptureFailure | null = null;
  waiting: FakePacket[] = [];
  dropped = 0;
  isFinished = false;
  opened = 0;
  closed = 0;
  reads = 0;
  settings: CaptureSettings | undefined;
  #received = 0;
  #ready: (() => void) | null = null;

  /** Packets arrive; whoever waits is called. */
  arrive(...packets: FakePacket[]): void {
    this.waiting.push(...packets);
    this.#received += packets.length;
    this.wake();
  }

  wake(): void {
    const ready = this.#ready;
    this.#ready = null;
    if (ready !== null) setImmediate(ready);
  }

  open(settings: CaptureSettings): CaptureHandle {
    this.opened++;
    this.settings = settings;
    const { snaplen } = settings;
    let target: CaptureTarget | undefined;
    return {
      linkType: 1,
      snaplen,
      isNanosecond: true,
      attach: (to) => {
        target = to;
      },
      read: (row, at) => {
        this.reads++;
        const to = target as CaptureTarget;
        let rows = 0;
        let end = at;
        while (this.waiting.length > 0 && row + rows < to.timeMs.length && to.bytes.length - end >= snaplen) {
          const { timeMs, bytes } = this.waiting.shift() as FakePacket;
          const kept = bytes.subarray(0, snaplen);
          to.bytes.set(kept, end);
          to.timeMs[row + rows] = timeMs;
          to.frameAt[row + rows] = end;
          to.capturedLength[row + rows] = kept.length;
          to.wireLength[row + rows] = bytes.length;
          end += kept.length;
          rows++;
        }
        if (rows === 0 && this.error !== null) throw Object.assign(new Error(this.error.message), this.error);
        return rows;
      },
      wait: (ready) => {
        this.#ready = ready;
        if (this.waiting.length > 0 || this.error !== null) this.wake();
      },
      stats: (into) => {
        into.set([this.#received + this.dropped, this.dropped, 0]);
        return true;
      },
      isUp: () => this.isUp,
      joinFanout: () => '',
      release: () => {},
      finish: () => {
        this.isFinished = true;
      },
      close: () => {
        this.closed++;
        this.#received = 0;
        this.#ready = null;
      },
    };
  }
}

/** The addon of a machine with these interfaces. */
export function fakeCapture(interfaces: Record<string, FakeInterface>): () => LoadedAddon<CaptureAddon> {
  const addon = {
    openCapture(device: string, settings: CaptureSettings): CaptureHandle | CaptureFailure {
      const one = interfaces[device];
      if (one === undefined) return { kind: 'not_found', message: `${device}: No such device exists` };
      return one.failure ?? one.open(settings);
    },
  } as Partial<CaptureAddon> as CaptureAddon;
  return () => ({ ok: true, addon, path: '' });
}

export const OPTIONS: InterfaceOptions = {
  snaplen: 2000,
  promiscuous: true,
  bufferSize: 1 << 20,
  batchTimeoutMs: 50,
  immediate: false,
  filter: '',
  reconnect: false,
};

export const packet = (text: string, timeMs = Date.now()): FakePacket => ({ timeMs, bytes: Buffer.from(text) });

export interface Setting {
  source: InterfaceSource;
  batch: PacketBatch;
}

export function sourceOf(
  interfaces: Record<string, FakeInterface>,
  options: Partial<InterfaceOptions> = {},
  rows = 256,
): Setting {
  const names = Object.keys(interfaces);
  const source = new InterfaceSource(names, { ...OPTIONS, ...options }, new LiveClock(), fakeCapture(interfaces));
  return { source, batch: new PacketBatch(rows) };
}

/** The frames of a batch as text. */
export function texts({ count, bytes, frameAt, capturedLength }: PacketBatch): string[] {
  return Array.from({ length: count }, (_, row) =>
    Buffer.from(bytes.subarray(frameAt[row], frameAt[row] + capturedLength[row])).toString(),
  );
}

/** Reads until nothing waits, the run ends or `read` throws. */
export function readAll({ source, batch }: Setting, seen: string[] = []): { seen: string[]; end: number } {
  for (;;) {
    const rows = source.read(batch);
    if (rows <= 0) return { seen, end: rows };
    seen.push(...texts(batch));
  }
}
