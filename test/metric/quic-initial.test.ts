import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ja4 } from '../../src/metric/ja4.ts';
import { decodeLongHeader, decryptInitial, deriveClientKeys } from '../../src/metric/quic-initial.ts';
import { type Bytes, concat, hex, u8, u16, u32 } from '../packet/encode.ts';
import { HAS_TSHARK } from '../tshark.ts';
import {
  algorithms,
  alpn,
  capture,
  clientHelloBody,
  datagram,
  handshake,
  serverName,
  versions,
} from './client-hello.ts';
import { captures, meter } from './tshark-fields.ts';
import { tsharkJa4 } from './tshark-ja4.ts';

/** RFC 9001, appendix A.1: the keys of the client with this destination ID. */
const DESTINATION = hex('8394c8f03e515708');
const KEYS = {
  key: hex('1f369613dd76d5467730efcbe3b1a22d'),
  iv: hex('fa044b2f42a3fd3b46fb255c'),
  headerKey: hex('9f50449e04a0e810283a1e9933adedd2'),
};
/** Appendix A.2: the client's first packet, its CRYPTO frame padded with zeros to 1162 bytes. */
const HEADER = hex('c300000001088394c8f03e5157080000449e00000002');
const FRAMES = concat(
  hex(`060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
    0d0010000e0403050306030203080408050806002d00020101001c0002400100
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806048000ffff`),
  new Uint8Array(917),
);
/** The protected packet begins and ends so. Its end is the tag over all of it. */
const PROTECTED_BEGIN = hex('c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11');
const PROTECTED_END = hex('e221af44860018ab0856972e194cd934');

/** Protects a packet as its sender does (RFC 9001 sections 5.3 and 5.4); the packet number ends the header. */
function protect(header: Bytes, frames: Bytes, keys = KEYS): Bytes {
  const numberBytes = (header[0] & 3) + 1;
  const numberAt = header.length - numberBytes;
  const nonce = Uint8Array.from(keys.iv);
  for (let i = 0; i < numberBytes; i++) nonce[12 - numberBytes + i] ^= header[numberAt + i];
  const cipher = createCipheriv('aes-128-gcm', keys.key, nonce);
  cipher.setAAD(header);
  const sealed = concat(header, cipher.update(frames), cipher.final(), cipher.getAuthTag());
  const sample = sealed.subarray(numberAt + 4, numberAt + 20);
  const mask = createCipheriv('aes-128-ecb', keys.headerKey, null).update(sample);
  sealed[0] ^= mask[0] & 0x0f;
  for (let i = 0; i < numberBytes; i++) sealed[numberAt + i] ^= mask[1 + i];
  return sealed;
}

/** An Initial packet with a packet number of one byte. */
function initial(frames: Bytes, number = 0, keys = KEYS, destination = DESTINATION, version = 1): Bytes {
  const size = 1 + frames.length + 16;
  const ids = concat(u8(destination.length), destination, u8(0));
  return protect(concat(u8(0xc0), u32(version), ids, u8(0), u16(0x4000 | size), u8(number)), frames, keys);
}

const crypto = (message: Bytes, from: number, to: number) => {
  const data = message.subarray(from, to);
  return concat(u8(6), u16(0x4000 | from, 0x4000 | data.length), data);
};

const MESSAGE = handshake(
  clientHelloBody({
    cipherSuites: [0x1301, 0x1302],
    extensions: [0, 10, 13, 16, 43],
    extensionData: {
      0: serverName('example.com'),
      13: algorithms(0x0403, 0x0804),
      16: alpn('h3'),
      43: versions(0x0304),
    },
  }),
);
const A2 = protect(HEADER, FRAMES);
const ja4Of = async (datagrams: readonly Bytes[]) =>
  (await meter(capture(datagrams.map((bytes) => datagram(bytes))), ja4()))[0].value;

describe('QUIC Initial packets', () => {
  it("derives RFC 9001's keys and opens its packet", () => {
    const keys = deriveClientKeys(1, DESTINATION);
    expect({ ...keys }).toEqual({
      key: Buffer.from(KEYS.key),
      iv: Buffer.from(KEYS.iv),
      headerKey: Buffer.from(KEYS.headerKey),
    });
    expect(A2).toHaveLength(1200);
    expect(A2.subarray(0, PROTECTED_BEGIN.length)).toEqual(PROTECTED_BEGIN);
    expect(A2.subarray(-PROTECTED_END.length)).toEqual(PROTECTED_END);
    const header = decodeLongHeader(A2, 0, A2.length);
    expect(header).toMatchObject({ isInitial: true, version: 1, destinationId: DESTINATION, end: 1200 });
    if (header === null) return;
    expect(decryptInitial(A2, 0, header, keys)).toEqual(Buffer.from(FRAMES));
    expect(decryptInitial(A2, 0, header, { ...keys, key: new Uint8Array(16) })).toBe(null);
  });

  it("gives the JA4 of RFC 9001's ClientHello", async () => {
    // By hand from appendix A.2, hashed by sha256sum: 1301,1302 and
    // 0005,000a,000d,001c,002b,002d,0033,0039,ff01_0403,0503,0603,0203,0804,0805,0806.
    expect(await ja4Of([A2])).toBe('q13d0211an_62ed6f6ca7ad_4d634acda6c0');
  });

  it('joins CRYPTO frames in any order, with other frames between, over packets and datagrams', async () => {
    const whole = await ja4Of([initial(concat(crypto(MESSAGE, 0, MESSAGE.length), new Uint8Array(20)))]);
    expect(whole).toMatch(/^q13d0205h3_/);
    const ack = hex('02 05 00 01 00 00 00');
    const ackEcn = hex('03 05 00 00 00 01 02 03');
    const frames = [
      concat(crypto(MESSAGE, 50, 70), ack, crypto(MESSAGE, 10, 30)),
      concat(u8(1), crypto(MESSAGE, 60, MESSAGE.length), ackEcn, u8(0, 0), crypto(MESSAGE, 25, 55)),
      concat(crypto(MESSAGE, 0, 12), new Uint8Array(30)),
    ];
    const packets = frames.map((bytes, number) => initial(bytes, number));
    expect(await ja4Of(packets)).toBe(whole);
    expect(await ja4Of([concat(...packets)])).toBe(whole);
    expect(await ja4Of(packets.slice(0, 2))).toBe(null);
  });

  it("opens drafts 33 and 34, which have version 1's salt, and no version whose salt is unknown", async () => {
    const ofVersion = (version: number) =>
      ja4Of([initial(crypto(MESSAGE, 0, MESSAGE.length), 0, KEYS, DESTINATION, version)]);
    for (const version of [0xff000021, 0xff000022]) expect(await ofVersion(version)).toMatch(/^q13d0205h3_/);
    for (const version of [0xff000020, 0xff000023, 0xff000016, 0xfaceb002, 0x1a2a3a4a, 0]) {
      expect(await ofVersion(version)).toBe(null);
    }
  });

  it('takes new keys after a Retry', async () => {
    const first = initial(crypto(MESSAGE, 0, 40));
    const destination = hex('0102030405');
    const second = initial(
      crypto(MESSAGE, 0, MESSAGE.length),
      1,
      { ...deriveClientKeys(1, destination) } as typeof KEYS,
      destination,
    );
    expect(await ja4Of([first, second])).toMatch(/^q13d0205h3_/);
  });

  it('is null for every cut', async () => {
    for (let length = 1; length < A2.length; length += 7) expect(await ja4Of([A2.subarray(0, length)])).toBe(null);
    expect(decodeLongHeader(A2, 0, 0)).toBe(null);
  });

  it('takes any damage, also of the frames that are protected', async () => {
    const fresh = concat(crypto(MESSAGE, 0, 90), crypto(MESSAGE, 90, MESSAGE.length));
    const changes = fc.array(fc.tuple(fc.nat(fresh.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), async (list, isOutside) => {
        const frames = Uint8Array.from(fresh);
        const packet = initial(frames);
        for (const [at, value] of list) (isOutside ? packet : frames)[at] = value;
        const value = await ja4Of([isOutside ? packet : initial(frames)]);
        if (value !== null) expect(value).toMatch(/^q\w{9}_[0-9a-f]{12}_[0-9a-f]{12}$/);
      }),
      { numRuns: 150 },
    );
  });
});

const CURATED = [
  'nfstream/quic-23.pcap',
  'nfstream/quic-27.pcap',
  'nfstream/quic-29.pcap',
  'nfstream/quic_0RTT.pcap',
  'nfstream/quic-mvfst-27.pcapng',
  'nfstream/quic-mvfst-exp.pcap',
  'nfstream/quic_frags_ch_in_multiple_packets.pcapng',
  'nfstream/quic_frags_ch_out_of_order_same_packet_craziness.pcapng',
  'nfstream/doq_adguard.pcapng',
  'ndpi/quic-v2.pcapng',
  'ndpi/quic_frags_different_dcid.pcapng',
  'ndpi/google_meet.pcapng',
];

describe.skipIf(!HAS_TSHARK)('QUIC Initial packets, as tshark opens them (needs ../shared/captures)', () => {
  const files = captures(CURATED);
  // A suite without a single test fails.
  it.skipIf(files.length === 0).each(files.length === 0 ? ['none there'] : files)('%s', async (file) => {
    const truth = tsharkJa4(file);
    const found = new Map<string, string>();
    for (const { key, value } of await meter(file, ja4())) {
      if (value !== null && !found.has(key)) found.set(key, value);
    }
    expect([...found.values()].some((value) => value.startsWith('q'))).toBe(true);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries([...truth].map(([key, fingerprints]) => [key, fingerprints[0]])),
    );
  });
});
