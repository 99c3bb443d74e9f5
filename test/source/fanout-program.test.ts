// The program by which the kernel shares packets out, run here on the fixtures: whole flows, both directions, fragments
// and what tunnels carry give one hash, whether the kernel shows a packet as coming in or as going out.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BpfFunction, validateBpf } from '../../src/packet/bpf.ts';
import { interpretBpf } from '../../src/packet/bpf-interpreter.ts';
import { LD_IMM } from '../../src/packet/bpf-opcode.ts';
import { KEY_META, KEY_WORDS, METERED } from '../../src/packet/packet-columns.ts';
import { PacketDecoder } from '../../src/packet/packet-decoder.ts';
import { FilterAndDecode } from '../../src/packet/packet-stage.ts';
import { fanoutProgram } from '../../src/source/fanout-program.ts';
import { openSource } from '../../src/source/open-source.ts';
import { PacketBatch, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';

const ETHERNET = 1;
const AD_PROTOCOL = 0xffff_f000;
const AD_PKTTYPE = 0xffff_f004;
const AD_HATYPE = 0xffff_f01c;
const OUTGOING = 4;
const TCP = 6;

/** The program with what the kernel knows besides the packet as constants. */
function programFor(pktType: number, protocol: number): BpfFunction {
  const program = fanoutProgram();
  const known = new Map([
    [AD_PROTOCOL, protocol],
    [AD_PKTTYPE, pktType],
    [AD_HATYPE, 1],
  ]);
  for (let i = 0; i < program.length; i += 2) {
    const value = known.get(program[i + 1]);
    if (value !== undefined) program.set([LD_IMM, value], i);
  }
  validateBpf(program);
  return interpretBpf(program);
}

const programs = new Map<string, BpfFunction>();

function hashOf(view: DataView, at: number, length: number, isOutgoing: boolean): number {
  const type = view.getUint16(at + 12);
  const name = `${isOutgoing} ${type}`;
  const run = programs.get(name) ?? programFor(isOutgoing ? OUTGOING : 0, type);
  programs.set(name, run);
  return isOutgoing ? run(view, at, length, length) : run(view, at + 14, length - 14, length - 14);
}

/** A flow's key that is the same for both directions, as text. */
function keyOf(key: Int32Array, at: number): string {
  const ports = key[at + 8] >>> 0;
  const ends = [
    [...key.subarray(at, at + 4), ports >>> 16].join('.'),
    [...key.subarray(at + 4, at + 8), ports & 0xffff].join('.'),
  ];
  return [...ends.sort(), key[at + 9], key[at + 10]].join(' ');
}

/** The hashes of each flow's frames, by flow. Later fragments of TCP segments, which may go astray, are left out. */
async function hashesOf(name: string): Promise<Map<string, Set<number>>> {
  const source = openSource(join(import.meta.dirname, '..', '..', 'fixtures', name));
  const decoder = new PacketDecoder({ decodeTunnels: true, fragments: 'assign', snaplen: 65535 });
  const packets = new FilterAndDecode(null, decoder);
  const batch = new PacketBatch();
  const flows = new Map<string, Set<number>>();
  await source.open();
  for (let rows = source.read(batch); rows !== SOURCE_END; rows = source.read(batch)) {
    if (rows === SOURCE_WAIT) {
      await source.fill();
      continue;
    }
    packets.apply(batch);
    for (let row = 0; row < rows; row++) {
      const { status, key, isLaterFragment } = packets.columns;
      if (status[row] !== METERED || batch.linkType[row] !== ETHERNET) continue;
      const at = row * KEY_WORDS;
      if (isLaterFragment[row] === 1 && (key[at + KEY_META] & 0xff) === TCP) continue;
      const hashes = [false, true].map((out) => hashOf(batch.view, batch.frameAt[row], batch.capturedLength[row], out));
      expect(hashes[0]).toBe(hashes[1]);
      const seen = flows.get(keyOf(key, at)) ?? new Set<number>();
      flows.set(keyOf(key, at), seen.add(hashes[0]));
    }
  }
  await source.close();
  return flows;
}

describe('the fanout program', () => {
  it('fits into what the kernel takes', () => {
    const program = fanoutProgram();
    expect(program.length / 2).toBeLessThan(4096);
    validateBpf(program);
  });

  for (const name of ['demo.pcapng', 'fragments.pcap', 'vlan.pcap', 'qinq.pcap', 'tunnels.pcapng']) {
    it(`gives all packets of a flow one hash: ${name}`, async () => {
      const flows = await hashesOf(name);
      expect(flows.size).toBeGreaterThan(5);
      for (const [flow, hashes] of flows) expect([...hashes], flow).toHaveLength(1);
    });
  }

  it('shares connections of two hosts out, and hosts', async () => {
    const meters = [0, 0];
    const flows = [...(await hashesOf('demo.pcapng')).values()].map(([hash]) => hash);
    for (const hash of flows) meters[hash % 2]++;
    expect(Math.min(...meters)).toBeGreaterThan(flows.length / 5);
    expect(flows).not.toContain(0);
  });
});
