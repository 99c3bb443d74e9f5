import { describe, expect, it } from 'vitest';
import { communityId } from '../../src/metric/community-id.ts';
import { type Bytes, EMPTY, encodePcap, ipv4, ipv6, sctp, tcp, u8, u16, udp } from '../packet/encode.ts';
import { HAS_TSHARK } from '../tshark.ts';
import { captures, meter, tsharkFields } from './tshark-fields.ts';

type Vector = [
  protocol: number,
  src: string,
  dst: string,
  sport: number,
  dport: number,
  id: string,
  idOfSeed1?: string,
];

/** corelight/community-id-spec, baseline/baseline_deflt.json. ICMP: type and code (or counterpart) in the ports' place. */
const BASELINE: Vector[] = [
  [58, 'fe80::200:86ff:fe05:80da', 'fe80::260:97ff:fe07:69ea', 135, 136, '1:dGHyGvjMfljg6Bppwm3bg0LO8TY='],
  [58, 'fe80::260:97ff:fe07:69ea', 'fe80::200:86ff:fe05:80da', 136, 135, '1:dGHyGvjMfljg6Bppwm3bg0LO8TY='],
  [58, 'fe80::260:97ff:fe07:69ea', 'fe80::200:86ff:fe05:80da', 135, 136, '1:zavyT/cezQr1fmImYCwYnMXbgck='],
  [58, 'fe80::200:86ff:fe05:80da', 'fe80::260:97ff:fe07:69ea', 136, 135, '1:zavyT/cezQr1fmImYCwYnMXbgck='],
  [58, '3ffe:501:1800:2345::2', '3ffe:507:0:1:200:86ff:fe05:80da', 3, 0, '1:2ObVBgIn28oZvibYZhZMBgh7WdQ='],
  [58, '3ffe:501:410:0:2c0:dfff:fe47:33e', '3ffe:507:0:1:200:86ff:fe05:80da', 1, 4, '1:hLZd0XGWojozrvxqE0dWB1iM6R0='],
  [58, '3ffe:507:0:1:200:86ff:fe05:80da', '3ffe:501:0:1001::2', 128, 129, '1:+TW+HtLHvV1xnGhV1lv7XoJrqQg='],
  [58, '3ffe:501:0:1001::2', '3ffe:507:0:1:200:86ff:fe05:80da', 129, 128, '1:+TW+HtLHvV1xnGhV1lv7XoJrqQg='],
  [58, 'fe80::200:86ff:fe05:80da', 'ff02::2', 133, 134, '1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0='],
  [58, 'fe80::260:97ff:fe07:69ea', 'ff02::1', 134, 133, '1:pkvHqCL88/tg1k4cPigmZXUtL00='],
  [1, '192.168.0.89', '192.168.0.1', 8, 0, '1:X0snYXpgwiv9TZtqg64sgzUn6Dk='],
  [1, '192.168.0.1', '192.168.0.89', 0, 8, '1:X0snYXpgwiv9TZtqg64sgzUn6Dk='],
  [1, '10.0.0.1', '10.0.0.2', 11, 0, '1:YHxtAirCG//0OzkcVAukqKQN9xM='],
  [6, '2001:470:e5bf:dead:4957:2174:e82c:4887', '2607:f8b0:400c:c03::1a', 63943, 25, '1:/qFaeAR+gFe1KYjMzVDsMv+wgU4='],
  [6, '2607:f8b0:400c:c03::1a', '2001:470:e5bf:dead:4957:2174:e82c:4887', 25, 63943, '1:/qFaeAR+gFe1KYjMzVDsMv+wgU4='],
  [132, '192.168.170.8', '192.168.170.56', 7, 7, '1:MP2EtRCAUIZvTw6MxJHLV7N7JDs='],
  [132, '192.168.170.56', '192.168.170.8', 7, 7, '1:MP2EtRCAUIZvTw6MxJHLV7N7JDs='],
  [6, '128.232.110.120', '66.35.250.204', 34855, 80, '1:LQU9qZlK+B5F3KDmev6m5PMibrg='],
  [6, '66.35.250.204', '128.232.110.120', 80, 34855, '1:LQU9qZlK+B5F3KDmev6m5PMibrg='],
  [17, '192.168.1.52', '8.8.8.8', 54585, 53, '1:d/FP5EW3wiY1vCndhwleRRKHowQ='],
  [17, '8.8.8.8', '192.168.1.52', 53, 54585, '1:d/FP5EW3wiY1vCndhwleRRKHowQ='],
  [46, '10.1.12.1', '10.1.12.2', 0, 0, '1:KHlLkgoJW7ifUTyTSgyVfkFHzKw='],
  [46, '10.1.12.2', '10.1.12.1', 0, 0, '1:KHlLkgoJW7ifUTyTSgyVfkFHzKw='],
];

/** corelight/pycommunityid, tests/communityid_test.py. */
const REFERENCE: Vector[] = [
  [1, '192.168.0.89', '192.168.0.1', 8, 0, '1:X0snYXpgwiv9TZtqg64sgzUn6Dk=', '1:03g6IloqVBdcZlPyX8r0hgoE7kA='],
  [1, '192.168.0.89', '192.168.0.1', 20, 0, '1:3o2RFccXzUgjl7zDpqmY7yJi8rI=', '1:lCXHHxavE1Vq3oX9NH5ladQg02o='],
  [1, '192.168.0.89', '192.168.0.1', 20, 1, '1:tz/fHIDUHs19NkixVVoOZywde+I=', '1:Ie3wmFyxiEyikbsbcO03d2nh+PM='],
  [1, '192.168.0.1', '192.168.0.89', 0, 20, '1:X0snYXpgwiv9TZtqg64sgzUn6Dk=', '1:03g6IloqVBdcZlPyX8r0hgoE7kA='],
  [
    58,
    'fe80::200:86ff:fe05:80da',
    'fe80::260:97ff:fe07:69ea',
    135,
    0,
    '1:dGHyGvjMfljg6Bppwm3bg0LO8TY=',
    '1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY=',
  ],
  [
    58,
    '3ffe:507:0:1:260:97ff:fe07:69ea',
    '3ffe:507:0:1:200:86ff:fe05:80da',
    3,
    0,
    '1:NdobDX8PQNJbAyfkWxhtL2Pqp5w=',
    '1:OlOWx9psIbBFi7lOCw/4MhlKR9M=',
  ],
  [
    58,
    '3ffe:507:0:1:200:86ff:fe05:80da',
    '3ffe:507:0:1:260:97ff:fe07:69ea',
    3,
    0,
    '1:/OGBt9BN1ofenrmSPWYicpij2Vc=',
    '1:Ij4ZxnC87/MXzhOjvH2vHu7LRmE=',
  ],
  [132, '192.168.170.8', '192.168.170.56', 7, 80, '1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=', '1:Y1/0jQg6e+I3ZwZZ9LP65DNbTXU='],
  [
    6,
    '128.232.110.120',
    '66.35.250.204',
    34855,
    80,
    '1:LQU9qZlK+B5F3KDmev6m5PMibrg=',
    '1:3V71V58M3Ksw/yuFALMcW0LAHvc=',
  ],
  [6, '10.0.0.1', '10.0.0.2', 10, 11569, '1:SXBGMX1lBOwhhoDrZynfROxnhnM=', '1:HmBRGR+fUyXF4t8WEtal7Y0gEAo='],
  [17, '192.168.1.52', '8.8.8.8', 54585, 53, '1:d/FP5EW3wiY1vCndhwleRRKHowQ=', '1:Q9We8WO3piVF8yEQBNJF4uiSVrI='],
  [46, '10.1.24.4', '10.1.12.1', 0, 0, '1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=', '1:BK3BVW3U2eemuwVQVN3zd/GULno='],
];

/** Raw IP, so that nothing else is in the frame. */
const capture = (...packets: Bytes[]): Bytes =>
  encodePcap(
    101,
    packets.map((bytes) => ({ bytes })),
  );

function packetOf([protocol, src, dst, srcPort, dstPort]: Vector): Bytes {
  const ports = { srcPort, dstPort };
  const transports: Record<number, Bytes> = {
    1: u8(srcPort, dstPort, 0, 0),
    6: tcp(ports),
    17: udp(ports),
    58: u8(srcPort, dstPort, 0, 0),
    132: sctp(ports),
  };
  const transport = transports[protocol] ?? u16(1, 2, 3, 4);
  return src.includes(':')
    ? ipv6({ src, dst, nextHeader: protocol }, transport)
    : ipv4({ src, dst, protocol }, transport);
}

const idsOf = async (bytes: Bytes, seed?: number) =>
  (await meter(bytes, communityId(seed === undefined ? {} : { seed }))).map(({ value }) => value);

describe('communityId', () => {
  it("gives the published baseline's IDs", async () => {
    for (const vector of [...BASELINE, ...REFERENCE]) {
      expect(await idsOf(capture(packetOf(vector))), vector.join(' ')).toEqual([vector[5]]);
    }
  });

  it("gives the reference implementation's IDs with seed 1", async () => {
    for (const vector of REFERENCE) {
      expect(await idsOf(capture(packetOf(vector)), 1), vector.join(' ')).toEqual([vector[6]]);
    }
  });

  it("keeps the first packet's ID when later packets of an ICMP flow have other types", async () => {
    const [request] = REFERENCE;
    const [, , other] = REFERENCE;
    expect(await idsOf(capture(packetOf(request), packetOf(other)))).toEqual([request[5]]);
  });

  it('is empty for ICMP without type and code, cut or too short', async () => {
    const cut = packetOf(REFERENCE[0]);
    for (const length of [20, 21]) {
      const bytes = encodePcap(101, [{ bytes: cut.subarray(0, length), wireLength: cut.length }]);
      expect(await idsOf(bytes)).toEqual(['']);
    }
    expect(await idsOf(capture(ipv4({ protocol: 1 }, EMPTY)))).toEqual(['']);
  });

  it('keeps instances with different seeds apart', async () => {
    const both = [communityId(), communityId({ seed: 1 })] as const;
    const flows = await meter(capture(packetOf(REFERENCE[0])), (...args) => [both[0](...args), both[1](...args)]);
    expect(flows[0].value).toEqual([REFERENCE[0][5], REFERENCE[0][6]]);
  });

  it('refuses a seed that is none', () => {
    for (const seed of [-1, 65_536, 1.5, Number.NaN, '1' as unknown as number]) {
      expect(() => communityId({ seed })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    }
  });

  const files = [
    'fixtures/demo.pcapng',
    'fixtures/cooked.pcap',
    'fixtures/raw.pcap',
    ...captures([
      'ndpi/sctp.cap',
      'nfstream/http_ipv6.pcap',
      'nfstream/facebook.pcap',
      'nfstream/iphone.pcap',
      'ndpi/pim.pcap',
    ]),
  ];
  it.skipIf(!HAS_TSHARK).each(files)("is tshark's ID of the flow's first packet: %s", async (file) => {
    const fields = ['ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst', 'ip.proto', 'ipv6.nxt', 'communityid'];
    const ports = ['tcp.srcport', 'tcp.dstport', 'udp.srcport', 'udp.dstport', 'sctp.srcport', 'sctp.dstport'];
    const truth = new Map<string, string>();
    for (const row of tsharkFields(file, [...fields, ...ports], ['--enable-protocol', 'communityid'])) {
      // The outer packet: ICMP errors repeat what they are about.
      const cells = row.map((list) => list[0]);
      const protocol = cells[4] ?? cells[5];
      const [src, dst] = [cells[0] ?? cells[2], cells[1] ?? cells[3]];
      if (src === undefined || cells[6] === undefined) continue;
      const hasPorts = ['6', '17', '132'].includes(protocol);
      const ends = [
        `${src} ${(hasPorts && (cells[7] ?? cells[9] ?? cells[11])) || 0}`,
        `${dst} ${(hasPorts && (cells[8] ?? cells[10] ?? cells[12])) || 0}`,
      ];
      const key = `${ends.sort().join(' - ')} ${protocol}`;
      if (!truth.has(key)) truth.set(key, cells[6]);
    }
    const flows = await meter(file, communityId());
    expect(flows.length).toBeGreaterThan(0);
    const known = flows.filter(({ key, protocol }) => truth.has(`${key} ${protocol}`));
    expect(known.map(({ key, protocol, value }) => [key, protocol, value])).toEqual(
      known.map(({ key, protocol }) => [key, protocol, truth.get(`${key} ${protocol}`)]),
    );
    expect(known.length).toBeGreaterThan(flows.length * 0.95);
  });
});
