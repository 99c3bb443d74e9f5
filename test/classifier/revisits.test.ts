import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Revisits } from '../../src/classifier/revisits.ts';
import { WorkBudget } from '../../src/classifier/work-budget.ts';

describe('Revisits', () => {
  it('gives back what is due, and in which stage it was', () => {
    const revisits = new Revisits<string>([100, 500], 10);
    expect(revisits.add('a', 0, 0)).toBe(true);
    expect(revisits.add('b', 1, 0)).toBe(true);
    expect(revisits.add('c', 2, 0)).toBe(false);
    expect(revisits.takeDue(99)).toBeUndefined();
    expect([revisits.takeDue(100), revisits.stage]).toEqual(['a', 0]);
    expect(revisits.takeDue(499)).toBeUndefined();
    expect([revisits.takeDue(600), revisits.stage]).toEqual(['b', 1]);
    expect([revisits.takeDue(600), revisits.size]).toEqual([undefined, 0]);
  });

  it('takes no more than it has room for', () => {
    const revisits = new Revisits<number>([1, 2], 3);
    expect([0, 1, 2, 3].map((i) => revisits.add(i, i % 2, 0))).toEqual([true, true, true, false]);
    expect(revisits.takeDue(5)).toBe(0);
    expect(revisits.add(4, 1, 5)).toBe(true);
  });

  it('gives back all of it, once, each when due, as a list that is searched would', () => {
    const delays = [3, 10, 40];
    const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(2), fc.nat(4)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (list) => {
        const revisits = new Revisits<number>(delays, 50);
        let model: { item: number; dueMs: number }[] = [];
        let nowMs = 0;
        for (const [item, [passed, stage, taken]] of list.entries()) {
          nowMs += passed;
          if (revisits.add(item, stage, nowMs)) model.push({ item, dueMs: nowMs + delays[stage]! });
          for (let i = 0; i < taken; i++) {
            const given = revisits.takeDue(nowMs);
            const due = model.filter(({ dueMs }) => dueMs <= nowMs).map((entry) => entry.item);
            if (given === undefined) expect(due).toEqual([]);
            else expect(due).toContain(given);
            model = model.filter((entry) => entry.item !== given);
          }
          expect(revisits.size).toBe(model.length);
        }
      }),
    );
  });
});

describe('WorkBudget', () => {
  it('allows a tenth of the time, and a burst after a rest', () => {
    const budget = new WorkBudget();
    let workedMs = 0;
    for (let nowMs = 0; nowMs < 10_000; nowMs++) {
      while (budget.allows(nowMs)) {
        budget.spend(0.5);
        workedMs += 0.5;
      }
    }
    expect(workedMs).toBeGreaterThan(950);
    expect(workedMs).toBeLessThan(1050);
    let burstMs = 0;
    for (; budget.allows(1e6); burstMs += 0.5) budget.spend(0.5);
    expect(burstMs).toBe(10);
  });

  it('is owed what took longer than it had', () => {
    const budget = new WorkBudget();
    expect(budget.allows(0)).toBe(true);
    budget.spend(110);
    expect(budget.allows(999)).toBe(false);
    expect(budget.allows(1010)).toBe(true);
    // A clock that goes back gives nothing.
    budget.spend(50);
    expect(budget.allows(0)).toBe(false);
  });
});
