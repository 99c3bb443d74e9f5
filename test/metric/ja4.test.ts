import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ja4 } from '../../src/metric/ja4.ts';
import { type Bytes, concat, EMPTY, encodePcap, hex } from '../packet/encode.ts';
import { HAS_TSHARK } from '../tshark.ts';
import {
  algorithms,
  alpn,
  capture,
  clientHelloBody,
  datagram,
  dtlsRecord,
  type HelloFields,
  handshake,
  segment,
  serverName,
  tlsRecords,
  versions,
} from './client-hello.ts';
import { captures, meter } from './tshark-fields.ts';
import { tsharkJa4 } from './tshark-ja4.ts';

const list = (text: string) => text.split(',').map((value) => Number.parseInt(value, 16));

/** FoxIO-LLC/ja4, technical_details/JA4.md: the example, as it came over the wire, and its fingerprint. */
const EXAMPLE: HelloFields = {
  cipherSuites: list('1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035'),
  extensions: list('001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015'),
  extensionData: {
    0: serverName('example.com'),
    13: algorithms(...list('0403,0804,0401,0503,0805,0501,0806,0601')),
    16: alpn('h2', 'http/1.1'),
    43: versions(0x0304, 0x0303),
  },
};
const EXAMPLE_JA4 = 't13d1516h2_8daaf6152771_e5627efa2ab1';
/** The same text's extension hash when there are no signature algorithms. */
const WITHOUT_ALGORITHMS = '6d807ffa2a79';
const NOTHING = '000000000000';

const message = (fields: HelloFields = EXAMPLE) => tlsRecords(handshake(clientHelloBody(fields)));
const ja4Of = async (bytes: Bytes) => (await meter(bytes, ja4())).map(({ value }) => value);
/** The fingerprint of a ClientHello in one segment. */
const ofHello = async (fields: HelloFields) => (await ja4Of(capture([segment({ seq: 1, data: message(fields) })])))[0];
const withData = (extensionData: HelloFields['extensionData']): HelloFields => ({
  ...EXAMPLE,
  extensionData: { ...EXAMPLE.extensionData, ...extensionData },
});

describe('ja4, by its specification', () => {
  it("gives the example's fingerprint", async () => {
    expect(await ofHello(EXAMPLE)).toBe(EXAMPLE_JA4);
  });

  it('ignores GREASE (RFC 8701) in every list', async () => {
    const [grease, other] = [0x0a0a, 0xfafa];
    const data = EXAMPLE.extensionData ?? {};
    const fields = {
      cipherSuites: [grease, ...(EXAMPLE.cipherSuites ?? [])],
      extensions: [other, ...(EXAMPLE.extensions ?? []), grease],
      extensionData: {
        ...data,
        13: algorithms(grease, ...list('0403,0804,0401,0503,0805,0501,0806,0601')),
        16: alpn(hex('0a0a'), 'h2'),
        43: versions(0x7a7a, 0xfafa, 0x0304, 0x0303),
      },
    };
    expect(await ofHello(fields)).toBe(EXAMPLE_JA4);
    // Not GREASE: the bytes differ.
    expect((await ofHello({ ...EXAMPLE, cipherSuites: [0x0a1a] }))?.slice(0, 6)).toBe('t13d01');
  });

  it.each<[string, (string | Bytes)[]]>([
    ['h2', ['h2']],
    ['h1', ['http/1.1', 'h2']],
    ['00', []],
    ['00', ['']],
    ['qq', ['q']],
    ['ab', [hex('ab')]],
    ['ad', [hex('abcd')]],
    ['3b', [hex('30ab')]],
    ['3d', [hex('3031abcd')]],
    ['01', [hex('30abcd31')]],
    ['25', [hex('2041425f 35')]],
    ['Zz', ['Z-z']],
  ])('shows the first application protocol as %s', async (expected, names) => {
    expect((await ofHello(withData({ 16: alpn(...names) })))?.slice(8, 10)).toBe(expected);
  });

  it.each([
    ['13', 0x0303, [0x0304, 0x0303]],
    ['13', 0x0303, [0x0303, 0x0304, 0x0a0a]],
    ['12', 0x0301, [0x0303]],
    ['12', 0x0303, undefined],
    ['11', 0x0302, undefined],
    ['10', 0x0301, undefined],
    ['s3', 0x0300, undefined],
    ['s2', 0x0002, undefined],
    ['00', 0x0303, [0x7f1c]],
  ])('shows version %s', async (expected, legacyVersion, offered) => {
    const hello = offered === undefined ? { ...EXAMPLE, extensions: [0] } : withData({ 43: versions(...offered) });
    expect((await ofHello({ ...hello, legacyVersion }))?.slice(1, 3)).toBe(expected);
  });

  it('shows a missing server name, and hashes neither that nor ALPN', async () => {
    const extensions = (EXAMPLE.extensions ?? []).filter((type) => type !== 0 && type !== 16);
    expect(await ofHello({ ...EXAMPLE, extensions })).toBe(`t13i151400${EXAMPLE_JA4.slice(10)}`);
  });

  it('does not append signature algorithms where there are none', async () => {
    expect(await ofHello(withData({ 13: algorithms() }))).toBe(EXAMPLE_JA4.replace('e5627efa2ab1', WITHOUT_ALGORITHMS));
  });

  it('counts to 99, and hashes no empty list', async () => {
    const many = Array.from({ length: 120 }, (_, i) => 0x1000 + i);
    expect(await ofHello({ ...EXAMPLE, cipherSuites: many, extensions: many })).toMatch(/^t12i999900_/);
    expect(await ofHello({})).toBe(`t12i000000_${NOTHING}_${NOTHING}`);
    expect(await ofHello({ extensions: [] })).toBe(`t12i000000_${NOTHING}_${NOTHING}`);
    expect(await ofHello({ extensions: [0, 16], cipherSuites: [0x0a0a] })).toBe(`t12d000200_${NOTHING}_${NOTHING}`);
  });
});

describe('ja4, over TCP', () => {
  const stream = message();

  it('is null before the ClientHello is complete, and stays', async () => {
    const seen: (string | null)[] = [];
    const metric = ja4();
    const packets = [
      segment({ seq: 99, flags: 2 }),
      segment({ seq: 100, data: stream.subarray(0, 50) }),
      segment({ seq: 150, data: stream.subarray(50) }),
      segment({ seq: 100 + stream.length, data: hex('170303') }),
    ];
    await meter(capture(packets), (...args) => {
      seen.push(metric(...args));
      return 0;
    });
    expect(seen).toEqual([null, null, EXAMPLE_JA4, EXAMPLE_JA4]);
  });

  it('joins any segments, in any order after the SYN, repeated and overlapping, of records of any size', async () => {
    const pieces = fc.array(fc.tuple(fc.nat(stream.length), fc.integer({ min: 1, max: 200 })), { maxLength: 10 });
    const cases = fc.record({
      pieces,
      seed: fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
      isn: fc.constantFrom(0, 1000, 0xffff_fff0),
      recordSize: fc.integer({ min: 20, max: 400 }),
      hasSyn: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ pieces, seed, isn, recordSize, hasSyn }) => {
        const message = handshake(clientHelloBody(EXAMPLE));
        // A later record that begins like a ClientHello, and comes first, can't be told from one.
        for (let at = recordSize; at < message.length; at += recordSize) fc.pre(message[at] !== 1);
        const bytes = tlsRecords(message, recordSize);
        const all: [number, number][] = [...pieces];
        for (let at = 0; at < bytes.length; at += 60) all.push([at, 60]);
        const order = all.map((piece, index) => ({ piece, rank: seed[index % 30] * 31 + index }));
        // Without a SYN only what comes after the beginning can be out of order.
        order.sort((a, b) => (hasSyn ? a.rank - b.rank : Number(b.piece[0] === 0) - Number(a.piece[0] === 0)));
        const packets = order.map(({ piece: [at, size] }) =>
          segment({ seq: isn + 1 + at, data: bytes.subarray(at, at + size) }),
        );
        if (hasSyn) packets.unshift(segment({ seq: isn, flags: 2 }));
        expect((await ja4Of(capture(packets)))[0]).toBe(EXAMPLE_JA4);
      }),
      { numRuns: 60 },
    );
  });

  it('finds it after clear text, and from the side that did not begin', async () => {
    const text = Buffer.from('220 ready\r\n');
    const packets = [
      segment({ seq: 1, data: text, isReverse: true }),
      segment({ seq: 500, data: Buffer.from('STARTTLS\r\n') }),
      segment({ seq: 1 + text.length, data: text, isReverse: true }),
      segment({ seq: 510, data: stream.subarray(0, 100) }),
      segment({ seq: 610, data: stream.subarray(100) }),
    ];
    expect(await ja4Of(capture(packets))).toEqual([EXAMPLE_JA4]);
    expect(await ja4Of(capture([segment({ seq: 1 }), segment({ seq: 9, data: stream, isReverse: true })]))).toEqual([
      EXAMPLE_JA4,
    ]);
  });

  it("finds it behind a load balancer's header, in one segment or after it", async () => {
    const text = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\n');
    // HAProxy, doc/proxy-protocol.txt, section 2.2: IPv4 over TCP, 12 bytes of addresses and ports.
    const binary = hex('0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336407 c350 01bb');
    for (const header of [text, binary]) {
      const joined = concat(header, stream);
      expect(await ja4Of(capture([segment({ seq: 1, data: joined })]))).toEqual([EXAMPLE_JA4]);
      // Cut within the ClientHello: out of order and repeated, after a SYN. Cut after the header, and within.
      const cut = header.length + 90;
      const packets = [
        segment({ seq: 0, flags: 2 }),
        segment({ seq: 1, data: joined.subarray(0, cut) }),
        segment({ seq: 31 + cut, data: joined.subarray(cut + 30) }),
        segment({ seq: 1, data: joined.subarray(0, cut) }),
        segment({ seq: 1 + cut, data: joined.subarray(cut, cut + 30) }),
      ];
      expect(await ja4Of(capture(packets))).toEqual([EXAMPLE_JA4]);
      const alone = [segment({ seq: 1, data: header }), segment({ seq: 1 + header.length, data: stream })];
      expect(await ja4Of(capture(alone))).toEqual([EXAMPLE_JA4]);
      for (let length = 0; length < header.length; length++) {
        const part = concat(header.subarray(0, length), stream);
        expect(await ja4Of(capture([segment({ seq: 1, data: part })]))).toEqual([length === 0 ? EXAMPLE_JA4 : null]);
      }
    }
    const other = concat(text.subarray(0, -1), stream, Buffer.from('\r\n'));
    expect(await ja4Of(capture([segment({ seq: 1, data: other })]))).toEqual([null]);
  });

  it('finds it after a hole that is never filled', async () => {
    const packets = [
      segment({ seq: 0, flags: 2 }),
      segment({ seq: 300, data: hex('aabb') }),
      segment({ seq: 302, data: stream }),
    ];
    expect(await ja4Of(capture(packets))).toEqual([EXAMPLE_JA4]);
  });

  it('takes the first of two, and forgets a connection whose ports are used again', async () => {
    const other = message({ ...EXAMPLE, cipherSuites: [0x1301] });
    const packets = [
      segment({ seq: 1, data: stream }),
      segment({ seq: 0x7000_0000, flags: 2 }),
      segment({ seq: 0x7000_0001, data: other }),
    ];
    expect(await ja4Of(capture(packets))).toEqual([EXAMPLE_JA4]);
    packets[0] = segment({ seq: 1, data: stream.subarray(0, 80) });
    expect((await ja4Of(capture(packets)))[0]).toMatch(/^t13d0116h2_/);
  });

  it('gives up after 64 packets with a payload, and on messages over 16 KB', async () => {
    const noise = (count: number) => Array.from({ length: count }, (_, i) => segment({ seq: 1 + i, data: hex('aa') }));
    const late = (count: number) => [...noise(count), segment({ seq: 1 + count, data: stream })];
    expect(await ja4Of(capture(late(63)))).toEqual([EXAMPLE_JA4]);
    expect(await ja4Of(capture(late(64)))).toEqual([null]);
    const padded = withData({ 21: new Uint8Array(17_000) });
    expect(await ofHello(padded)).toBe(null);
    expect(await ofHello(withData({ 21: new Uint8Array(15_000) }))).toBe(EXAMPLE_JA4);
  });

  it('is null for whatever is no ClientHello', async () => {
    for (const data of [
      hex('160301000502000001 00'),
      hex('150301000202 28'),
      Buffer.from('GET / HTTP/1.1\r\n'),
      EMPTY,
    ]) {
      expect(await ja4Of(capture([segment({ seq: 1, data })]))).toEqual([null]);
    }
  });
});

describe('ja4, over DTLS', () => {
  const fields: HelloFields = { ...EXAMPLE, legacyVersion: 0xfefd, cookie: hex('0102'), extensions: [0, 13, 16] };
  const body = clientHelloBody(fields);

  it('joins fragments in any order, after other datagrams', async () => {
    const whole = await ja4Of(capture([datagram(dtlsRecord(body))]));
    expect(whole[0]).toMatch(/^dd2d1503h2_8daaf6152771_/);
    const cuts = [
      [120, body.length],
      [0, 70],
      [60, 125],
    ];
    const fragments = cuts.map(([from, to]) => dtlsRecord(body, 0, from, to));
    expect(await ja4Of(capture([datagram(hex('0001')), ...fragments.map((bytes) => datagram(bytes))]))).toEqual(whole);
    expect(await ja4Of(capture([datagram(concat(...fragments))]))).toEqual(whole);
    // A part of one message and the rest of another are none.
    const mixed = [dtlsRecord(body, 0, 0, 70), dtlsRecord(body, 1, 60)];
    expect(await ja4Of(capture(mixed.map((bytes) => datagram(bytes))))).toEqual([null]);
  });

  it('knows the versions of DTLS', async () => {
    for (const [legacyVersion, expected] of [
      [0xfeff, 'd1'],
      [0xfefd, 'd2'],
      [0xfefc, 'd3'],
      [0x0100, '00'],
    ] as const) {
      const [value] = await ja4Of(capture([datagram(dtlsRecord(clientHelloBody({ ...fields, legacyVersion })))]));
      expect(value?.slice(1, 3)).toBe(expected);
    }
  });
});

describe('ja4, on bytes that are cut or damaged', () => {
  const carried: [string, (data: Bytes) => Bytes, Bytes][] = [
    ['TLS', (data) => segment({ seq: 1, data }), message()],
    ['DTLS', (data) => datagram(data), dtlsRecord(clientHelloBody({ ...EXAMPLE, cookie: EMPTY }))],
  ];

  it.each(carried)('%s: is null for every cut', async (_, carry, bytes) => {
    const cuts = Array.from({ length: bytes.length }, (_, length) => carry(bytes.subarray(0, length)));
    for (const cut of cuts) expect(await ja4Of(capture([cut]))).toEqual([null]);
    // As a snap length cuts: the headers tell of more than is there.
    const whole = carry(bytes);
    for (let length = 45; length < whole.length; length += 13) {
      const snapped = encodePcap(101, [{ bytes: whole.subarray(0, length), wireLength: whole.length }]);
      expect(await ja4Of(snapped)).toEqual([null]);
    }
  });

  it.each(carried)('%s: gives a fingerprint or null for any damage', async (_, carry, bytes) => {
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, value] of changes) damaged[at] = value;
        const [value] = await ja4Of(capture([carry(damaged)]));
        if (value !== null)
          expect(value).toMatch(/^[td](1[0-3]|s[23]|d[1-3]|00)[di]\d{4}\w\w_[0-9a-f]{12}_[0-9a-f]{12}$/);
      }),
      { numRuns: 150 },
    );
  });
});

/** Few packets each: browsers, mail, VPNs, WebRTC, fuzzed and fragmented hellos. */
const CURATED = [
  'nfstream/443-safari.pcap',
  'nfstream/facebook.pcap',
  'nfstream/smtp-starttls.pcap',
  'nfstream/tls-esni-fuzzed.pcap',
  'nfstream/dtls2.pcap',
  'nfstream/no_sni.pcap',
  'ndpi/chrome.pcap',
  'ndpi/firefox.pcap',
  'ndpi/dtls_certificate_fragments.pcap',
  'ndpi/dtls_old_version.pcapng',
  'ndpi/stun_dtls_rtp.pcapng',
  'ndpi/http_connect.pcap',
  'ndpi/haproxy.pcap',
  'ndpi/pgsql2.pcapng',
  'ndpi/tls_ech.pcapng',
  'ndpi/tls_2_reasms.pcapng',
  'ndpi/tls_with_huge_ch.pcapng',
];

describe.skipIf(!HAS_TSHARK)('ja4, against what tshark dissects (others need ../shared/captures)', () => {
  it.each(['fixtures/demo.pcapng', ...captures(CURATED)])('%s', async (file) => {
    const truth = tsharkJa4(file);
    expect(truth.size).toBeGreaterThan(0);
    const found = new Map<string, string>();
    for (const { key, value } of await meter(file, ja4())) {
      if (value !== null && !found.has(key)) found.set(key, value);
    }
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries([...truth].map(([key, fingerprints]) => [key, fingerprints[0]])),
    );
  });
});
