// Which process a flow belongs to, as a classifier like any other: looks at the first packet of a flow, and a few times
// more at those that it has not understood yet; writes the columns of PROCESS_FIELDS into `flow.metrics`.
//
//   first packet -> socket of the connection -> its inode -> the process that holds it        (found: seen again once)
//                   else the listener's inode -> the process that listens                     (until its own is found)
//
// It never waits, and never works for more than a tenth of the time: what there is no time for is looked at later, or
// stays unknown. Packets after a flow's first are not asked for.

import type { ProcessMetrics } from '../flow/fields/process.ts';
import type { Flow } from '../flow/flow.ts';
import { LocalAddresses } from '../system/local-addresses.ts';
import { loadSocketDiag, openSocketDiag } from '../system/open-socket-diag.ts';
import {
  askForListener,
  encodeQuestion,
  NO_SOCKET,
  QUESTION_BYTES,
  REQUEST_AT,
  type SocketDiag,
  type SocketDiagAddon,
  setInterface,
  TCP,
  TCP_LISTEN,
  TCP_TIME_WAIT,
  UDP,
} from '../system/socket-diag.ts';
import { SocketHolders } from '../system/socket-holders.ts';
import { NFStreamClassifier } from './classifier.ts';
import type { Packet } from './packet.ts';
import { Revisits } from './revisits.ts';
import { WorkBudget } from './work-budget.ts';

/** A flow that will be looked at again: `flow.classifiers.process`. */
interface Inquiry {
  /** Undefined once the flow has ended. */
  flow: Flow | undefined;
  /** The question from REQUEST_AT on: short enough for V8 to keep it without memory of its own. */
  readonly request: Uint8Array;
  /** Interfaces that have the local address. */
  readonly interfaces: readonly number[];
  /** Its own socket and the one that listens for it, as last seen; 0 for none. */
  own: number;
  listener: number;
  /** Whether the flow's columns tell the process of its own socket. */
  isFound: boolean;
  /** The last of the later looks that is worth its time; -1 for none. */
  lastStage: number;
  /** Whether a look is outstanding. */
  isOpen: boolean;
}

/** A flow is looked at again this long after the look before. */
const DELAYS_MS = [100, 500, 2000];
/** Where the process was found at once, this look sees whether the socket was handed over to another. */
const CONFIRMING = 1;
/** Flows that wait for a look at most; further ones are looked at once. */
const WAITING_MAX = 1 << 15;
/** Time for one search among the processes. */
const SEARCH_MS = 4;
/** Time for a look at all processes before the first packet. */
const SURVEY_MS = 200;
const TICK_MS = 100;

const NO_BYTES: Uint8Array = new Uint8Array(0);
const IPV4 = 4;

export class ProcessClassifier extends NFStreamClassifier {
  readonly #addon: SocketDiagAddon;
  readonly #addresses = new LocalAddresses();
  readonly #holders = new SocketHolders();
  readonly #budget = new WorkBudget();
  readonly #question = new Uint8Array(QUESTION_BYTES);
  readonly #found = { state: NO_SOCKET, inode: 0 };
  /** Where a packet's addresses are told to encodeQuestion. */
  readonly #where = { bytes: NO_BYTES, localAt: 0, remoteAt: 0, length: 0 };
  readonly #revisits = new Revisits<Inquiry>(DELAYS_MS, WAITING_MAX);
  /** Inquiries whose socket is known but not who holds it: they are settled after the next search. */
  #searching: Inquiry[] = [];
  #diag: SocketDiag | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #hasWarned = false;

  /** @throws NfstreamError SYSTEM_UNAVAILABLE on systems other than Linux, and where the kernel has no sock_diag. */
  constructor() {
    super('process');
    this.#addon = loadSocketDiag();
    openSocketDiag(this.#addon).close();
  }

  override onStart(): void {
    // In the thread, and so in the network namespace, that meters.
    this.#diag = openSocketDiag(this.#addon);
    this.#holders.survey(performance.now() + SURVEY_MS);
  }

  override onFlowInit(flow: Flow): void {
    const metrics = flow.metrics as ProcessMetrics;
    metrics.process_id = null;
    metrics.process_name = null;
  }

  override onFlowUpdate(packet: Packet, flow: Flow): boolean {
    const { ip_protocol: protocol } = flow;
    if (protocol !== TCP && protocol !== UDP) return true;
    const nowMs = performance.now();
    let interfaces = this.#addresses.interfacesOf(flow.ip_src, nowMs);
    const isSrc = interfaces !== undefined;
    interfaces ??= this.#addresses.interfacesOf(flow.ip_dst, nowMs);
    if (interfaces === undefined) return true;
    this.#encode(packet, flow, isSrc);
    const inquiry: Inquiry = {
      flow,
      request: this.#question.slice(REQUEST_AT),
      interfaces,
      own: 0,
      listener: 0,
      isFound: false,
      lastStage: DELAYS_MS.length - 1,
      isOpen: true,
    };
    flow.classifiers[this.name] = inquiry as unknown as Record<string, unknown>;
    this.#look(inquiry, nowMs, 0);
    return true;
  }

  override onBatch(): void {
    if (this.#searching.length === 0 && this.#dueMs === Number.POSITIVE_INFINITY) return;
    const nowMs = performance.now();
    if (this.#searching.length > 0) this.#search(nowMs);
    // Packets may come so fast that no timer gets its turn.
    if (nowMs >= this.#dueMs) this.#tick();
  }

  override onFlowTerminate(flow: Flow): void {
    const inquiry = flow.classifiers[this.name] as unknown as Inquiry;
    if (inquiry.flow === undefined) return;
    if (inquiry.isOpen && !inquiry.isFound && this.#budget.allows(performance.now())) {
      const nowMs = performance.now();
      this.#answer(inquiry, nowMs);
      if (this.#isSearched(inquiry)) {
        this.#holders.search(nowMs + SEARCH_MS);
        this.#write(inquiry, performance.now());
      }
      this.#budget.spend(performance.now() - nowMs);
    }
    inquiry.flow = undefined;
  }

  override onExit(): void {
    clearTimeout(this.#timer);
    this.#diag?.close();
    this.#diag = undefined;
  }

  /** Writes the question for a flow's first packet, which comes from its source. */
  #encode(packet: Packet, flow: Flow, isSrc: boolean): void {
    const where = this.#where;
    const isV4 = flow.ip_version === IPV4;
    // RFC 791, RFC 8200: where the addresses lie in the header.
    const srcAt = packet.ipAt + (isV4 ? 12 : 8);
    const dstAt = packet.ipAt + (isV4 ? 16 : 24);
    where.bytes = packet.bytes;
    where.length = isV4 ? 4 : 16;
    where.localAt = isSrc ? srcAt : dstAt;
    where.remoteAt = isSrc ? dstAt : srcAt;
    const { src_port, dst_port, ip_protocol } = flow;
    encodeQuestion(this.#question, ip_protocol, where, isSrc ? src_port : dst_port, isSrc ? dst_port : src_port);
    where.bytes = NO_BYTES;
  }

  /** Looks at a flow, and decides when to look again, `stage` being the next look. */
  #look(inquiry: Inquiry, nowMs: number, stage: number): void {
    if (this.#budget.allows(nowMs)) {
      this.#answer(inquiry, nowMs);
      if (this.#isSearched(inquiry)) this.#searching.push(inquiry);
      this.#budget.spend(performance.now() - nowMs);
    }
    const next = inquiry.isFound ? Math.max(stage, CONFIRMING) : stage;
    inquiry.isOpen = next <= (inquiry.isFound ? CONFIRMING : inquiry.lastStage);
    if (!inquiry.isOpen || !this.#revisits.add(inquiry, next, nowMs)) return;
    if (this.#dueMs === Number.POSITIVE_INFINITY) this.#schedule(nowMs);
  }

  #schedule(nowMs: number): void {
    clearTimeout(this.#timer);
    this.#dueMs = nowMs + TICK_MS;
    this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref();
  }

  /** The flows whose next look is due. */
  #tick(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (this.#diag === undefined) return;
    const nowMs = performance.now();
    // New flows go first.
    while (this.#budget.allows(performance.now(), 1 / 2)) {
      const inquiry = this.#revisits.takeDue(nowMs);
      if (inquiry === undefined) break;
      if (inquiry.flow !== undefined) this.#look(inquiry, performance.now(), this.#revisits.stage + 1);
    }
    this.#search(performance.now());
    if (this.#revisits.size > 0 || this.#searching.length > 0) this.#schedule(performance.now());
  }

  #search(nowMs: number): void {
    if (this.#searching.length === 0 || !this.#budget.allows(nowMs)) return;
    this.#holders.search(nowMs + SEARCH_MS);
    const endMs = performance.now();
    this.#budget.spend(endMs - nowMs);
    this.#searching = this.#searching.filter((inquiry) => {
      if (inquiry.flow === undefined) return false;
      this.#write(inquiry, endMs);
      return this.#isSearched(inquiry);
    });
    if (this.#searching.length > 0 && this.#dueMs === Number.POSITIVE_INFINITY) this.#schedule(endMs);
    if (this.#holders.isDenied && !this.#hasWarned) this.#warn();
  }

  /** Asks the kernel for the flow's socket, and writes down who holds it if that is known. */
  #answer(inquiry: Inquiry, nowMs: number): void {
    const question = this.#question;
    const found = this.#found;
    question.set(inquiry.request, REQUEST_AT);
    this.#ask(inquiry.interfaces);
    const isTcp = inquiry.flow?.ip_protocol === TCP;
    const isListener = isTcp && found.state === TCP_LISTEN;
    const isOwn = found.inode > 0 && !isListener;
    inquiry.lastStage = DELAYS_MS.length - 1;
    if (isTcp && found.state === TCP_TIME_WAIT) inquiry.lastStage = -1;
    else if (isListener || found.state === NO_SOCKET) inquiry.lastStage = 0;
    // What is known of a flow whose socket is gone stands.
    if (inquiry.isFound && !isOwn) return;
    // Another socket after the flow's own has closed has only taken over its port.
    if (inquiry.isFound && found.inode !== inquiry.own && this.#holders.find(inquiry.own, nowMs) === undefined) return;
    if (isListener) inquiry.listener = found.inode;
    if (isOwn) inquiry.own = found.inode;
    if (this.#write(inquiry, nowMs) && inquiry.isFound) return;
    // Not accepted yet, closed, or held by nobody known: then whoever listens is the best guess.
    if (isTcp && !isListener && found.state !== NO_SOCKET) {
      askForListener(question);
      this.#ask(inquiry.interfaces);
      inquiry.listener = found.inode;
      this.#write(inquiry, nowMs);
    }
    const { own, listener } = inquiry;
    if (isOwn) this.#holders.want(own, nowMs);
    if (listener > 0 && this.#holders.find(listener, nowMs) === undefined) this.#holders.want(listener, nowMs);
  }

  /** With each interface that has the local address, until a socket is found. */
  #ask(interfaces: readonly number[]): void {
    for (const index of interfaces) {
      setInterface(this.#question, index);
      if (this.#diag?.ask(this.#question, this.#found) === 0) return;
    }
  }

  /** Who holds the flow's own socket, else who listens, if either is known. */
  #write(inquiry: Inquiry, nowMs: number): boolean {
    const { flow, own, listener } = inquiry;
    let holder = own > 0 ? this.#holders.find(own, nowMs) : undefined;
    const isOwn = holder !== undefined;
    if (!isOwn && !inquiry.isFound && listener > 0) holder = this.#holders.find(listener, nowMs);
    if (holder === undefined || flow === undefined) return false;
    inquiry.isFound ||= isOwn;
    const metrics = flow.metrics as ProcessMetrics;
    metrics.process_id = holder.pid;
    metrics.process_name = holder.name;
    return true;
  }

  #isSearched(inquiry: Inquiry): boolean {
    return this.#holders.isWanted(inquiry.own) || this.#holders.isWanted(inquiry.listener);
  }

  #warn(): void {
    this.#hasWarned = true;
    process.emitWarning(
      `${this.#holders.deniedCount} processes can't be looked into, for want of rights: their flows have no process_id. ` +
        'Run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.',
      { type: 'NfstreamWarning', code: 'NFSTREAM_PROCESS_DENIED' },
    );
  }
}
