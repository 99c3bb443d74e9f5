import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAGMENT_LIFETIME_MS, FragmentTable, IDENTITY_ID } from '../../src/packet/fragment-table.ts';
import { KEY_PORTS, KEY_WORDS } from '../../src/packet/packet-columns.ts';

/** Remembers `ports` for packet `id`, and looks it up again. */
class Probe {
  readonly table: FragmentTable;
  readonly #keys = new Int32Array(KEY_WORDS * 2);
  constructor(size: number) {
    this.table = new FragmentTable(size);
  }
  put(id: number, ports: number, timeMs: number): void {
    this.table.identity[IDENTITY_ID] = id;
    this.#keys[KEY_WORDS + KEY_PORTS] = ports;
    this.table.put(this.#keys, 1, timeMs);
  }
  find(id: number, timeMs: number): number | null {
    this.table.identity[IDENTITY_ID] = id;
    this.#keys[KEY_PORTS] = 0;
    return this.table.find(this.#keys, 0, timeMs) ? this.#keys[KEY_PORTS] : null;
  }
}

describe('FragmentTable', () => {
  it('gives back the key of the packet, as often as it is asked for', () => {
    const probe = new Probe(64);
    probe.put(1, 1234, 1000);
    expect(probe.find(1, 1001)).toBe(1234);
    expect(probe.find(1, 1002)).toBe(1234);
    expect(probe.find(2, 1002)).toBeNull();
  });

  it('tells identities apart by every word', () => {
    const { table } = new Probe(64);
    const keys = new Int32Array(KEY_WORDS);
    table.identity.fill(3);
    table.put(keys, 0, 0);
    for (let word = 0; word < table.identity.length; word++) {
      table.identity[word] = 4;
      expect(table.find(keys, 0, 0), `word ${word}`).toBe(false);
      table.identity[word] = 3;
      expect(table.find(keys, 0, 0)).toBe(true);
    }
  });

  it('copies every word of the key', () => {
    const { table } = new Probe(4);
    const keys = Int32Array.from({ length: KEY_WORDS * 2 }, (_, word) => word + 1);
    table.put(keys, 0, 0);
    table.find(keys, 1, 0);
    expect(keys.subarray(KEY_WORDS)).toEqual(keys.subarray(0, KEY_WORDS));
  });

  it('lets an entry die after its lifetime, in packet time, and steps of the clock count both ways', () => {
    const probe = new Probe(64);
    const start = 1_600_000_000_000.25;
    probe.put(1, 77, start);
    expect(probe.find(1, start + FRAGMENT_LIFETIME_MS)).toBe(77);
    expect(probe.find(1, start + FRAGMENT_LIFETIME_MS + 1)).toBeNull();
    expect(probe.find(1, start - FRAGMENT_LIFETIME_MS)).toBe(77);
    expect(probe.find(1, start - FRAGMENT_LIFETIME_MS - 1)).toBeNull();
  });

  it('replaces the entry when an identification is used again', () => {
    const probe = new Probe(4);
    for (let time = 0; time < 100; time++) {
      probe.put(9, time, time);
      expect(probe.find(9, time)).toBe(time);
    }
    for (let id = 0; id < 3; id++) probe.put(id, id, 200);
    expect(probe.find(9, 200)).toBe(99);
  });

  it('overwrites the oldest when it is full', () => {
    const probe = new Probe(1);
    for (const id of [0, 1, 2, 3]) probe.put(id, id + 100, 10 - id);
    probe.put(4, 104, 20);
    expect([0, 1, 2, 3, 4].map((id) => probe.find(id, 20))).toEqual([100, 101, 102, null, 104]);
  });

  it('never gives a wrong key, and forgets only when full, whatever comes', () => {
    const steps = fc.array(fc.record({ id: fc.nat(200), isPut: fc.boolean() }), { maxLength: 500 });
    fc.assert(
      fc.property(steps, (list) => {
        const small = new Probe(32);
        const large = new Probe(4096);
        const model = new Map<number, number>();
        for (const [time, { id, isPut }] of list.entries()) {
          if (isPut) {
            small.put(id, time, time);
            large.put(id, time, time);
            model.set(id, time);
          } else {
            const wanted = model.get(id) ?? null;
            expect(large.find(id, time)).toBe(wanted);
            expect([null, wanted]).toContain(small.find(id, time));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('spreads consecutive identifications over its buckets', () => {
    const probe = new Probe(4096);
    for (let id = 0; id < 1000; id++) probe.put(id, id, 0);
    let found = 0;
    for (let id = 0; id < 1000; id++) if (probe.find(id, 0) === id) found++;
    expect(found).toBeGreaterThan(990);
  });
});
