// Kinds that change no counter, only what a column says, in rows of all columns: what NFStream makes of a capture is
// written down beside what we make of it.
import { describe, expect, it } from 'vitest';
import type { Row } from '../../conformance/compare.mjs';
import { type Frame, writeCapture } from '../../conformance/frames.mjs';
import * as encode from '../packet/encode.ts';
import { frame, report, rowsOf, SECOND, verdict } from './made.ts';

const DNS = encode.ipv4({ protocol: 17 }, encode.udp({ srcPort: 1000, dstPort: 2000 }, encode.u8(1, 2, 3, 4)));
const SNAP = encode.llcSnap({ etherType: 0x0800 }, DNS);
const QOS = 8;
const FROM_DS = 2;
const MACS = ['src_mac', 'src_oui', 'dst_mac', 'dst_oui'];

const capture = (...packets: ArrayLike<number>[]) => writeCapture(packets.map((bytes) => frame(SECOND, bytes)));
const overUdp = (dstPort: number, payload: Uint8Array, srcPort = 9) =>
  encode.ethernetIp(encode.ipv4({ protocol: 17 }, encode.udp({ srcPort, dstPort }, payload)));

/** Our rows of a capture, changed. */
async function changed(bytes: Uint8Array, change: Row): Promise<Row[]> {
  return (await rowsOf(bytes)).map((row) => ({ ...row, ...change }));
}

describe('ip_in_ip', () => {
  const inside = capture(encode.ethernetIp(encode.ipv4({ protocol: 4 }, DNS)));

  it('is a tunnel without a number to NFStream', async () => {
    const expected = await changed(inside, { tunnel_id: 0 });
    expect(await verdict(inside, expected)).toEqual({ kinds: ['ip_in_ip'], unexplained: 0 });
    const inTwo = capture(encode.ethernetIp(encode.ipv6({ nextHeader: 4 }, encode.ipv4({ protocol: 4 }, DNS))));
    expect(await verdict(inTwo, await changed(inTwo, { tunnel_id: 0 }))).toEqual({
      kinds: ['ip_in_ip'],
      unexplained: 0,
    });
  });

  it('is lost where there is no IP inside', async () => {
    const none = capture(encode.ethernetIp(encode.ipv4({ protocol: 4 }, new Uint8Array(40))));
    expect(await verdict(none, [])).toEqual({ kinds: ['ip_in_ip'], unexplained: 0 });
  });

  it('explains no other number', async () => {
    for (const tunnel_id of [1, 6]) {
      expect(await verdict(inside, await changed(inside, { tunnel_id }))).toEqual({ kinds: [''], unexplained: 1 });
    }
    const plain = capture(encode.ethernetIp(DNS));
    expect(await verdict(plain, await changed(plain, { tunnel_id: 7 }))).toEqual({ kinds: [''], unexplained: 1 });
  });
});

describe('mac_80211', () => {
  // Addresses 1 to 3 of the encoder are 02::02, 02::01, 02::02.
  const nfstreams = {
    src_mac: '02:00:00:00:00:01',
    dst_mac: '02:00:00:00:00:02',
    src_oui: '02:00:00',
    dst_oui: '02:00:00',
  };
  const ours = { src_mac: '02:00:00:00:00:02', dst_mac: '02:00:00:00:00:02' };
  const cooked = (flags: number) => encode.radiotap({}, encode.ieee80211({ flags, subtype: QOS }, SNAP));

  it.each([
    ['radiotap', frame(SECOND, cooked(FROM_DS), 127)],
    [
      'CAPWAP',
      frame(SECOND, overUdp(5247, encode.capwap({ isNative: true }, encode.ieee80211({ flags: FROM_DS }, SNAP)))),
    ],
    [
      'CAPWAP, swapped',
      frame(
        SECOND,
        overUdp(5247, encode.capwap({ isNative: true }, encode.ieee80211({ flags: FROM_DS, isSwapped: true }, SNAP))),
      ),
    ],
  ])('is another address for a frame that comes from the distribution system: %s', async (_, made) => {
    const bytes = writeCapture([made as Frame]);
    expect((await rowsOf(bytes))[0]).toMatchObject(ours);
    const { kinds, unexplained, columnKinds } = await report(bytes, await changed(bytes, nfstreams));
    expect({ kinds, unexplained, columnKinds }).toEqual({
      kinds: ['mac_80211'],
      unexplained: [],
      columnKinds: [{ src_mac: 'mac_80211' }],
    });
  });

  it('is the same for one that goes there, and explains no other address', async () => {
    const toDs = writeCapture([frame(SECOND, cooked(1), 127)]);
    expect(await verdict(toDs, await changed(toDs, nfstreams))).toEqual({ kinds: [], unexplained: 0 });
    const fromDs = writeCapture([frame(SECOND, cooked(FROM_DS), 127)]);
    for (const column of MACS) {
      const wrong = { ...nfstreams, [column]: column.endsWith('mac') ? '02:00:00:00:00:09' : '03:00:00' };
      expect((await verdict(fromDs, await changed(fromDs, wrong))).unexplained).toBe(1);
    }
  });
});

describe('tunnel_port', () => {
  const gtp = encode.gtpU({}, DNS);

  /** The row of the packet inside, with the size of the whole. */
  async function rowsInside(tunnel_id: number, around: Uint8Array): Promise<Row[]> {
    const size = around.length;
    const sizes = Object.fromEntries(
      ['bidirectional', 'src2dst'].flatMap((way) =>
        [`${way}_bytes`, `${way}_min_ps`, `${way}_mean_ps`, `${way}_max_ps`].map((column) => [column, size]),
      ),
    );
    const splt_ps = [size, ...new Array(9).fill(-1)];
    return await changed(capture(encode.ethernetIp(DNS)), { ...sizes, splt_ps, tunnel_id });
  }

  it('numbers what only comes from the port, with all other columns of the packet inside', async () => {
    const around = overUdp(53, gtp, 2152);
    expect(await verdict(capture(around), await rowsInside(1, around))).toEqual({
      kinds: ['tunnel_port'],
      unexplained: 0,
    });
    expect((await verdict(capture(around), await rowsInside(2, around))).unexplained).toBeGreaterThan(0);
    const sniffed = overUdp(53, encode.tzsp({}, encode.ethernetIp(DNS)), 37008);
    expect(await verdict(capture(sniffed), await rowsInside(3, sniffed))).toEqual({
      kinds: ['tunnel_port'],
      unexplained: 0,
    });
  });

  it('numbers what is no TZSP all the same', async () => {
    const other = capture(overUdp(37008, encode.u8(9, 9, 9, 9, 9)));
    expect(await verdict(other, await changed(other, { tunnel_id: 3 }))).toEqual({
      kinds: ['tunnel_port'],
      unexplained: 0,
    });
    expect((await verdict(other, await changed(other, { tunnel_id: 1 }))).unexplained).toBe(1);
  });

  it('loses a tunnel without IP inside', async () => {
    const payload = new Uint8Array(40);
    expect(await verdict(capture(overUdp(2152, encode.gtpU({}, payload))), [])).toEqual({
      kinds: ['tunnel_port'],
      unexplained: 0,
    });
    const keepAlive = encode.capwap({ isKeepAlive: true }, payload);
    expect(await verdict(capture(overUdp(5247, keepAlive)), [])).toEqual({ kinds: ['tunnel_port'], unexplained: 0 });
  });
});

describe('segment_direction', () => {
  const HOUR = 3_600_000;
  const there = encode.ethernetIp(DNS);
  const answer = encode.ipv4(
    { protocol: 17, src: '10.0.0.2', dst: '10.0.0.1' },
    encode.udp({ srcPort: 2000, dstPort: 1000 }),
  );
  const back = encode.concat(there.slice(6, 12), there.slice(0, 6), encode.u16(0x800), answer);
  /** 1800 s of packets to one side, then packets both ways. */
  const first = Array.from({ length: 18 }, (_, i) => frame(HOUR + i * 100 * SECOND, there));
  const second = [back, there, back].map((bytes, i) => frame(HOUR + (1800 + i) * SECOND, bytes));

  it('is that of the first packet after an active timeout', async () => {
    const whole = writeCapture([...first, ...second]);
    const [before] = await rowsOf(writeCapture(first));
    const [after] = await rowsOf(writeCapture(second));
    const ours = (await rowsOf(whole))[1];
    expect(ours).toMatchObject({ src_ip: '10.0.0.1', src2dst_packets: 1, dst2src_packets: 2 });
    expect(after).toMatchObject({ src_ip: '10.0.0.2', src2dst_packets: 2, dst2src_packets: 1 });
    const expected = [{ ...before, expiration_id: 1 }, after] as Row[];
    expect(await verdict(whole, expected)).toEqual({ kinds: ['segment_direction'], unexplained: 0 });
  });

  it('does not explain a flow turned around without a reason', async () => {
    const both = writeCapture(second);
    const again = writeCapture([back, there].map((bytes, i) => frame((1801 + i) * SECOND, bytes)));
    expect((await verdict(both, await rowsOf(again))).unexplained).toBeGreaterThan(0);
    const turned = await changed(both, { src_ip: '10.0.0.1', src_port: 1000, dst_ip: '10.0.0.2', dst_port: 2000 });
    expect(await verdict(both, turned)).toEqual({ kinds: [''], unexplained: 1 });
  });
});
