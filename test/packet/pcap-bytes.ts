// Test support: pcap files from frames, and the frames of what tcpdump writes. Times are whole microseconds.
import type { Frame } from './batch.ts';

const HEADER_BYTES = 24;
const RECORD_BYTES = 16;

/** All frames have the link type of the first. */
export function pcapFile(frames: readonly Frame[], bigEndian = false): Uint8Array {
  const size = frames.reduce((sum, frame) => sum + RECORD_BYTES + frame.bytes.length, HEADER_BYTES);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: number) => view.setUint32(at, value, !bigEndian);
  put(0, 0xa1b2c3d4);
  view.setUint16(4, 2, !bigEndian);
  view.setUint16(6, 4, !bigEndian);
  put(16, 262144);
  put(20, frames[0].linkType ?? 1);
  let at = HEADER_BYTES;
  for (const frame of frames) {
    const micros = Math.round((frame.timeMs ?? 0) * 1000);
    put(at, Math.floor(micros / 1e6));
    put(at + 4, micros % 1e6);
    put(at + 8, frame.bytes.length);
    put(at + 12, frame.wireLength ?? frame.bytes.length);
    bytes.set(frame.bytes, at + RECORD_BYTES);
    at += RECORD_BYTES + frame.bytes.length;
  }
  return bytes;
}

/** The frames of a pcap file in either byte order; of one written with `-w -`, which may lack its last bytes. */
export function readPcapBytes(bytes: Uint8Array): Frame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = view.getUint32(0) === 0xd4c3b2a1;
  const get = (at: number) => view.getUint32(at, isLittle);
  const frames: Frame[] = [];
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES + get(at + 8)) {
    frames.push({
      bytes: bytes.subarray(at + RECORD_BYTES, at + RECORD_BYTES + get(at + 8)),
      wireLength: get(at + 12),
      timeMs: get(at) * 1000 + get(at + 4) / 1000,
      linkType: get(20) & 0xffff,
    });
  }
  return frames;
}
