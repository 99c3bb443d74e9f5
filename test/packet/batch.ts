// Test support: frames to batches, rows to readable objects.

import type { Kernel } from '../../src/kernel/kernel.ts';
import type { PacketColumns } from '../../src/packet/packet-columns.ts';
import { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL, KEY_WORDS, SKIP_REASONS } from '../../src/packet/packet-columns.ts';
import type { DecoderOptions } from '../../src/packet/packet-decoder.ts';
import { PacketDecoder } from '../../src/packet/packet-decoder.ts';
import { PacketBatch } from '../../src/source/source.ts';

export interface Frame {
  bytes: Uint8Array;
  /** Bytes on the wire; the captured length when left out. */
  wireLength?: number;
  timeMs?: number;
  /** Ethernet when left out. */
  linkType?: number;
}

/** A decoded row with addresses as text and offsets relative to the frame. Means nothing unless metered. */
export interface Row {
  status: string;
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
  protocol: number;
  version: number;
  vlan: number;
  tunnel: number;
  tunnelId: number;
  tcpFlags: number;
  isLaterFragment: boolean;
  ipAt: number;
  ipSize: number;
  transportAt: number;
  payloadAt: number;
  ipEnd: number;
}

export const DEFAULT_OPTIONS: DecoderOptions = { decodeTunnels: true, fragments: 'assign', snaplen: 65535 };

/** Bytes around each frame that no decoder may look at; they look like the middle of an IPv4 packet. */
const GUARD_BYTES = 32;

/** With a kernel: in its columns and its memory, as many as there is room for. */
export function makeBatch(frames: readonly Frame[], kernel?: Kernel): PacketBatch {
  const batch = new PacketBatch(frames.length, kernel);
  const total = frames.reduce((sum, frame) => sum + frame.bytes.length + GUARD_BYTES, GUARD_BYTES);
  const bytes = (kernel?.takeSlab(total) ?? new Uint8Array(total)).fill(0x45);
  kernel?.giveBack(bytes);
  let at = GUARD_BYTES;
  for (const [row, frame] of frames.entries()) {
    bytes.set(frame.bytes, at);
    batch.frameAt[row] = at;
    batch.capturedLength[row] = frame.bytes.length;
    batch.wireLength[row] = frame.wireLength ?? frame.bytes.length;
    batch.timeMs[row] = frame.timeMs ?? 0;
    batch.linkType[row] = frame.linkType ?? 1;
    at += frame.bytes.length + GUARD_BYTES;
  }
  batch.bytes = bytes;
  batch.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  batch.count = frames.length;
  return batch;
}

export function decodeFrames(frames: readonly Frame[], options: Partial<DecoderOptions> = {}): Row[] {
  const decoder = new PacketDecoder({ ...DEFAULT_OPTIONS, ...options }, frames.length);
  const batch = makeBatch(frames);
  decoder.decode(batch);
  return frames.map((_, row) => readRow(decoder.columns, batch, row));
}

export function decodeFrame(bytes: Uint8Array, frame: Partial<Frame> = {}, options: Partial<DecoderOptions> = {}): Row {
  return decodeFrames([{ ...frame, bytes }], options)[0];
}

export function readRow(columns: PacketColumns, batch: PacketBatch, row: number): Row {
  const keyAt = row * KEY_WORDS;
  const frameAt = batch.frameAt[row];
  const ports = columns.key[keyAt + KEY_PORTS];
  const meta = columns.key[keyAt + KEY_META];
  const tunnel = columns.key[keyAt + KEY_TUNNEL];
  const version = (meta >> 8) & 0xff;
  return {
    status: SKIP_REASONS[columns.status[row]],
    src: addressText(columns.key, keyAt, version),
    dst: addressText(columns.key, keyAt + KEY_DST, version),
    srcPort: ports >>> 16,
    dstPort: ports & 0xffff,
    protocol: meta & 0xff,
    version,
    vlan: meta >>> 16,
    tunnel: tunnel >>> 24,
    tunnelId: tunnel & 0xffffff,
    tcpFlags: columns.tcpFlags[row],
    isLaterFragment: columns.isLaterFragment[row] === 1,
    ipAt: columns.ipAt[row] - frameAt,
    ipSize: columns.ipSize[row],
    transportAt: columns.transportAt[row] - frameAt,
    payloadAt: columns.payloadAt[row] - frameAt,
    ipEnd: columns.ipEnd[row] - frameAt,
  };
}

/** IPv4 dotted, IPv6 as RFC 5952 has it (the URL parser writes it so). */
function addressText(key: Int32Array, at: number, version: number): string {
  if (version !== 6) return [24, 16, 8, 0].map((shift) => (key[at] >>> shift) & 0xff).join('.');
  const groups: string[] = [];
  for (let word = 0; word < 4; word++) {
    groups.push((key[at + word] >>> 16).toString(16), (key[at + word] & 0xffff).toString(16));
  }
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
