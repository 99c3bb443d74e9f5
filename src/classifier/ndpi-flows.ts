// Flows for nDPI: each is shown to it until it knows enough, or until `dissections` packets were shown. What it found out
// then are the columns of NDPI_FIELDS, kept once for all flows of which it found out the same.
//
// What is shown: whole, unfragmented IP packets. Later fragments have no ports and nDPI refuses cut packets, so neither
// counts against the budget (but patience ends). nDPI's state of a flow is freed as soon as its findings are there; a flow
// that ends before that gets nDPI's last word. The order of calls is ndpiReader's, so the applications are, too.
//
// No object is made for a flow: what is kept of it lies in columns, by its slot.
import { NfstreamError } from '../errors.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import {
  loadNdpi,
  NDPI_COMPLETE,
  NDPI_EXHAUSTED,
  NDPI_RESULT_FIELDS,
  NDPI_UNKNOWN,
  type NdpiAddon,
  type NdpiDetector,
} from '../native/ndpi.ts';
import { KEY_DST, KEY_META, KEY_PORTS } from '../packet/packet-columns.ts';
import { NdpiNames } from './ndpi-names.ts';

export interface NdpiOptions {
  /** Packets of a flow shown to nDPI at most; 0 leaves it to guess from addresses and ports. */
  dissections?: number;
}

/** Instead of a handle of the addon, plus 1. Nothing was shown yet: nDPI has no state of the flow. */
const UNOPENED = 0;
const DONE = -1;
/** A flow whose packets are cut, but for a few, is given up after this many times the packet budget. */
const PATIENCE = 8;
const IPV4 = 4;

/** Findings kept for the flows to come, and characters in their texts: beyond that all are forgotten, and gather anew. */
const MAX_FINDINGS = 4096;
const MAX_CHARACTERS = 4_194_304;

export class NdpiFlows {
  readonly #addon: NdpiAddon;
  readonly #dissections: number;
  #detector: NdpiDetector | undefined;
  #names: NdpiNames | undefined;
  /** By slot: the addon's handle plus 1, UNOPENED or DONE. */
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

  /** A flow began in `slot`, one of `slots`; what another one left there is freed. */
  begin(slot: number, slots: number): void {
    if (slot >= this.#handles.length) {
      this.#handles = longer(this.#handles, slots);
      this.#counts = longer(this.#counts, slots * 2);
    }
    if (this.#handles[slot] > 0) this.#detector?.free(this.#handles[slot] - 1);
    this.#handles[slot] = UNOPENED;
    this.#counts[slot * 2] = 0;
    this.#counts[slot * 2 + 1] = 0;
  }

  /** Whether nDPI is through with the flow. */
  isDone(slot: number): boolean {
    return this.#handles[slot] === DONE;
  }

  /** Shows the IP packet at `bytes[at]` to `bytes[end - 1]` of a flow that is not done. Returns whether it is now. */
  show(slot: number, bytes: Uint8Array, at: number, end: number, timeMs: number): boolean {
    const detector = this.#detector as NdpiDetector;
    if (this.#handles[slot] === UNOPENED) this.#handles[slot] = detector.open() + 1;
    const handle = this.#handles[slot] - 1;
    const state = detector.process(handle, bytes, at, end, timeMs);
    const shown = ++this.#counts[slot * 2];
    if (state < NDPI_COMPLETE && shown < this.#dissections) return false;
    if (state === NDPI_UNKNOWN || state === NDPI_EXHAUSTED) detector.giveUp(handle);
    this.#settle(slot, handle);
    return true;
  }

  /** The same for a packet that can not be shown; `key[at]` begins the flow's key. */
  pass(slot: number, key: Int32Array, at: number): boolean {
    if (++this.#counts[slot * 2 + 1] < this.#dissections * PATIENCE) return false;
    this.end(slot, key, at);
    return true;
  }

  /** nDPI's last word on a flow that is not done; `key[at]` begins its key. */
  end(slot: number, key: Int32Array, at: number): void {
    const detector = this.#detector as NdpiDetector;
    let handle = this.#handles[slot] - 1;
    if (this.#handles[slot] === UNOPENED) {
      handle = detector.open();
      const meta = key[at + KEY_META];
      const isV4 = ((meta >> 8) & 0xff) === IPV4;
      const src = isV4 ? key[at] >>> 0 : 0;
      const dst = isV4 ? key[at + KEY_DST] >>> 0 : 0;
      const ports = key[at + KEY_PORTS];
      detector.guess(handle, meta & 0xff, src, ports >>> 16, dst, ports & 0xffff);
    } else detector.giveUp(handle);
    this.#settle(slot, handle);
  }

  /** What nDPI found out about a flow that is done. */
  findings(slot: number): Findings | undefined {
    return this.#findings[slot];
  }

  /** No more calls: frees everything. */
  exit(): void {
    this.#detector?.close();
  }

  #settle(slot: number, handle: number): void {
    const detector = this.#detector as NdpiDetector;
    const number = detector.resultOf(handle);
    detector.free(handle);
    this.#handles[slot] = DONE;
    this.#findings[slot] = this.#known[number] ?? this.#learn(number);
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
