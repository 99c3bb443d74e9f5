// A reader for tests only: the packets of an uncompressed pcap or pcapng file as an array, so that the packet stage is
// tested apart from the source stage. No error handling: the files are known to be whole.
import { readFileSync } from 'node:fs';
import type { Frame } from './batch.ts';

export function readCapture(path: string): Frame[] {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(0) === 0x0a0d0d0a ? readPcapng(bytes, view) : readPcap(bytes, view);
}

function readPcap(bytes: Uint8Array, view: DataView): Frame[] {
  const magic = view.getUint32(0);
  const isLittle = magic === 0xd4c3b2a1 || magic === 0x4d3cb2a1;
  const isNanosecond = magic === 0x4d3cb2a1 || magic === 0xa1b23c4d;
  const linkType = view.getUint32(20, isLittle) & 0xffff;
  const frames: Frame[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const captured = view.getUint32(at + 8, isLittle);
    const fraction = view.getUint32(at + 4, isLittle) / (isNanosecond ? 1e6 : 1e3);
    frames.push({
      bytes: bytes.subarray(at + 16, at + 16 + captured),
      wireLength: view.getUint32(at + 12, isLittle),
      timeMs: view.getUint32(at, isLittle) * 1000 + fraction,
      linkType,
    });
    at += 16 + captured;
  }
  return frames;
}

function readPcapng(bytes: Uint8Array, view: DataView): Frame[] {
  const frames: Frame[] = [];
  let isLittle = true;
  let linkTypes: number[] = [];
  let ticksPerMs: number[] = [];
  for (let at = 0; at + 12 <= bytes.length; ) {
    if (view.getUint32(at) === 0x0a0d0d0a) {
      isLittle = view.getUint32(at + 8) === 0x4d3c2b1a;
      linkTypes = [];
      ticksPerMs = [];
    }
    const type = view.getUint32(at, isLittle);
    const size = view.getUint32(at + 4, isLittle);
    if (type === 1) {
      linkTypes.push(view.getUint16(at + 8, isLittle));
      ticksPerMs.push(ticksPerMsOf(view, at + 16, at + size - 4, isLittle));
    } else if (type === 6) {
      const device = view.getUint32(at + 8, isLittle);
      const captured = view.getUint32(at + 20, isLittle);
      const ticks = view.getUint32(at + 12, isLittle) * 2 ** 32 + view.getUint32(at + 16, isLittle);
      frames.push({
        bytes: bytes.subarray(at + 28, at + 28 + captured),
        wireLength: view.getUint32(at + 24, isLittle),
        timeMs: ticks / ticksPerMs[device],
        linkType: linkTypes[device],
      });
    } else if (type === 3) {
      const wireLength = view.getUint32(at + 8, isLittle);
      const captured = Math.min(wireLength, size - 16);
      frames.push({
        bytes: bytes.subarray(at + 12, at + 12 + captured),
        wireLength,
        timeMs: 0,
        linkType: linkTypes[0],
      });
    }
    at += size;
  }
  return frames;
}

function ticksPerMsOf(view: DataView, optionsAt: number, end: number, isLittle: boolean): number {
  for (let at = optionsAt; at + 4 <= end; ) {
    const code = view.getUint16(at, isLittle);
    const length = view.getUint16(at + 2, isLittle);
    if (code === 0) break;
    if (code === 9) {
      const resolution = view.getUint8(at + 4);
      return (resolution & 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution) / 1000;
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return 1000;
}
