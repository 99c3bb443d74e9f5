// Finished flows made by hand, and outputs that keep what they get.
import fc from 'fast-check';
import { RARE_FLAGS_WORD } from '../../src/flow/feature-layout.ts';
import { Flow } from '../../src/flow/flow.ts';
import { FlowBatch } from '../../src/flow/flow-batch.ts';
import {
  DOUBLE_END,
  DOUBLE_START,
  type RecordShape,
  RecordStore,
  WORD_ACK,
  WORD_BYTES,
  WORD_BYTES_HIGH,
  WORD_PACKETS,
  WORD_REASON,
} from '../../src/flow/record.ts';
import { CLASSIC_SHAPE, type MetricValue, tableColumns } from '../../src/flow/schema.ts';
import { KEY_DST, KEY_META, KEY_PORTS } from '../../src/packet/packet-columns.ts';
import type { Output } from '../../src/sink/output.ts';
import type { SinkColumns } from '../../src/sink/sink.ts';

export interface FlowParts {
  version: 4 | 6;
  src: number[];
  dst: number[];
  srcPort: number;
  dstPort: number;
  protocol: number;
  vlan: number;
  packets: [number, number];
  bytes: [number, number];
  /** 16 counts. */
  flags: number[];
  startMs: number;
  endMs: number;
  reason: number;
  metrics: Record<string, MetricValue>;
}

export const PLAIN: FlowParts = {
  version: 4,
  src: [0x0a000001, 0, 0, 0],
  dst: [0x0a000002, 0, 0, 0],
  srcPort: 40000,
  dstPort: 443,
  protocol: 6,
  vlan: 7,
  packets: [3, 2],
  bytes: [300, 2000],
  flags: [1, 1, 0, 0, 0, 0, 0, 0, 3, 2, 1, 1, 0, 0, 1, 1],
  startMs: 1472393122365.661,
  endMs: 1472393123665.25,
  reason: 2,
  metrics: {},
};

export function batchOf(...flows: Partial<FlowParts>[]): FlowBatch {
  return shapedBatchOf(CLASSIC_SHAPE, ...flows);
}

/** Flows of a run with other columns; what their features measured is zero. */
export function shapedBatchOf(shape: RecordShape, ...flows: Partial<FlowParts>[]): FlowBatch {
  const batch = new FlowBatch(shape);
  for (const parts of flows) {
    const flow = { ...PLAIN, ...parts };
    const store = new RecordStore(1, shape);
    store.words.set(flow.src, 0);
    store.words.set(flow.dst, KEY_DST);
    store.words[KEY_PORTS] = (flow.srcPort << 16) | flow.dstPort;
    store.words[KEY_META] = flow.protocol | (flow.version << 8) | (flow.vlan << 16);
    store.words[WORD_REASON] = flow.reason;
    // ACK and PSH lie in the record, the others beside it.
    store.words.set(flow.flags.slice(8, 12), WORD_ACK);
    store.extraWords.set([...flow.flags.slice(0, 8), ...flow.flags.slice(12)], RARE_FLAGS_WORD);
    store.doubles[DOUBLE_START] = flow.startMs;
    store.doubles[DOUBLE_END] = flow.endMs;
    store.words.set(flow.packets, WORD_PACKETS);
    store.words.set(flow.bytes, WORD_BYTES);
    const [high, highBack] = flow.bytes.map((bytes) => Math.floor(bytes / 2 ** 32));
    store.words[WORD_BYTES_HIGH] = high | (highBack << 16);
    batch.push(store, 0, new Flow(store, 0, flow.metrics));
  }
  return batch;
}

/** The columns of a run of the schema `classic` without nDPI. */
export function classicColumns(metrics: readonly string[] = [], hasOthers = false): SinkColumns {
  const { columns } = CLASSIC_SHAPE;
  const options = { enableNdpi: false, systemVisibility: false };
  return { record: columns, table: tableColumns(columns, options, { names: metrics, hasOthers }) };
}

/** Text as hostile as it gets: separators, quotes, line ends, formulas, controls, lone surrogates. */
export const hostileText = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({
      unit: fc.constantFrom(',', '"', '\n', '\r', ' ', '=', '+', '-', '@', '\t', 'a', 'é', '\u2028'),
      maxLength: 8,
    }),
    fc.constantFrom('\ud800', 'x\udc00y', '', ' ', '""', '=1+1', '[1,1]', '\0', 'null'),
  );

export const metricValue = (): fc.Arbitrary<MetricValue> =>
  fc.oneof(
    hostileText(),
    fc.double(),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(hostileText(), { maxLength: 3 }),
    fc.array(fc.integer(), { maxLength: 3 }),
  );

const word = () => fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const four = () => fc.array(word(), { minLength: 4, maxLength: 4 });
const count = () => fc.tuple(fc.maxSafeNat(), fc.maxSafeNat());

export const flowParts = (): fc.Arbitrary<FlowParts> =>
  fc.record({
    version: fc.constantFrom(4, 6),
    src: four(),
    dst: four(),
    srcPort: fc.nat(65535),
    dstPort: fc.nat(65535),
    protocol: fc.nat(255),
    vlan: fc.nat(4095),
    packets: count(),
    bytes: count(),
    flags: fc.array(word(), { minLength: 16, maxLength: 16 }),
    startMs: fc.double({ noNaN: true }),
    endMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
    reason: fc.constantFrom(-1, 0, 1, 2, 3, 0x7fff_ffff),
    metrics: fc.dictionary(fc.oneof(fc.string(), hostileText()), metricValue(), { maxKeys: 5 }),
  });

/** Keeps what it gets. */
export class MemoryOutput implements Output {
  readonly name = 'memory';
  readonly isFile = false;
  readonly #pieces: Uint8Array[] = [];
  bytes = 0;
  ended: 'closed' | 'abandoned' | undefined;

  append(data: string | Uint8Array): void {
    const piece = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }
  get content(): Buffer {
    return Buffer.concat(this.#pieces);
  }
  get text(): string {
    return this.content.toString('utf8');
  }
  async close(): Promise<void> {
    this.ended = 'closed';
  }
  async abandon(): Promise<void> {
    this.ended = 'abandoned';
  }
  unlink(): void {}
}
