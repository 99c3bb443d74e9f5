// Captures of TCP flows to one port of 127.0.0.1, each from another address: a flood of connections, as a server sees it.
const FRAME = 54;
const RECORD = 16 + FRAME;

export class CaptureWriter {
  #flow = 0;
  #isFirst = true;
  #port;

  /** @param {number} port */
  constructor(port) {
    this.#port = port;
  }

  /** `flows` new flows of `packets` packets each, the flows taking turns; the first portion has the file's header. */
  portion(flows, packets) {
    const header = this.#isFirst ? 24 : 0;
    const bytes = new Uint8Array(header + flows * packets * RECORD);
    const view = new DataView(bytes.buffer);
    if (this.#isFirst) {
      [0xa1b2c3d4, 0x00020004, 0, 0, 0xffff, 1].forEach((word, i) => {
        view.setUint32(i * 4, word);
      });
    }
    this.#isFirst = false;
    for (let i = 0, at = header; i < flows * packets; i++, at += RECORD) {
      const flow = this.#flow + (i % flows);
      view.setUint32(at + 8, FRAME);
      view.setUint32(at + 12, FRAME);
      const frame = at + 16;
      bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], frame);
      bytes.set([0x45, 0, 0, FRAME - 14, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 0, 127, 0, 0, 1], frame + 14);
      // 198.18.0.0/15 is for benchmarks (RFC 2544).
      view.setUint16(frame + 28, flow & 0xffff);
      view.setUint16(frame + 34, 1024 + (flow >>> 16));
      view.setUint16(frame + 36, this.#port);
      bytes[frame + 46] = 0x50;
      bytes[frame + 47] = 0x02;
    }
    this.#flow += flows;
    return bytes;
  }
}
