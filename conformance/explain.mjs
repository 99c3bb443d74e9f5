// Which of NFStream's ways (imitations.mjs) turn our flows of a capture into the expected ones.
//
// The capture is metered again with kinds imitated, alone and together, in search of the set of kinds that leaves the
// fewest rows unequal and is the smallest of those. What it leaves is unexplained: nothing is explained by its looks.
import { compareFlows, identity } from './compare.mjs';
import { readFrames, writeCapture } from './frames.mjs';
import { KINDS } from './imitations.mjs';

/**
 * @typedef {import('./expected.mjs').Row} Row
 * @typedef {import('./compare.mjs').Difference} Difference
 * @typedef {object} Explanation
 * @property {string[]} kinds of each difference given, `+` between those that are needed together; '' for none
 * @property {string} imitated the kinds, all of them
 * @property {Difference[]} unexplained what stays different with the kinds imitated
 */

/**
 * @param {import('./frames.mjs').Library} library
 * @param {string} path of the capture
 * @param {readonly Row[]} expected
 * @param {readonly Difference[]} differences between them and our rows
 * @param {(source: Uint8Array) => Promise<Row[]>} meter
 * @returns {Promise<Explanation>}
 */
export async function explain(library, path, expected, differences, meter) {
  const capture = await readFrames(library, path);
  const trials = new Trials(library, capture, expected, meter);
  const applicable = KINDS.filter(({ imitate }) => imitate(capture.frames, library, capture) !== capture.frames);
  const names = applicable.map(({ name }) => name);
  const fromNone = await climb(trials, names, []);
  const fromAll = fromNone.unequal === 0 ? fromNone : await climb(trials, names, names);
  const best = isBetter(fromAll, fromNone) ? fromAll : fromNone;
  const without = await Promise.all(best.kinds.map((kind) => trials.run(toggled(best.kinds, kind))));
  const kinds = differences.map(({ expected: theirs, ours }) => {
    const isExplained =
      (theirs === undefined || !best.missing.has(identity(theirs))) &&
      (ours === undefined || !best.extra.has(identity(ours)));
    if (!isExplained) return '';
    const needed = best.kinds.filter((_, i) =>
      theirs === undefined ? without[i].extra.has(identity(ours)) : without[i].missing.has(identity(theirs)),
    );
    return (needed.length > 0 ? needed : best.kinds).join('+');
  });
  return { kinds, imitated: best.kinds.join('+'), unexplained: best.differences };
}

/**
 * @typedef {object} Trial
 * @property {readonly string[]} kinds imitated
 * @property {number} unequal rows, on both sides
 * @property {Difference[]} differences
 * @property {Set<string>} missing identities of the expected rows that are not there
 * @property {Set<string>} extra identities of those that are and were not expected
 */

class Trials {
  #library;
  #capture;
  #expected;
  #meter;
  /** @type {Map<string, Promise<Trial>>} */
  #known = new Map();

  constructor(library, capture, expected, meter) {
    this.#library = library;
    this.#capture = capture;
    this.#expected = expected;
    this.#meter = meter;
  }

  /** @param {readonly string[]} kinds @returns {Promise<Trial>} */
  run(kinds) {
    const key = [...kinds].sort().join('+');
    if (!this.#known.has(key)) this.#known.set(key, this.#try(kinds));
    return this.#known.get(key);
  }

  async #try(names) {
    const kinds = KINDS.filter(({ name }) => names.includes(name));
    const capture = this.#capture;
    const frames = kinds.reduce((list, { imitate }) => imitate(list, this.#library, capture), capture.frames);
    const { differences } = compareFlows(this.#expected, await this.#meter(writeCapture(frames)));
    const missing = differences.flatMap(({ expected }) => (expected === undefined ? [] : [identity(expected)]));
    const extra = differences.flatMap(({ ours }) => (ours === undefined ? [] : [identity(ours)]));
    return {
      kinds: kinds.map(({ name }) => name),
      unequal: missing.length + extra.length,
      differences,
      missing: new Set(missing),
      extra: new Set(extra),
    };
  }
}

/** Adds or removes one kind at a time for as long as that makes it better. */
async function climb(trials, names, start) {
  let best = await trials.run(start);
  for (let isBest = false; !isBest; ) {
    isBest = true;
    for (const neighbour of names.map((name) => toggled(best.kinds, name))) {
      const trial = await trials.run(neighbour);
      if (isBetter(trial, best)) {
        best = trial;
        isBest = false;
      }
    }
  }
  return best;
}

function isBetter(a, b) {
  return a.unequal < b.unequal || (a.unequal === b.unequal && a.kinds.length < b.kinds.length);
}

function toggled(kinds, kind) {
  return kinds.includes(kind) ? kinds.filter((one) => one !== kind) : [...kinds, kind];
}
