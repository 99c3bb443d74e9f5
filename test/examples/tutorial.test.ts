// The tutorial's programs, run as users run them, against values that tshark counts: its own dissection of each frame,
// grouped into flows here by addresses, ports and protocol. The captures are short enough for no timeout to split a
// flow, which is checked.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';

const ROOT = join(import.meta.dirname, '../..');
const JITI = join(ROOT, 'node_modules/jiti/lib/jiti-cli.mjs');
const SHARED = '../shared/captures/nfstream';
const CAPTURES = [
  'fixtures/demo.pcapng',
  `${SHARED}/devil.pcap`,
  `${SHARED}/facebook.pcap`,
  `${SHARED}/instagram.pcap`,
  `${SHARED}/http_ipv6.pcap`,
  `${SHARED}/quic.pcap`,
];

const INACTIVE_TIMEOUT = 30;
const ACTIVE_TIMEOUT = 60;

const FIELDS = [
  'frame.time_epoch',
  'frame.len',
  'frame.protocols',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'udp.srcport',
  'udp.dstport',
];

interface Seen {
  time: number;
  length: number;
  isForth: boolean;
}

/** Each flow's packets in order, by `SRC:PORT -> DST:PORT` of its first one; TCP and UDP apart. */
function flowsByTshark(capture: string): { name: string; packets: Seen[] }[] {
  const flows = new Map<string, { name: string; packets: Seen[] }>();
  for (const row of tsharkRows(join(ROOT, capture), FIELDS, ['-E', 'occurrence=f'])) {
    const [time, length, protocols, src4, dst4, src6, dst6, ...ports] = row;
    const src = src4 || src6;
    const dst = dst4 || dst6;
    if (!src || !dst) continue;
    // What an ICMP error quotes has ports, which are not its own.
    const [layer = 'other'] = /:icmp|:icmpv6/.test(protocols)
      ? ['icmp']
      : (/:(tcp|udp)/.exec(protocols)?.slice(1) ?? []);
    const [srcPort, dstPort] = layer === 'tcp' ? ports : layer === 'udp' ? ports.slice(2) : ['0', '0'];
    const from = `${src}:${srcPort || 0}`;
    const to = `${dst}:${dstPort || 0}`;
    const forth = `${layer} ${from} -> ${to}`;
    const back = `${layer} ${to} -> ${from}`;
    const isForth = flows.has(forth) || !flows.has(back);
    const key = isForth ? forth : back;
    const flow = flows.get(key) ?? { name: `${from} -> ${to}`, packets: [] };
    flow.packets.push({ time: Number(time), length: Number(length), isForth });
    flows.set(key, flow);
  }
  return [...flows.values()];
}

/** The lines of an example's output. */
function outputOf(example: string, capture: string): string[] {
  const out = execFileSync(process.execPath, [JITI, `examples/${example}`, capture], { cwd: ROOT, encoding: 'utf8' });
  return out.trimEnd().split('\n').sort();
}

describe.skipIf(!HAS_TSHARK)('the tutorial (skipped without tshark)', () => {
  describe.each(CAPTURES)('on %s (skipped where it is absent)', (capture) => {
    const isThere = existsSync(join(ROOT, capture));
    const flows = isThere && HAS_TSHARK ? flowsByTshark(capture) : [];
    const expected = (value: (packets: readonly Seen[]) => number) =>
      flows.map(({ name, packets }) => `${name} ${value(packets)}`).sort();

    it.skipIf(!isThere)('has flows that no timeout splits', () => {
      expect(flows.length).toBeGreaterThan(0);
      for (const { packets } of flows) {
        const times = packets.map(({ time }) => time);
        expect(times[times.length - 1] - times[0]).toBeLessThan(ACTIVE_TIMEOUT);
        times.slice(1).forEach((time, i) => {
          expect(time - times[i]).toBeLessThan(INACTIVE_TIMEOUT);
        });
      }
    });

    it.skipIf(!isThere)(`count-big-packets.ts counts what tshark counts in ${basename(capture)}`, () => {
      const counts = expected((packets) => packets.filter(({ length }) => length > 666).length);
      expect(counts.some((line) => !line.endsWith(' 0'))).toBe(true);
      expect(outputOf('count-big-packets.ts', capture)).toEqual(counts);
    });

    it.skipIf(!isThere)(`fourth-packet-size.ts finds the packet that tshark finds in ${basename(capture)}`, () => {
      const sizes = expected((packets) => packets.filter(({ isForth }) => isForth)[3]?.length ?? 0);
      expect(sizes.some((line) => !line.endsWith(' 0'))).toBe(true);
      expect(outputOf('fourth-packet-size.ts', capture)).toEqual(sizes);
    });
  });
});

it('the examples read the demo when no capture is given, from the project’s root', () => {
  for (const example of ['count-big-packets.ts', 'fourth-packet-size.ts']) {
    expect(execFileSync(process.execPath, [JITI, `examples/${example}`], { cwd: ROOT, encoding: 'utf8' })).toContain(
      ' -> ',
    );
  }
});
