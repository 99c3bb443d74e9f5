import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mdnsNames } from '../../src/metric/mdns-names.ts';
import { type Bytes, concat, EMPTY, encodePcap, hex, ipv4, u8, u16, u32, udp } from '../packet/encode.ts';
import { HAS_TSHARK } from '../tshark.ts';
import { captures, meter, tsharkFields } from './tshark-fields.ts';

const ROOT = u8(0);
/** Labels, uncompressed; a last part of bytes (a pointer, say) in place of the root. */
const name = (...labels: (string | Bytes)[]): Bytes => {
  const last = labels.at(-1);
  const texts = labels.filter((label) => typeof label === 'string').map((label) => Buffer.from(label));
  return concat(...texts.map((text) => concat(u8(text.length), text)), last instanceof Uint8Array ? last : ROOT);
};
const pointer = (at: number) => u16(0xc000 | at);
const record = (owner: Bytes, type: number, data: Bytes = EMPTY) =>
  concat(owner, u16(type, 1), u32(120), u16(data.length), data);
const question = (owner: Bytes) => concat(owner, u16(12, 1));
const A = 1;
const PTR = 12;
const SRV = 33;

interface Message {
  isResponse?: boolean;
  questions?: Bytes[];
  answers?: Bytes[];
  authority?: Bytes[];
  additional?: Bytes[];
}

function message({ isResponse = true, questions = [], answers = [], authority = [], additional = [] }: Message): Bytes {
  const counts = [questions, answers, authority, additional].map((list) => list.length);
  const head = u16(0, isResponse ? 0x8400 : 0, ...counts);
  return concat(head, ...questions, ...answers, ...authority, ...additional);
}

const packet = (bytes: Bytes, port = 5353) =>
  ipv4({ protocol: 17, src: '10.0.0.1', dst: '224.0.0.251' }, udp({ srcPort: port, dstPort: port }, bytes));
const capture = (packets: readonly Bytes[]) =>
  encodePcap(
    101,
    packets.map((bytes) => ({ bytes })),
  );
const namesOf = async (packets: Bytes[], options = {}) => (await meter(capture(packets), mdnsNames(options)))[0]?.value;

describe('mdnsNames', () => {
  it('lists owners, and targets of PTR and SRV, of responses, each once, over packets', async () => {
    const service = name('_ipp', '_tcp', 'local');
    const first = message({
      answers: [record(service, PTR, name('Printer', pointer(12)))],
      additional: [record(name('printer', 'local'), A, hex('0a000001'))],
    });
    const second = message({
      answers: [
        record(name('Printer', '_ipp', '_tcp', 'local'), SRV, concat(u16(0, 0, 631), name('other', 'local'))),
        record(name('printer', 'local'), A, hex('0a000001')),
      ],
    });
    expect(await namesOf([packet(first), packet(second)])).toEqual([
      '_ipp._tcp.local',
      'Printer._ipp._tcp.local',
      'printer.local',
      'other.local',
    ]);
  });

  it('escapes dots and backslashes within labels (RFC 6763 section 4.3), and keeps UTF-8', async () => {
    const answers = [record(name('Luca’s 2.0 \\ Mac', 'local'), A)];
    expect(await namesOf([packet(message({ answers }))])).toEqual(['Luca’s 2\\.0 \\\\ Mac.local']);
    // A byte order mark is part of the name, not of an encoding.
    const marked = message({ answers: [record(name('\u{feff}a', 'local'), A), record(name('a', 'local'), A)] });
    expect(await namesOf([packet(marked)])).toEqual(['\u{feff}a.local', 'a.local']);
  });

  it('leaves out what is asked for and already known, but for `questions`, and reads what a probe claims', async () => {
    const query = message({
      isResponse: false,
      questions: [question(name('_ipp', '_tcp', 'local'))],
      answers: [record(name('known', 'local'), PTR, name('target', 'local'))],
      authority: [record(name('mine', 'local'), A)],
    });
    expect(await namesOf([packet(query)])).toEqual(['mine.local']);
    expect(await namesOf([packet(query)], { questions: true })).toEqual([
      '_ipp._tcp.local',
      'known.local',
      'target.local',
      'mine.local',
    ]);
  });

  it('is bounded', async () => {
    const answers = Array.from({ length: 100 }, (_, i) => record(name(`n${i}`, 'local'), A));
    expect(await namesOf([packet(message({ answers }))])).toHaveLength(64);
    expect(await namesOf([packet(message({ answers }))], { limit: 3 })).toEqual(['n0.local', 'n1.local', 'n2.local']);
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      expect(() => mdnsNames({ limit })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    }
  });

  it('is null for other flows and empty for messages without names', async () => {
    const bytes = message({ answers: [record(name('a', 'local'), A)] });
    expect(await namesOf([packet(bytes, 53)])).toBe(null);
    expect(await namesOf([packet(message({}))])).toEqual([]);
    expect(await namesOf([packet(message({ additional: [record(ROOT, 41)] }))])).toEqual([]);
  });

  it('stops at names that loop, point forwards, or are too long', async () => {
    const before = record(name('a', 'local'), A);
    const after = record(name('b', 'local'), A);
    const at = 12 + before.length;
    const bad = [
      pointer(at),
      pointer(at + 2),
      name('x', pointer(at)),
      hex('80 00'),
      hex('40 00'),
      name(...Array<string>(5).fill('x'.repeat(60))),
    ];
    for (const owner of bad) {
      const answers = [before, record(owner, A), after];
      expect(await namesOf([packet(message({ answers }))])).toEqual(['a.local']);
    }
    // Three labels of 63 bytes and one of 61, with their lengths and the root: 255 bytes, the longest name.
    const longest = [...Array<string>(3).fill('x'.repeat(63)), 'x'.repeat(61)];
    expect(await namesOf([packet(message({ answers: [record(name(...longest), A)] }))])).toEqual([longest.join('.')]);
    expect(await namesOf([packet(message({ answers: [record(name(...longest, 'y'), A)] }))])).toEqual([]);
  });

  it('gives the names before the cut of a message that is cut anywhere', async () => {
    const bytes = message({
      answers: [record(name('a', 'local'), PTR, name('b', pointer(14))), record(name('c', 'local'), A, u32(1))],
    });
    const all = ['a.local', 'b.local', 'c.local'];
    let longest = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const names = (await namesOf([packet(bytes.subarray(0, length))])) as string[];
      expect(names).toEqual(all.slice(0, names.length));
      expect(names.length).toBeGreaterThanOrEqual(longest);
      longest = names.length;
    }
    expect(longest).toBe(3);
  });

  it('takes any bytes', async () => {
    const pieces = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(pointer(12), name('a', 'local'), u16(1)));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.array(pieces), async (head, parts) => {
        const names = await namesOf([packet(concat(head, ...parts))], { questions: true });
        expect(Array.isArray(names)).toBe(true);
        expect(new Set(names).size).toBe(names?.length);
      }),
      { numRuns: 200 },
    );
  });

  const files = captures([
    'nfstream/iphone.pcap',
    'nfstream/anyconnect-vpn.pcap',
    'nfstream/wa_voice.pcap',
    'nfstream/android.pcap',
    'ndpi/gnutella.pcap',
  ]);
  it.skipIf(!HAS_TSHARK || files.length === 0)('agrees with tshark (needs ../shared/captures)', async () => {
    let compared = 0;
    for (const file of files) {
      const fields = ['dns.resp.name', 'dns.ptr.domain_name', 'dns.srv.target', 'dns.qry.name'];
      const all = new Set<string>();
      const announced = new Set<string>();
      for (const row of tsharkFields(file, ['dns.flags.response', ...fields], ['-Y', 'mdns && udp && !icmp'])) {
        const [[isResponse], ...names] = row;
        for (const text of names.flat().filter((text) => text !== '<Root>')) {
          all.add(text);
          // tshark 4.0 writes a boolean as 1 or True.
          if (['1', 'True'].includes(isResponse)) announced.add(text);
        }
      }
      // tshark does not escape what is within a label.
      const plain = (text: string) => text.replace(/\\(.)/g, '$1');
      const listed = async (questions: boolean) => {
        const flows = await meter(file, mdnsNames({ limit: 65_536, questions }));
        return new Set(flows.flatMap(({ value }) => value ?? []).map(plain));
      };
      expect([...(await listed(true))].sort(), file).toEqual([...all].sort());
      const ours = await listed(false);
      expect(
        [...announced].filter((text) => !ours.has(text)),
        file,
      ).toEqual([]);
      compared += all.size;
    }
    expect(compared).toBeGreaterThan(30);
  });
});
