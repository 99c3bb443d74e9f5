import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DhcpOptions, dhcpOptions } from '../../src/metric/dhcp-options.ts';
import { type Bytes, concat, EMPTY, encodePcap, hex, ipv4, u8, udp } from '../packet/encode.ts';
import { HAS_TSHARK } from '../tshark.ts';
import { captures, meter, tsharkFields } from './tshark-fields.ts';

interface Message {
  op?: number;
  mac?: string;
  options: Bytes;
  serverName?: Bytes;
  file?: Bytes;
  cookie?: string;
}

/** A message from RFC 2131's figure 1. */
function message({ op = 1, mac = '020000000001', options, serverName = EMPTY, file = EMPTY, cookie }: Message): Bytes {
  const field = (bytes: Bytes, size: number) => concat(bytes, new Uint8Array(size - bytes.length));
  return concat(
    u8(op, 1, mac.length / 2, 0),
    new Uint8Array(24),
    field(hex(mac), 16),
    field(serverName, 64),
    field(file, 128),
    hex(cookie ?? '63825363'),
    options,
  );
}

const option = (code: number, data: Bytes | string) => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  return concat(u8(code, bytes.length), bytes);
};
const END = u8(255);

const packet = (bytes: Bytes, srcPort = 68, dstPort = 67) =>
  ipv4({ protocol: 17, src: '0.0.0.0', dst: '255.255.255.255' }, udp({ srcPort, dstPort }, bytes));
const capture = (packets: readonly Bytes[]) =>
  encodePcap(
    101,
    packets.map((bytes) => ({ bytes })),
  );
const optionsOf = async (...packets: Bytes[]) => (await meter(capture(packets), dhcpOptions()))[0]?.value;
const ofOptions = async (...options: Bytes[]) => optionsOf(packet(message({ options: concat(...options) })));
const MAC = '02:00:00:00:00:01';

describe('dhcpOptions', () => {
  it('decodes what RFC 2132, 3004 and 4702 define of it', async () => {
    const value = await ofOptions(
      option(53, u8(1)),
      u8(0, 0),
      option(12, 'laptop'),
      option(15, 'example.org\0'),
      option(50, hex('c0a80107')),
      option(54, hex('0a000001')),
      option(55, u8(1, 3, 6, 15, 119, 252)),
      option(57, hex('05dc')),
      option(60, 'MSFT 5.0'),
      option(61, hex('01020000000001')),
      option(77, hex('03616263 0164')),
      option(81, concat(hex('000000'), Buffer.from('laptop.example.org'))),
      option(80, EMPTY),
      END,
      option(12, 'after the end'),
    );
    expect(value).toEqual({
      mac: MAC,
      '53': ['DISCOVER'],
      '12': 'laptop',
      '15': 'example.org',
      '50': '192.168.1.7',
      '54': '10.0.0.1',
      '55': [1, 3, 6, 15, 119, 252],
      '57': 1500,
      '60': 'MSFT 5.0',
      '61': '01020000000001',
      '77': ['abc', 'd'],
      '81': 'laptop.example.org',
      '80': '',
    });
  });

  it("reads a client's name in the DNS's format, and a user class without lengths", async () => {
    expect(await ofOptions(option(81, hex('040000 066c6170746f70 076578616d706c65 00')))).toMatchObject({
      '81': 'laptop.example',
    });
    expect(await ofOptions(option(81, hex('050000 066c6170746f70')))).toMatchObject({ '81': 'laptop' });
    expect(await ofOptions(option(77, 'iPXE'))).toMatchObject({ '77': ['iPXE'] });
  });

  it('keeps a byte order mark, which is part of what was sent', async () => {
    expect(await ofOptions(option(12, hex('efbbbf 70 63')))).toMatchObject({ '12': '\u{feff}pc' });
  });

  it('gives hexadecimal text for what has a wrong length', async () => {
    const value = await ofOptions(
      option(50, hex('c0a801')),
      option(53, hex('0101')),
      option(57, hex('05')),
      option(81, hex('0400')),
    );
    expect(value).toEqual({ mac: MAC, '50': 'c0a801', '53': '0101', '57': '05', '81': '0400' });
  });

  it('joins an option that comes in parts (RFC 3396), also from file and sname (option 52)', async () => {
    const options = concat(option(12, 'one-'), option(52, u8(3)), option(12, 'two-'), END);
    const file = concat(option(12, 'three-'), option(60, 'class'), END);
    const serverName = concat(option(12, 'four'), END);
    expect(await optionsOf(packet(message({ options, file, serverName })))).toMatchObject({
      '12': 'one-two-three-four',
      '60': 'class',
    });
    const unused = await optionsOf(packet(message({ options: option(12, 'one'), file, serverName })));
    expect(unused).toEqual({ mac: MAC, '12': 'one' });
  });

  it('lets later messages replace values, gathers message types, and keeps clients apart', async () => {
    const of = (mac: string, type: number, name: string) =>
      packet(message({ mac, options: concat(option(53, u8(type)), option(12, name)) }));
    const value = await optionsOf(
      of('020000000001', 1, 'first'),
      of('020000000002', 1, 'other'),
      of('020000000001', 3, 'second'),
      of('020000000001', 3, 'third'),
      of('020000000001', 200, 'third'),
    );
    expect(value).toEqual({
      mac: MAC,
      '12': 'third',
      '53': ['DISCOVER', 'REQUEST', '200'],
      others: { '02:00:00:00:00:02': { mac: '02:00:00:00:00:02', '12': 'other', '53': ['DISCOVER'] } },
    });
  });

  it('knows 64 clients of a flow at most', async () => {
    const packets = Array.from({ length: 70 }, (_, i) =>
      packet(message({ mac: `0200000000${(i + 16).toString(16)}`, options: option(12, `n${i}`) })),
    );
    const value = (await optionsOf(...packets)) as DhcpOptions;
    expect(Object.keys(value.others as object)).toHaveLength(63);
  });

  it("is null for what is no client's message", async () => {
    const options = option(12, 'x');
    expect(await optionsOf(packet(message({ options }), 1234, 5678))).toBe(null);
    expect(await optionsOf(packet(message({ options, op: 2 })))).toBe(null);
    expect(await optionsOf(packet(message({ options, cookie: '63825364' })))).toBe(null);
    const tcp = ipv4({ protocol: 6 }, concat(hex('00440043'), new Uint8Array(16), message({ options })));
    expect(await optionsOf(tcp)).toBe(null);
  });

  it('gives the whole options of a message that is cut anywhere', async () => {
    const options = concat(option(12, 'laptop'), option(60, 'class'));
    const bytes = message({ options });
    for (let length = 0; length <= bytes.length; length++) {
      const expected = {
        mac: MAC,
        ...(length >= 240 + 8 && { '12': 'laptop' }),
        ...(length === bytes.length && { '60': 'class' }),
      };
      expect(await optionsOf(packet(bytes.subarray(0, length)))).toEqual(length < 240 ? null : expected);
    }
  });

  it('takes any bytes as options', async () => {
    const cases = fc.record({ options: fc.uint8Array({ maxLength: 400 }), file: fc.uint8Array({ maxLength: 128 }) });
    await fc.assert(
      fc.asyncProperty(cases, async ({ options, file }) => {
        const value = await optionsOf(packet(message({ options: concat(option(52, u8(3)), options), file })));
        expect(value).toMatchObject({ mac: MAC });
        expect(JSON.parse(JSON.stringify(value))).toEqual(value);
      }),
      { numRuns: 200 },
    );
  });

  const files = captures([
    'nfstream/dhcp.pcapng',
    'nfstream/dhcp_big_endian.pcapng',
    'nfstream/dhcp_little_endian.pcapng',
    'nfstream/android.pcap',
    'nfstream/iphone.pcap',
    'nfstream/alexa-app.pcapng',
    'nfstream/1kxun.pcap',
    'ndpi/gnutella.pcap',
    'ndpi/teams.pcap',
  ]);
  it.skipIf(!HAS_TSHARK || files.length === 0)('agrees with tshark (needs ../shared/captures)', async () => {
    let compared = 0;
    for (const file of files) {
      // tshark reads the text of some options alone: the raw bytes of all of them are the truth.
      const fields = ['dhcp.hw.mac_addr', 'dhcp.option.type', 'dhcp.option.value'];
      const texts = ['dhcp.option.hostname', 'dhcp.option.vendor_class_id', 'dhcp.option.request_list_item'];
      const truth = new Map<string, Map<number, string>>();
      const shown = new Map<string, Record<string, string | number[]>>();
      for (const row of tsharkFields(file, [...fields, ...texts], ['-Y', 'dhcp.type==1'])) {
        const [[mac], types, values, [name], [vendor], list] = row;
        const raw = truth.get(mac) ?? new Map<number, string>();
        // The end option has no value and the pad has none either.
        const codes = types.map(Number).filter((code) => code !== 0 && code !== 255);
        expect(values.length).toBe(codes.length);
        for (const [index, code] of codes.entries()) raw.set(code, values[index].replace('<MISSING>', ''));
        truth.set(mac, raw);
        const texts = { ...(name && { '12': name }), ...(vendor && { '60': vendor }) };
        shown.set(mac, { ...shown.get(mac), ...texts, ...(list.length > 0 && { '55': list.map(Number) }) });
      }
      const found = new Map<string, Record<string, unknown>>();
      for (const { value } of await meter(file, dhcpOptions())) {
        if (value === null) continue;
        const { others = {}, ...first } = value;
        for (const client of [first, ...Object.values(others as object)]) {
          found.set(client.mac, { ...found.get(client.mac), ...client });
        }
      }
      expect([...found.keys()].sort(), file).toEqual([...truth.keys()].sort());
      for (const [mac, raw] of truth) {
        const ours = found.get(mac) as Record<string, unknown>;
        const codes = Object.keys(ours).filter((code) => code !== 'mac');
        expect(codes.map(Number), file).toEqual([...raw.keys()].sort((a, b) => a - b));
        expect(ours).toMatchObject(shown.get(mac) ?? {});
        for (const [code, bytes] of raw) {
          const value = ours[code];
          if (code === 50 || code === 54) {
            expect(value).toBe((bytes.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join('.'));
          } else if (code === 57) expect(value).toBe(Number.parseInt(bytes, 16));
          else if (![12, 15, 53, 55, 60, 77, 81].includes(code)) expect(value, `${file} ${code}`).toBe(bytes);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
});
