import { describe, expect, it } from 'vitest';
import { TUNNEL_GTP_U, TUNNEL_IP_IN_IP } from '../../src/packet/packet-columns.ts';
import type { Row } from './batch.ts';
import { decodeFrames } from './batch.ts';
import type { Bytes } from './encode.ts';
import { ethernet, ethernetIp, gtpU, ipv4, ipv6, ipv6Fragment, tcp, udp, vlanTag } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const REST = new Uint8Array(16).fill(0xab);
const PORTS = { srcPort: 1111, dstPort: 2222 };

/** First and later fragment of one packet, at the IP layer, for each version. */
interface Pair {
  first: (id: number) => Bytes;
  later: (id: number) => Bytes;
}

const V4: Pair = {
  first: (id) => ipv4({ protocol: 17, id, hasMoreFragments: true }, udp(PORTS, REST)),
  later: (id) => ipv4({ protocol: 17, id, fragmentOffset: 24 }, REST),
};
const V6: Pair = {
  first: (id) => ipv6({ nextHeader: 44 }, ipv6Fragment({ hasMore: true, id }, udp(PORTS, REST))),
  later: (id) => ipv6({ nextHeader: 44 }, ipv6Fragment({ offset: 24, id }, REST)),
};

const decode = (packets: Bytes[], times: number[] = []): Row[] =>
  decodeFrames(packets.map((packet, row) => ({ bytes: ethernetIp(packet), timeMs: times[row] ?? 0 })));

describe.each([
  ['IPv4', V4, 20],
  ['IPv6', V6, 48],
])('fragments of %s', (_, { first, later }, headerBytes) => {
  it('give later fragments the key of the first', () => {
    const [head, tail, more] = decode([first(5), later(5), later(5)]);
    expect(head).toMatchObject({ status: 'metered', ...PORTS, isLaterFragment: false });
    expect(tail).toMatchObject({ status: 'metered', ...PORTS, protocol: 17, isLaterFragment: true, src: head.src });
    expect(tail).toMatchObject({ transportAt: 14 + headerBytes, payloadAt: 14 + headerBytes, ipAt: 14, tcpFlags: 0 });
    expect(tail).toMatchObject({ ipSize: headerBytes + 16, ipEnd: 14 + headerBytes + 16 });
    expect(more.status).toBe('metered');
  });

  it('are orphans before the first, of another packet, and after its lifetime', () => {
    expect(decode([later(5), first(5), later(5)]).map((row) => row.status)).toEqual([
      'fragment_orphan',
      'metered',
      'metered',
    ]);
    expect(decode([first(5), later(6)])[1].status).toBe('fragment_orphan');
    expect(decode([first(5), later(5)], [1000, 31_000])[1].status).toBe('metered');
    expect(decode([first(5), later(5)], [1000, 31_001])[1].status).toBe('fragment_orphan');
  });

  it('are orphans from and to other addresses, by every byte', () => {
    const bytes = headerBytes === 20 ? 8 : 32;
    const addressAt = headerBytes === 20 ? 12 : 8;
    for (let byte = 0; byte < bytes; byte++) {
      const other = later(5);
      other[addressAt + byte] ^= 1;
      expect(decode([first(5), other])[1].status, `byte ${byte}`).toBe('fragment_orphan');
    }
  });

  it('are orphans in another VLAN', () => {
    const tagged = (id: number, packet: Bytes): Bytes =>
      ethernet({ etherType: 0x8100 }, vlanTag({ id, etherType: packet[0] >> 4 === 6 ? 0x86dd : 0x0800 }, packet));
    const frames = [tagged(1, first(5)), tagged(2, later(5)), tagged(1, later(5))].map((bytes) => ({ bytes }));
    expect(decodeFrames(frames).map((row) => row.status)).toEqual(['metered', 'fragment_orphan', 'metered']);
  });

  it('are skipped with fragments: ignore, the first one is not', () => {
    const frames = [first(5), later(5)].map((packet) => ({ bytes: ethernetIp(packet) }));
    const rows = decodeFrames(frames, { fragments: 'ignore' });
    expect(rows.map((row) => row.status)).toEqual(['metered', 'fragment_ignored']);
    expect(rows[0]).toMatchObject(PORTS);
  });

  it('survive a table that overflows', () => {
    const ids = Array.from({ length: 300 }, (_, id) => id);
    const packets = [...ids.map(first), ...ids.map(later)];
    const statuses = decodeFrames(
      packets.map((packet, row) => ({ bytes: ethernetIp(packet), timeMs: row })),
      { fragmentTableSize: 64 },
    ).map((row) => row.status);
    const joined = statuses.slice(300).filter((status) => status === 'metered').length;
    expect(statuses.slice(0, 300).every((status) => status === 'metered')).toBe(true);
    expect(joined).toBeGreaterThan(16);
    expect(joined).toBeLessThanOrEqual(64);
    expect(statuses.slice(300).filter((status) => status === 'fragment_orphan').length).toBe(300 - joined);
  });

  it('are orphans of a first one that is cut before its ports', () => {
    const cut = ethernetIp(first(5)).subarray(0, 14 + headerBytes + 3);
    const whole = ethernetIp(first(5)).subarray(0, 14 + headerBytes + 4);
    const statuses = (head: Bytes): string[] =>
      decodeFrames([{ bytes: head }, { bytes: ethernetIp(later(5)) }]).map((row) => row.status);
    expect(statuses(cut)).toEqual(['short_header', 'fragment_orphan']);
    expect(statuses(whole)).toEqual(['metered', 'metered']);
  });

  it('are rejected when cut inside the header', () => {
    expect(statusChanges(decodeTruncations(ethernetIp(later(5))))).toEqual([
      [0, 'short_header'],
      [14 + headerBytes, 'fragment_orphan'],
    ]);
  });
});

describe('fragments of IPv4', () => {
  it('differ by protocol', () => {
    const other = ipv4({ protocol: 6, id: 5, fragmentOffset: 24 }, REST);
    expect(decode([V4.first(5), other])[1].status).toBe('fragment_orphan');
  });

  it('carry no TCP flags after the first', () => {
    const first = ipv4({ id: 5, hasMoreFragments: true }, tcp({ ...PORTS, flags: 0x12 }));
    const later = ipv4({ id: 5, fragmentOffset: 24, hasMoreFragments: true }, new Uint8Array(40).fill(0xff));
    const rows = decode([first, later]);
    expect(rows[0]).toMatchObject({ ...PORTS, tcpFlags: 0x12 });
    expect(rows[1]).toMatchObject({ ...PORTS, tcpFlags: 0, isLaterFragment: true });
  });
});

describe('fragments of IPv6', () => {
  it('match whatever the later next header says, and by all 32 bits of the identification', () => {
    const later = ipv6({ nextHeader: 44 }, ipv6Fragment({ offset: 24, id: 5, nextHeader: 60 }, REST));
    expect(decode([V6.first(5), later])[1]).toMatchObject({ status: 'metered', protocol: 17, ...PORTS });
    expect(decode([V6.first(5), V6.later(5 + 65536)])[1].status).toBe('fragment_orphan');
  });
});

describe('fragments and tunnels', () => {
  const inner = ipv4({ src: '192.168.0.1', totalLength: 1000 }, tcp());

  it('follow the first fragment into its tunnel, whose inner packet goes on beyond it', () => {
    const gtp = udp({ dstPort: 2152, length: 1016 }, gtpU({ length: 1000 }, inner));
    const rows = decode([
      ipv4({ protocol: 17, id: 8, hasMoreFragments: true }, gtp),
      ipv4({ protocol: 17, id: 8, fragmentOffset: 56 }, REST),
    ]);
    expect(rows[0]).toMatchObject({ src: '192.168.0.1', tunnel: TUNNEL_GTP_U, ipSize: 1000, isLaterFragment: false });
    expect(rows[1]).toMatchObject({ src: '192.168.0.1', dstPort: 443, tunnel: TUNNEL_GTP_U, isLaterFragment: true });
    expect(rows[1]).toMatchObject({ ipAt: 14, ipSize: 36 });
  });

  it('join inside a tunnel, apart from equal packets outside and inside others', () => {
    const outside = V4.first(5);
    const wrapped = (packet: Bytes): Bytes => ipv4({ protocol: 4, src: '1.1.1.1' }, packet);
    expect(decode([wrapped(outside), V4.later(5)])[1].status).toBe('fragment_orphan');
    expect(decode([outside, wrapped(V4.later(5))])[1].status).toBe('fragment_orphan');
    const [, joined] = decode([wrapped(outside), wrapped(V4.later(5))]);
    expect(joined).toMatchObject({ status: 'metered', ...PORTS, tunnel: TUNNEL_IP_IN_IP, isLaterFragment: true });
    expect(joined.ipAt).toBe(34);
  });

  it('skip an orphan inside a tunnel, rather than metering its outer packet', () => {
    const wrapped = [ipv4({ protocol: 4 }, V4.later(5)), ipv6({ nextHeader: 4 }, V4.later(5))];
    expect(decode(wrapped).map((row) => row.status)).toEqual(['fragment_orphan', 'fragment_orphan']);
    const rows = decodeFrames(
      wrapped.map((packet) => ({ bytes: ethernetIp(packet) })),
      { fragments: 'ignore' },
    );
    expect(rows.map((row) => row.status)).toEqual(['fragment_ignored', 'fragment_ignored']);
  });

  it('join when both the outer and the inner packet are fragments', () => {
    const outerFirst = ipv4({ protocol: 4, id: 70, src: '1.1.1.1', hasMoreFragments: true }, V4.first(5));
    const outerLater = ipv4({ protocol: 4, id: 70, src: '1.1.1.1', fragmentOffset: 48 }, REST);
    const innerLater = ipv4({ protocol: 4, id: 71, src: '1.1.1.1' }, V4.later(5));
    for (const row of decode([outerFirst, outerLater, innerLater])) {
      expect(row).toMatchObject({ status: 'metered', src: '10.0.0.1', ...PORTS, tunnel: TUNNEL_IP_IN_IP });
    }
  });
});
