import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  loadNdpi,
  NDPI_COMPLETE,
  NDPI_EXHAUSTED,
  NDPI_MORE_WANTED,
  NDPI_RESULT_FIELDS,
  NDPI_UNKNOWN,
  type NdpiAddon,
  type NdpiDetector,
} from '../../src/native/ndpi.ts';

const loaded = loadNdpi();
const packet = (...hex: string[]) => new Uint8Array(Buffer.from(hex.join(''), 'hex'));

// IPv4 and UDP headers, then a DNS question for www.google.com, type A, as RFC 1035 section 4 has it.
const DNS_QUERY = packet(
  '4500003c00010000401100000a0000010a000002',
  '3039003500280000',
  '123401000001000000000000',
  '0377777706676f6f676c6503636f6d0000010001',
);
const DNS_ANSWER = packet(
  '4500004c00010000401100000a0000020a000001',
  '0035303900380000',
  '123481800001000100000000',
  '0377777706676f6f676c6503636f6d0000010001',
  'c00c000100010000003c0004c0000201',
);
const TCP_SYN = packet('4500002800010000400600000a0000010a000002', '303901bb000000010000000050022000', '00000000');

describe.skipIf(!loaded.ok)(`the ndpi addon${loaded.ok ? '' : ` (skipped: ${loaded.message})`}`, () => {
  const { addon, path } = loaded as { addon: NdpiAddon; path: string };
  let detector: NdpiDetector;
  beforeEach(() => {
    detector = addon.createDetector();
  });
  afterEach(() => {
    detector.close();
  });
  const show = (handle: number, bytes: Uint8Array, timeMs = 0) =>
    detector.process(handle, bytes, 0, bytes.length, timeMs);
  const resultOf = (handle: number) => detector.result(detector.resultOf(handle));
  const field = (handle: number, name: (typeof NDPI_RESULT_FIELDS)[number]) =>
    resultOf(handle)[NDPI_RESULT_FIELDS.indexOf(name)];

  it('tells its versions and its fields', () => {
    expect(addon.headerVersion).toMatch(/^\d+\.\d+\.\d+$/);
    expect(addon.libraryVersion.startsWith(addon.headerVersion.split('.').slice(0, 2).join('.'))).toBe(true);
    expect(addon.resultFields).toEqual(NDPI_RESULT_FIELDS);
  });

  it('detects, wants the answer, and is complete with it', () => {
    const handle = detector.open();
    expect(show(handle, DNS_QUERY)).toBe(NDPI_MORE_WANTED);
    expect(show(handle, DNS_ANSWER)).toBe(NDPI_COMPLETE);
    const result = resultOf(handle);
    expect(detector.protocolName(result[0], result[1])).toBe('DNS.Google');
    expect(detector.categoryName(result[2])).toBe('Web');
    expect(addon.confidenceName(result[3])).toBe('DPI');
    expect(field(handle, 'guessed')).toBe(0);
    expect(field(handle, 'http_dns_server_name')).toBe('www.google.com');
    expect(field(handle, 'tls_client_server_name')).toBeUndefined();
    expect(field(handle, 'dns_query_type')).toBe(1);
  });

  it('reads where it is told to, and leaves the buffer alone', () => {
    const buffer = new Uint8Array(4096).fill(0xee);
    buffer.set(DNS_QUERY, 1001);
    const before = buffer.slice();
    const handle = detector.open();
    expect(detector.process(handle, buffer, 1001, 1001 + DNS_QUERY.length, 1)).toBe(NDPI_MORE_WANTED);
    expect(buffer).toEqual(before);
    buffer.fill(0);
    expect(field(handle, 'http_dns_server_name')).toBe('www.google.com');
  });

  it('gives up with a guess by port', () => {
    const handle = detector.open();
    expect(show(handle, TCP_SYN)).toBe(NDPI_UNKNOWN);
    expect(detector.protocolName(...(resultOf(handle).slice(0, 2) as [number, number]))).toBe('Unknown');
    detector.giveUp(handle);
    const result = resultOf(handle);
    expect(detector.protocolName(result[0], result[1])).toBe('TLS');
    expect(addon.confidenceName(result[3])).toBe('Match by port');
    expect(field(handle, 'guessed')).toBe(1);
  });

  it('guesses from a header alone', () => {
    const handle = detector.open();
    detector.guess(handle, 17, 0x0a000001, 40000, 0x0a000002, 53);
    const result = resultOf(handle);
    expect(detector.protocolName(result[0], result[1])).toBe('DNS');
    expect(field(handle, 'guessed')).toBe(1);
    const nothing = detector.open();
    detector.guess(nothing, 6, 0, 40000, 0, 40001);
    expect(resultOf(nothing).slice(0, 2)).toEqual([0, 0]);
    expect(field(nothing, 'guessed')).toBe(0);
  });

  it('says when nothing more can change', () => {
    const handle = detector.open();
    const noise = packet('4500002000010000401100000a0000010a000002', '9c409c41000c0000', 'deadbeef');
    const states = Array.from({ length: 60 }, (_, i) => show(handle, noise, i));
    expect(states[0]).toBe(NDPI_UNKNOWN);
    expect(states.at(-1)).toBe(NDPI_EXHAUSTED);
  });

  it('keeps flows apart, reuses their memory and tells old handles from new', () => {
    const handles = Array.from({ length: 1000 }, () => detector.open());
    expect(new Set(handles).size).toBe(1000);
    expect(detector.liveCount()).toBe(1000);
    show(handles[500] as number, DNS_QUERY);
    expect(field(handles[499] as number, 'http_dns_server_name')).toBeUndefined();
    expect(field(handles[500] as number, 'http_dns_server_name')).toBe('www.google.com');
    for (const handle of handles) detector.free(handle);
    expect(detector.liveCount()).toBe(0);
    for (const handle of handles) expect(() => resultOf(handle)).toThrow(RangeError);
    const again = detector.open();
    expect(field(again, 'http_dns_server_name')).toBeUndefined();
    expect(handles).not.toContain(again);
  });

  it('gives equal results one number, until they are forgotten', () => {
    const handles = Array.from({ length: 6 }, () => detector.open());
    for (const handle of handles.slice(0, 4)) show(handle, DNS_QUERY);
    for (const handle of handles.slice(0, 2)) show(handle, DNS_ANSWER);
    const numbers = () => handles.map((handle) => detector.resultOf(handle));
    const first = numbers();
    expect(new Set(first)).toEqual(new Set([0, 1]));
    expect(new Set(first.slice(0, 4))).toEqual(new Set([0]));
    const texts = first.map((number) => detector.result(number));
    for (const handle of handles.slice(4)) show(handle, TCP_SYN);
    detector.giveUp(handles[5]);
    expect(numbers().slice(4)).toEqual([1, 2]);
    expect(detector.result(0)).toEqual(texts[0]);
    expect(detector.result(1)).toEqual(texts[4]);
    expect(detector.result(2)).not.toEqual(texts[4]);
    for (const handle of handles) detector.free(handle);
    expect(detector.result(0)).toEqual(texts[0]);

    detector.forgetResults();
    expect(() => detector.result(0)).toThrow(RangeError);
    const again = detector.open();
    expect(detector.resultOf(again)).toBe(0);
    expect(resultOf(again)).toEqual(texts[4]);
  });

  it('ignores a packet of another transport protocol than the flow has', () => {
    const handle = detector.open();
    show(handle, DNS_QUERY);
    expect(show(handle, TCP_SYN)).toBe(NDPI_MORE_WANTED);
    expect(field(handle, 'http_dns_server_name')).toBe('www.google.com');
    expect(show(handle, DNS_ANSWER)).toBe(NDPI_COMPLETE);
  });

  it('refuses what it does not take, with a message that names it', () => {
    const handle = detector.open();
    const bytes = DNS_QUERY;
    const cases: [work: () => unknown, type: typeof Error, message: RegExp][] = [
      [() => detector.process(handle, bytes, 0, bytes.length + 1, 0), RangeError, /for end and received 61/],
      [() => detector.process(handle, bytes, -1, 5, 0), RangeError, /for at and received -1/],
      [() => detector.process(handle, bytes, 6, 5, 0), RangeError, /from 6 to 60 for end and received 5/],
      [() => detector.process(handle, bytes, 0.5, 5, 0), RangeError, /integer .* for at/],
      [() => detector.process(handle, bytes.buffer as never, 0, 5, 0), TypeError, /Uint8Array for bytes/],
      [() => detector.process(handle, [69, 0] as never, 0, 2, 0), TypeError, /Uint8Array for bytes/],
      [() => detector.process(handle, bytes, 0, 5, '1' as never), TypeError, /number for timeMs/],
      [() => detector.process(handle + 1, bytes, 0, 5, 0), RangeError, /live flow for handle/],
      [() => detector.free(NaN), RangeError, /live flow for handle/],
      [() => detector.resultOf('0' as never), TypeError, /number for handle/],
      [() => detector.result(0), RangeError, /number of a result for number and received 0/],
      [() => detector.result(-1), RangeError, /integer .* for number/],
      [() => detector.protocolName(70_000, 0), RangeError, /for master/],
      [() => detector.categoryName(-1), RangeError, /for id/],
      [() => detector.guess(handle, 256, 0, 0, 0, 0), RangeError, /for protocol and received 256/],
      [() => addon.riskName(64), RangeError, /for risk/],
    ];
    for (const [work, type, message] of cases) {
      expect(work).toThrow(type);
      expect(work).toThrow(message);
    }
    detector.free(handle);
    expect(() => detector.free(handle)).toThrow(RangeError);
  });

  it('refuses a detached buffer', () => {
    const bytes = DNS_QUERY.slice();
    const handle = detector.open();
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(() => detector.process(handle, bytes, 0, 60, 0)).toThrow(RangeError);
  });

  it('closes twice, with live flows, and then does nothing any more', () => {
    const handle = detector.open();
    detector.close();
    detector.close();
    expect(() => detector.open()).toThrow(/closed/);
    expect(() => show(handle, DNS_QUERY)).toThrow(expect.objectContaining({ code: 'ERR_NDPI_CLOSED' }));
  });

  it('clamps times that no clock has', () => {
    const handle = detector.open();
    for (const time of [-1, NaN, Infinity, -Infinity, 2 ** 70]) expect(show(handle, DNS_QUERY, time)).toBeLessThan(3);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged(DNS_ANSWER), damaged(TCP_SYN)), { maxLength: 12 }),
        (packets) => {
          const handle = detector.open();
          for (const bytes of packets) expect(show(handle, bytes)).toBeOneOf([0, 1, 2, 3]);
          detector.giveUp(handle);
          expect(resultOf(handle)).toHaveLength(NDPI_RESULT_FIELDS.length);
          detector.free(handle);
        },
      ),
      { numRuns: 2000 },
    );
    expect(detector.liveCount()).toBe(0);
  });

  it('works in several worker threads at once', async () => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      const detector = require(workerData.path).createDetector();
      let complete = 0;
      for (let i = 0; i < 2000; i++) {
        const handle = detector.open();
        for (const bytes of workerData.packets) complete += detector.process(handle, bytes, 0, bytes.length, i) === 2;
        if (i % 2) detector.free(handle);
      }
      parentPort.postMessage([complete, detector.liveCount()]);
      // Neither closed nor freed: the end of the thread does that.
    `;
    const run = () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true, workerData: { path, packets: [DNS_QUERY, DNS_ANSWER] } });
        worker.once('message', resolve).once('error', reject);
      });
    expect(await Promise.all([run(), run(), run()])).toEqual(Array(3).fill([2000, 1000]));
    const handle = detector.open();
    expect(show(handle, DNS_QUERY)).toBe(NDPI_MORE_WANTED);
  });
});

/** A packet with some bytes changed and its end cut off. */
function damaged(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
  return fc.tuple(fc.array(change, { maxLength: 6 }), fc.nat(original.length)).map(([changes, length]) => {
    const bytes = original.slice();
    for (const [at, value] of changes) bytes[at] = value;
    return bytes.subarray(0, length);
  });
}
