import { describe, expect, it } from 'vitest';
import { formatClock, formatCount, formatDuration, formatShare, formatTime, formatUnit } from '../../src/cli/format.ts';
import { progressLine, type Sample } from '../../src/cli/progress.ts';
import { bar, describeTerminal, printable } from '../../src/cli/terminal.ts';

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1.00 kB'],
    [1000, '1.00 kB'],
    [9994, '9.99 kB'],
    [9995, '10.0 kB'],
    [99_949, '99.9 kB'],
    [99_950, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [1.5e21, '1500 EB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatUnit(bytes, 'B')).toBe(text));

  it.each([
    [0, '0 ms'],
    [0.9994, '999 ms'],
    [0.9996, '1.00 s'],
    [9.99, '9.99 s'],
    [9.996, '10.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 0 s'],
    [3599.4, '59 min 59 s'],
    [3599.6, '1 h 0 min'],
    [86_399, '1 d 0 h'],
    [100_000, '1 d 4 h'],
  ])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it('have their other forms', () => {
    expect([7, 59.2, 60, 3723].map(formatClock)).toEqual(['0:07', '1:00', '1:00', '1:02:03']);
    expect([0, 0.001, 0.005, 0.354, 1].map(formatShare)).toEqual(['0 %', '<1 %', '1 %', '35 %', '100 %']);
    expect(formatCount(1234567)).toBe('1,234,567');
    expect([1472393122365.661, 9e15].map(formatTime)).toEqual(['2016-08-28 14:05:22', '']);
  });
});

describe('a terminal', () => {
  const utf8 = describeTerminal(true, 100, { LANG: 'en_US.UTF-8', TERM: 'xterm' });

  it('has colours, width and blocks by the environment', () => {
    expect(utf8).toEqual({ isTerminal: true, columns: 100, hasColor: true, hasUnicode: true });
    expect(describeTerminal(true, 100, { NO_COLOR: '1' }).hasColor).toBe(false);
    expect(describeTerminal(true, 100, { NO_COLOR: '' }).hasColor).toBe(true);
    expect(describeTerminal(true, 100, { TERM: 'dumb' }).hasColor).toBe(false);
    expect(describeTerminal(false, 0, { LANG: 'C.utf8' })).toEqual({
      isTerminal: false,
      columns: 80,
      hasColor: false,
      hasUnicode: true,
    });
    expect(describeTerminal(true, 80, { LC_ALL: 'C', LANG: 'C.UTF-8' }).hasUnicode).toBe(false);
    expect(describeTerminal(true, 80, {}).hasUnicode).toBe(false);
  });

  it('shows a bar to an eighth of a character, and the smallest share', () => {
    expect([0, 0.001, 0.5, 0.55, 1, 2].map((share) => bar(utf8, share, 4))).toEqual([
      '',
      '▏',
      '██',
      '██▎',
      '████',
      '████',
    ]);
    const ascii = describeTerminal(true, 80, {});
    expect([0, 0.001, 0.5, 1].map((share) => bar(ascii, share, 4))).toEqual(['', '#', '##', '####']);
  });

  it('is not moved by what files are named', () => {
    expect(printable('a\nb\x1b[2J\u202e\x9b\u2028é')).toBe('a\\nb\\u001b[2J\\u202e\\u009b\\u2028é');
  });

  it('gets a progress line that says how far, how fast, how many and how long', () => {
    const samples: Sample[] = [
      { ms: 1000, position: 0, packets: 0, bytes: 0 },
      { ms: 3000, position: 50e6, packets: 3e6, bytes: 50e6 },
    ];
    const dull = { ...utf8, hasColor: false };
    expect(progressLine(samples, 200e6, 12345, dull)).toBe(
      '█████                 25 %  50.0 MB  1.50 M packets/s  12,345 flows  0:06 left',
    );
    expect(progressLine(samples, null, 1, dull)).toBe('50.0 MB  1.50 M packets/s  1 flows');
    expect(progressLine(samples.slice(1), 200e6, 0, dull)).toBe(
      '█████                 25 %  50.0 MB  0 packets/s  0 flows',
    );
    for (const columns of [40, 25, 10]) {
      const narrow = { ...dull, columns: describeTerminal(true, columns, {}).columns };
      expect(progressLine(samples, 200e6, 12345, narrow)).toHaveLength(columns - 1);
    }
  });
});
