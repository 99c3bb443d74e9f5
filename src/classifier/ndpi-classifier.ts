// nDPI as a classifier like any other: shows the packets of a flow to the addon until nDPI knows enough, or until
// `dissections` packets were shown, then writes the columns of NDPI_FIELDS into `flow.metrics`.
//
// What is shown: whole, unfragmented IP packets. Later fragments have no ports and nDPI refuses cut packets, so neither
// counts against the budget (but patience ends). nDPI's state of a flow is freed at the same moment as its columns are written; a flow that
// ends before that gets nDPI's last word. The order of calls is ndpiReader's, so the applications are, too.
import { NfstreamError } from '../errors.ts';
import type { NdpiMetrics } from '../flow/fields/ndpi.ts';
import type { Flow } from '../flow/flow.ts';
import {
  loadNdpi,
  NDPI_COMPLETE,
  NDPI_EXHAUSTED,
  NDPI_RESULT_FIELDS,
  NDPI_UNKNOWN,
  type NdpiAddon,
  type NdpiDetector,
} from '../native/ndpi.ts';
import { NFStreamClassifier } from './classifier.ts';
import { NdpiNames } from './ndpi-names.ts';
import type { Packet } from './packet.ts';

export interface NdpiOptions {
  /** Packets of a flow shown to nDPI at most; 0 leaves it to guess from addresses and ports. */
  dissections?: number;
}

/** `flow.classifiers.ndpi`: what is kept for a flow while nDPI looks at it. */
interface Dissection {
  /** The addon's handle, or DONE. */
  handle: number;
  /** Packets shown so far. */
  shown: number;
  /** Packets that could not be shown. */
  passed: number;
}

/** Nothing was shown yet: nDPI has no state of the flow. */
const UNOPENED = -2;
const DONE = -1;
/** A flow whose packets are cut, but for a few, is given up after this many times the packet budget. */
const PATIENCE = 8;
const IPV4 = 4;

export class NdpiClassifier extends NFStreamClassifier {
  readonly #addon: NdpiAddon;
  readonly #dissections: number;
  #detector: NdpiDetector | undefined;
  #names: NdpiNames | undefined;

  /** @throws NfstreamError NDPI_UNAVAILABLE when the addon does not load; nDPI itself is started with the run. */
  constructor(options: NdpiOptions = {}) {
    super('ndpi');
    const loaded = loadNdpi();
    if (!loaded.ok) throw new NfstreamError('NDPI_UNAVAILABLE', `nDPI was asked for, but ${loaded.message}`);
    this.#addon = loaded.addon;
    if (loaded.addon.resultFields.join() !== NDPI_RESULT_FIELDS.join()) {
      throw new NfstreamError('NDPI_UNAVAILABLE', `${loaded.path} is of another version: its result has other fields`);
    }
    this.#dissections = options.dissections ?? 20;
  }

  override onStart(): void {
    let detector: NdpiDetector;
    try {
      detector = this.#addon.createDetector();
    } catch (cause) {
      throw new NfstreamError('NDPI_UNAVAILABLE', `nDPI does not start: ${String(cause)}`, { cause });
    }
    this.#detector = detector;
    this.#names = new NdpiNames(this.#addon, detector);
  }

  override onFlowInit(flow: Flow): void {
    flow.classifiers[this.name] = { handle: UNOPENED, shown: 0, passed: 0 } satisfies Dissection;
  }

  override onFlowUpdate(packet: Packet, flow: Flow): boolean {
    const dissection = this.#dissection(flow);
    if (dissection.handle === DONE) return true;
    if (this.#dissections === 0) {
      this.#finish(flow, dissection);
      return true;
    }
    const at = packet.ipAt;
    const end = packet.ipEnd;
    if (packet.isLaterFragment || end - at < packet.ipSize) {
      dissection.passed++;
      if (dissection.passed < this.#dissections * PATIENCE) return false;
      this.#finish(flow, dissection);
      return true;
    }
    if (dissection.handle === UNOPENED) dissection.handle = this.#detector!.open();
    const state = this.#detector!.process(dissection.handle, packet.bytes, at, end, packet.timestamp);
    dissection.shown++;
    if (state < NDPI_COMPLETE && dissection.shown < this.#dissections) return false;
    if (state === NDPI_UNKNOWN || state === NDPI_EXHAUSTED) this.#detector!.giveUp(dissection.handle);
    this.#write(flow, dissection);
    return true;
  }

  override onFlowTerminate(flow: Flow): void {
    const dissection = this.#dissection(flow);
    if (dissection.handle !== DONE) this.#finish(flow, dissection);
  }

  override onExit(): void {
    this.#detector?.close();
  }

  #dissection(flow: Flow): Dissection {
    return flow.classifiers[this.name] as unknown as Dissection;
  }

  /** nDPI's last word on a flow that it had not finished with. */
  #finish(flow: Flow, dissection: Dissection): void {
    const detector = this.#detector!;
    if (dissection.shown > 0) {
      detector.giveUp(dissection.handle);
    } else {
      dissection.handle = detector.open();
      const isV4 = flow.ip_version === IPV4;
      const src = isV4 ? ipv4Number(flow.ip_src) : 0;
      const dst = isV4 ? ipv4Number(flow.ip_dst) : 0;
      detector.guess(dissection.handle, flow.ip_protocol, src, flow.src_port, dst, flow.dst_port);
    }
    this.#write(flow, dissection);
  }

  #write(flow: Flow, dissection: Dissection): void {
    const { handle } = dissection;
    dissection.handle = DONE;
    this.#names!.write(this.#detector!.result(handle), flow.metrics as NdpiMetrics);
    this.#detector!.free(handle);
  }
}

/** `1.2.3.4` as an unsigned number. */
function ipv4Number(text: string): number {
  return text.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
