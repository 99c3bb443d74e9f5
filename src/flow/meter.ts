// The meter: batches of decoded packets in, finished flows out.
//
//   take (which rows) -> hash all keys -> find all flows -> count, packet by packet: expire, create, measure, user code
//
// The kernel (src/kernel) makes these passes. The first three change nothing; `count` goes on to the first packet that takes
// more than counting, which is dealt with here, and then from there: so results do not depend on the batch size.

import { ALL_ROWS, type Kernel } from '../kernel/kernel.ts';
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import { Accounting } from './accounting.ts';
import { FlowFeatures } from './features.ts';
import type { FinishedFlows } from './finished-flows.ts';
import type { FlowBatch } from './flow-batch.ts';
import type { FlowObserver } from './flow-observer.ts';
import { FlowTable, kernelFor } from './flow-table.ts';
import { FlowLifecycle } from './lifecycle.ts';
import type { MeterOptions } from './meter-options.ts';
import * as record from './record.ts';

// V8 folds a module's own constants into the code, imported ones it loads each time: a seventh of the meter's time.
const { KEY_WORDS, SKIP_REASONS } = packet;
const { DOUBLE_SEQUENCE, EXPORT_TERMINATION, RECORD_DOUBLES, RECORD_WORDS, WORD_REASON } = record;

/** Of `Passes.count`: no row is settled yet. */
const NONE_SETTLED = -1;

export class FlowMeter {
  readonly #kernel: Kernel;
  readonly #table: FlowTable;
  readonly #flows: FlowLifecycle;
  readonly #columns: PacketColumns;
  readonly #observer: FlowObserver | null;
  readonly #owner: number;
  readonly #accounting: Accounting;
  readonly #features: FlowFeatures;
  /** Whether each packet takes more than counting. */
  readonly #isStepped: boolean;
  packetsMetered = 0;
  /** By status (index into SKIP_REASONS). */
  readonly packetsSkipped: Float64Array;

  constructor(options: MeterOptions, columns: PacketColumns, observer: FlowObserver | null) {
    const { capacity, shape, inactiveTimeoutMs, activeTimeoutMs, expiresActive } = options;
    this.#columns = columns;
    this.#observer = observer;
    this.#owner = options.owner ?? 0;
    this.#kernel = options.kernel ?? kernelFor(capacity, shape);
    this.#kernel.passes.setTimeouts(inactiveTimeoutMs, expiresActive ? Number.POSITIVE_INFINITY : activeTimeoutMs);
    this.packetsSkipped = this.#kernel.skipped.subarray(0, SKIP_REASONS.length);
    this.#table = new FlowTable(capacity, shape, this.#kernel);
    this.#accounting = new Accounting(options.accountingMode, this.#kernel.sizes);
    this.#features = new FlowFeatures(this.#table.store);
    this.#flows = new FlowLifecycle(options, this.#table, this.#features, columns, observer);
    this.#isStepped = observer !== null || this.#flows.needsEachPacket || this.#features.measuresPackets;
  }

  /** Rows that `meter` has dealt with: metered, or skipped for a reason. */
  get packetsProcessed(): number {
    let skipped = 0;
    for (const count of this.packetsSkipped) skipped += count;
    return this.packetsMetered + skipped;
  }

  /** Live flows at most. */
  get capacity(): number {
    return this.#table.capacity;
  }

  /** Flows live now. */
  get flowsLive(): number {
    return this.#flows.live;
  }

  get flowsStarted(): number {
    return this.#flows.flowsStarted;
  }

  get flowsEvicted(): number {
    return this.#flows.flowsEvicted;
  }

  /** Meters the rows of `batch` that the columns say are METERED. */
  meter(batch: PacketBatch): void {
    const { passes, found } = this.#kernel;
    this.#load(batch);
    this.#table.recycle();
    const hasClocks = batch.clockMs === batch.timeMs ? 0 : 1;
    const own = passes.take(
      batch.count,
      batch.owners === null ? ALL_ROWS : this.#owner,
      this.#flows.clockMs,
      hasClocks,
    );
    passes.hash(own, batch.hashes === null ? 0 : 1);
    passes.find(own);
    this.#observer?.touch(found, own);
    this.#passTime(batch, own);
  }

  /** It is `clockMs` and every packet before that was metered: ends the flows whose timeouts have passed. */
  advance(clockMs: number): void {
    this.#flows.advance(clockMs);
  }

  /**
   * Ends up to `limit` of the live flows, the least recently used first: as inactive those that are, the others by
   * termination, or the end of TCP. Returns whether any are left. No packets may be metered from then on.
   */
  terminate(limit: number): boolean {
    return this.#flows.terminate(limit);
  }

  /** Finished flows so far, in the order they ended; they are forgotten here. */
  takeFinished(): FlowBatch[] {
    return this.#flows.finished.take();
  }

  /** Counts the flows of a batch as exported: user code, which may set their reasons, has had its last word. */
  countExported(batch: FlowBatch): void {
    this.#flows.finished.count(batch);
  }

  /** Flows exported so far, by what ended them. */
  get exported(): Readonly<FinishedFlows['exported']> {
    return this.#flows.finished.exported;
  }

  /** Whether `takeFinished` has a full batch. */
  get hasFullBatch(): boolean {
    return this.#flows.finished.hasFullBatch;
  }

  /** Brings the columns into the kernel's memory, those that do not lie there. */
  #load(batch: PacketBatch): void {
    const kernel = this.#kernel;
    const { status, key, tcpFlags } = this.#columns;
    const { count, timeMs, clockMs, wireLength, owners, hashes } = batch;
    if (timeMs !== kernel.timeMs) kernel.timeMs.set(timeMs.subarray(0, count));
    if (clockMs !== timeMs && clockMs !== kernel.clockMs) kernel.clockMs.set(clockMs.subarray(0, count));
    if (wireLength !== kernel.wireLength) kernel.wireLength.set(wireLength.subarray(0, count));
    if (status !== kernel.status) kernel.status.set(status.subarray(0, count));
    if (tcpFlags !== kernel.tcpFlags) kernel.tcpFlags.set(tcpFlags.subarray(0, count));
    if (key !== kernel.key) kernel.key.set(key.subarray(0, count * KEY_WORDS));
    if (owners !== null && owners !== kernel.owners) kernel.owners.set(owners.subarray(0, count));
    if (hashes !== null && hashes !== kernel.givenHashes) kernel.givenHashes.set(hashes.subarray(0, count));
    this.#accounting.measure(batch, this.#columns);
  }

  /** Counts the `own` rows, and has time pass with all, whoever meters them. */
  #passTime(batch: PacketBatch, own: number): void {
    const { count, first } = batch;
    if (count === 0) return;
    const { clocks, rows } = this.#kernel;
    const flows = this.#flows;
    const latest = clocks[count - 1];
    let from = 0;
    let row = 0;
    while (latest >= flows.nextTickMs) {
      while (clocks[row] < flows.nextTickMs) row++;
      let to = from;
      while (to < own && rows[to] < row) to++;
      this.#count(batch, from, to);
      from = to;
      flows.tick(clocks[row], first + row);
    }
    this.#count(batch, from, own);
    flows.pass(latest, first + count - 1);
  }

  /** HOT PATH: no allocation for a packet of a known flow. Meters the rows at `[from, to)` of the kernel's. */
  #count(batch: PacketBatch, from: number, to: number): void {
    const { passes } = this.#kernel;
    const { first } = batch;
    const hasSizes = this.#accounting.isFrame ? 0 : 1;
    let at = from;
    try {
      if (this.#isStepped) while (at < to) this.#step(batch, at++, hasSizes);
      else {
        at = passes.count(at, to, NONE_SETTLED, first, hasSizes);
        while (at < to) {
          this.#settle(batch, at);
          at = passes.count(at, to, at, first, hasSizes);
        }
      }
    } finally {
      this.packetsMetered += at - from;
    }
  }

  /** As `#count` for the kernel's row `i`, with what else wants to see the packet. */
  #step(batch: PacketBatch, i: number, hasSizes: number): void {
    const { passes, rows, found, timeMs, clocks, tcpFlags } = this.#kernel;
    const { words } = this.#table.store;
    const row = rows[i];
    this.#settle(batch, i);
    const slot = found[i] >> 1;
    const direction = found[i] & 1;
    if (this.#features.measuresPackets) {
      this.#features.measure(slot, direction, timeMs[row], this.#accounting.sizes(batch)[row]);
    }
    passes.count(i, i + 1, i, batch.first, hasSizes);
    this.#flows.sawFlags(slot, direction, tcpFlags[row], clocks[row]);
    if (this.#observer?.updated(row, slot, direction as 0 | 1)) {
      const reason = words[slot * RECORD_WORDS + WORD_REASON];
      if (reason > EXPORT_TERMINATION) this.#flows.split(slot, clocks[row], batch.first + row, reason);
    }
  }

  /** Sees to it that the flow of the kernel's row `i` is there to count its packet, and that it is not over. */
  #settle(batch: PacketBatch, i: number): void {
    const { passes, rows, found, timeMs, clocks, tcpFlags, hashes } = this.#kernel;
    const { doubles } = this.#table.store;
    const row = rows[i];
    const clock = clocks[row];
    // Not found, or ended since: it may have begun since.
    if (found[i] < 0 || doubles[(found[i] >> 1) * RECORD_DOUBLES + DOUBLE_SEQUENCE] === 0) found[i] = passes.findOne(i);
    const flow = found[i];
    if (flow < 0 || !this.#flows.goesOn(flow >> 1, flow & 1, timeMs[row], clock, batch.first + row, tcpFlags[row])) {
      found[i] = this.#flows.start(batch, row, clock, hashes[i]) * 2;
    }
  }
}
