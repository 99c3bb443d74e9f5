import { describe, expect, it } from 'vitest';
import { LiveClock } from '../../src/source/live-clock.ts';

/** A machine whose system clock can be set; its monotonic clock began somewhere else. */
class Machine {
  #trueMs = 5_000;
  offsetMs = 1_700_000_000_000;
  readonly clock = new LiveClock(
    () => Math.floor(this.system),
    () => this.#trueMs,
  );

  get system(): number {
    return this.#trueMs + this.offsetMs;
  }

  pass(ms: number): void {
    this.#trueMs += ms;
  }

  /** What the clock says of packets with these time stamps, read now. */
  read(...stamps: number[]): number[] {
    const clockMs = new Float64Array(stamps.length);
    this.clock.read(Float64Array.from(stamps), clockMs, stamps.length);
    return [...clockMs];
  }
}

const HOUR = 3_600_000;

describe('the clock of a live source', () => {
  it('gives packets their time stamps, exactly, while nobody sets the system clock', () => {
    const machine = new Machine();
    for (let i = 0; i < 100; i++) {
      machine.pass(7.123);
      const stamps = [machine.system - 40.5, machine.system - 0.000_25, machine.system];
      expect(machine.read(...stamps)).toEqual(stamps);
    }
  });

  it.each([
    ['forward', HOUR],
    ['back', -HOUR],
    ['forward by half a second', 500],
    ['back by half a second', -500],
  ])('goes on evenly when the system clock is set %s', (_name, step) => {
    const machine = new Machine();
    const start = machine.clock.now();
    machine.pass(1000);
    const before = machine.system;
    machine.offsetMs += step;
    machine.pass(10);
    expect(machine.clock.now()).toBe(start + 1010);
    // One packet that waited while it was set, one stamped after.
    const [waited, after] = machine.read(before, machine.system);
    expect(after).toBeCloseTo(start + 1010, -1);
    expect(waited).toBeLessThanOrEqual(start + 1010 + 2);
    machine.pass(20_000);
    expect(machine.read(machine.system - 3)[0]).toBeCloseTo(start + 21_007, -1);
  });

  it('never gives a packet a time in the future, whatever its stamp', () => {
    const machine = new Machine();
    const [clockMs] = machine.read(machine.system + HOUR);
    expect(clockMs - machine.clock.now()).toBeLessThanOrEqual(2);
  });

  it('follows slewing, too small at a time to be a step, within 0.1 s', () => {
    const machine = new Machine();
    // 500 ppm for an hour: 1.8 s in all.
    for (let i = 0; i < HOUR; i += 100) {
      machine.pass(100);
      machine.offsetMs += 0.05;
      const [clockMs] = machine.read(machine.system);
      expect(Math.abs(clockMs - machine.clock.now())).toBeLessThan(100);
    }
  });
});
