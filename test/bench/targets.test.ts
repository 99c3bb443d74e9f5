// What `npm run bench -- --check` lets pass. Figures are made up: nothing is timed here.
import { describe, expect, it } from 'vitest';
import { judge, type Target } from '../../bench/targets.mjs';

const passes = (target: Target, figure: number) => judge(target, 'mix', figure).failure === null;

describe('targets of the benchmark', () => {
  it('are met up to their figure, and let pass by the tolerance of a tenth beyond it', () => {
    const target = { name: 'ours / theirs', most: 2 };
    expect(judge(target, 'mix', 2)).toEqual({ text: '<= 2: met', failure: null });
    expect(judge(target, 'mix', 2.1)).toEqual({ text: '<= 2: NOT MET', failure: null });
    expect(judge(target, 'mix', 2.3).failure).toBe('mix: ours / theirs is 2.30, target <= 2');
  });

  it('are about figures that are to be large, too', () => {
    const target = { name: 'theirs / ours', least: 40 };
    expect(judge(target, 'mix', 45).text).toBe('>= 40: met');
    expect(judge(target, 'mix', 37)).toEqual({ text: '>= 40: NOT MET', failure: null });
    expect(passes(target, 35)).toBe(false);
  });

  it('say that they are not met where that was accepted, and fail where it gets worse', () => {
    const target = { name: 'ours / theirs', most: 2, accepted: { mix: 3 } };
    expect(judge(target, 'mix', 3.2)).toEqual({ text: '<= 2: NOT MET (3 accepted)', failure: null });
    expect(passes(target, 3.4)).toBe(false);
    expect(judge(target, 'small', 3).failure).not.toBeNull();
    expect(judge(target, 'mix', 1.9).text).toBe('<= 2: met');
  });

  it('say nothing of captures that they are not about', () => {
    const target = { name: 'peak', most: 500, unit: 'MB', captures: ['flows'] };
    expect(judge(target, 'mix', 900)).toEqual({ text: '', failure: null });
    expect(judge(target, 'flows', 900).text).toBe('<= 500 MB: NOT MET');
  });
});
