// nDPI: shown the packets of a flow until it knows enough, or until `dissections` packets were shown. What it found out
// then are the columns of NDPI_FIELDS, kept once for all flows of which it found out the same.
//
// What is shown: whole, unfragmented IP packets. Later fragments have no ports and nDPI refuses cut packets, so neither
// counts against the budget (but patience ends). nDPI's state of a flow is freed as soon as its findings are there; a flow
// that ends before that gets nDPI's last word. The order of calls is ndpiReader's, so the applications are, too.
//
// No object is made for a flow: what is kept of it lies in columns, by its slot.
import { NfstreamError } from '../errors.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import { Flow } from '../flow/flow.ts';
import type { RecordStore } from '../flow/record.ts';
import {
  loadNdpi,
  NDPI_COMPLETE,
  NDPI_EXHAUSTED,
  NDPI_RESULT_FIELDS,
  NDPI_UNKNOWN,
  type NdpiAddon,
  type NdpiDetector,
} from '../native/ndpi.ts';
import { NdpiNames } from './ndpi-names.ts';
import type { Packet } from './packet.ts';

export interface NdpiOptions {
  /** Packets of a flow shown to nDPI at most; 0 leaves it to guess from addresses and ports. */
  dissections?: number;
}

/** Instead of a handle of the addon. Nothing was shown yet: nDPI has no state of the flow. */
const UNOPENED = -2;
const DONE = -1;
/** A flow whose packets are cut, but for a few, is given up after this many times the packet budget. */
const PATIENCE = 8;
const IPV4 = 4;

/** Findings kept for the flows to come, and characters in their texts: beyond that all are forgotten, and gather anew. */
const MAX_FINDINGS = 4096;
const MAX_CHARACTERS = 4_194_304;

export class NdpiDissector {
  readonly name = 'ndpi';
  readonly #addon: NdpiAddon;
  readonly #dissections: number;
  #detector: NdpiDetector | undefined;
  #names: NdpiNames | undefined;
  /** By slot: the addon's handle, UNOPENED or DONE. */
  #handles = new Int32Array(0);
  /** By slot: packets shown, and packets that could not be shown. */
  #counts = new Int32Array(0);
  /** By slot, once nDPI is done with the flow. */
  readonly #findings: (Findings | undefined)[] = [];
  /** By the addon's number. */
  #known: Findings[] = [];
  #characters = 0;

  /** @throws NfstreamError NDPI_UNAVAILABLE when the addon does not load; nDPI itself is started with the run. */
  constructor(options: NdpiOptions = {}) {
    const loaded = loadNdpi();
    if (!loaded.ok) throw new NfstreamError('NDPI_UNAVAILABLE', `nDPI was asked for, but ${loaded.message}`);
    this.#addon = loaded.addon;
    if (loaded.addon.resultFields.join() !== NDPI_RESULT_FIELDS.join()) {
      throw new NfstreamError('NDPI_UNAVAILABLE', `${loaded.path} is of another version: its result has other fields`);
    }
    this.#dissections = options.dissections ?? 20;
  }

  /** @throws NfstreamError NDPI_UNAVAILABLE */
  start(): void {
    try {
      this.#detector = this.#addon.createDetector();
    } catch (cause) {
      throw new NfstreamError('NDPI_UNAVAILABLE', `nDPI does not start: ${String(cause)}`, { cause });
    }
    this.#names = new NdpiNames(this.#addon, this.#detector);
  }

  /** A flow began in `slot`. */
  begin(slot: number, store: RecordStore): void {
    if (slot >= this.#handles.length) {
      this.#handles = longer(this.#handles, store.rows);
      this.#counts = longer(this.#counts, store.rows * 2);
    }
    this.#handles[slot] = UNOPENED;
    this.#counts[slot * 2] = 0;
    this.#counts[slot * 2 + 1] = 0;
  }

  /** Whether the flow's packets are wanted; to be asked once for a batch in advance, too: it loads what is asked for. */
  wants(slot: number): boolean {
    return this.#handles[slot] !== DONE;
  }

  /** A packet of a flow whose packets are wanted. Returns what nDPI found out, where that settles it. */
  show(packet: Packet, slot: number, store: RecordStore): Findings | undefined {
    const counts = this.#counts;
    const dissections = this.#dissections;
    if (dissections === 0) return this.end(slot, store);
    const at = packet.ipAt;
    const end = packet.ipEnd;
    if (packet.isLaterFragment || end - at < packet.ipSize) {
      return ++counts[slot * 2 + 1] < dissections * PATIENCE ? undefined : this.end(slot, store);
    }
    const detector = this.#detector as NdpiDetector;
    let handle = this.#handles[slot];
    if (handle === UNOPENED) {
      handle = detector.open();
      this.#handles[slot] = handle;
    }
    const state = detector.process(handle, packet.bytes, at, end, packet.timestamp);
    const shown = ++counts[slot * 2];
    if (state < NDPI_COMPLETE && shown < dissections) return undefined;
    if (state === NDPI_UNKNOWN || state === NDPI_EXHAUSTED) detector.giveUp(handle);
    return this.#settle(slot, handle);
  }

  /** nDPI's last word on a flow whose packets are still wanted. */
  end(slot: number, store: RecordStore): Findings {
    const detector = this.#detector as NdpiDetector;
    let handle = this.#handles[slot];
    if (handle === UNOPENED) {
      handle = detector.open();
      const { ip_version, ip_src, ip_dst, ip_protocol, src_port, dst_port } = new Flow(store, slot);
      const src = ip_version === IPV4 ? ipv4Number(ip_src) : 0;
      const dst = ip_version === IPV4 ? ipv4Number(ip_dst) : 0;
      detector.guess(handle, ip_protocol, src, src_port, dst, dst_port);
    } else detector.giveUp(handle);
    return this.#settle(slot, handle);
  }

  /** What nDPI found out about a flow whose packets are not wanted any more. */
  findings(slot: number): Findings | undefined {
    return this.#findings[slot];
  }

  /** No more calls: frees everything. */
  exit(): void {
    this.#detector?.close();
  }

  #settle(slot: number, handle: number): Findings {
    const detector = this.#detector as NdpiDetector;
    const number = detector.resultOf(handle);
    detector.free(handle);
    this.#handles[slot] = DONE;
    const findings = this.#known[number] ?? this.#learn(number);
    this.#findings[slot] = findings;
    return findings;
  }

  #learn(number: number): Findings {
    const result = (this.#detector as NdpiDetector).result(number);
    const findings = (this.#names as NdpiNames).findingsOf(result);
    this.#known.push(findings);
    for (const value of result) if (typeof value === 'string') this.#characters += value.length;
    if (this.#known.length >= MAX_FINDINGS || this.#characters >= MAX_CHARACTERS) {
      this.#detector?.forgetResults();
      this.#known = [];
      this.#characters = 0;
    }
    return findings;
  }
}

function longer(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length);
  copy.set(array);
  return copy;
}

/** `1.2.3.4` as an unsigned number. */
function ipv4Number(text: string): number {
  return text.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
