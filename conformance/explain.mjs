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
 * @property {Record<string, string>[]} columnKinds of each difference, those of each column that differs
 * @property {string} imitated the kinds, all of them
 * @property {Difference[]} unexplained what stays different with the kinds imitated
 *
 * @typedef {object} Question
 * @property {readonly Row[]} expected
 * @property {readonly string[]} columns that are compared
 * @property {readonly Row[]} ours
 * @property {readonly Difference[]} differences between the two
 * @property {(source: Uint8Array) => Promise<Row[]>} meter
 */

/**
 * @param {import('./frames.mjs').Library} library
 * @param {string} path of the capture
 * @param {Question} question
 * @returns {Promise<Explanation>}
 */
export async function explain(library, path, question) {
  const capture = await readFrames(library, path);
  const trials = new Trials(library, capture, question);
  const applicable = KINDS.filter(({ imitate, imitateRows }) =>
    imitate === undefined
      ? imitateRows(question.ours) !== question.ours
      : imitate(capture.frames, library, capture) !== capture.frames,
  );
  const names = applicable.map(({ name }) => name);
  const fromNone = await climb(trials, names, []);
  const fromAll = fromNone.unequal === 0 ? fromNone : await climb(trials, names, names);
  const best = isBetter(fromAll, fromNone) ? fromAll : fromNone;
  const without = await Promise.all(best.kinds.map((kind) => trials.run(toggled(best.kinds, kind))));
  const explained = question.differences.map((difference) => attribute(difference, best, without, question.columns));
  return {
    kinds: explained.map(({ kinds }) => kinds),
    columnKinds: explained.map(({ columns }) => columns),
    imitated: best.kinds.join('+'),
    unexplained: best.differences,
  };
}

/** The kinds without which the difference is there, and of each column those without which that column differs. */
function attribute({ expected, ours, columns }, best, without, compared) {
  const theirs = expected === undefined ? undefined : identity(expected, compared);
  const own = ours === undefined ? undefined : identity(ours, compared);
  const isExplained =
    (theirs === undefined || !best.missing.has(theirs)) && (own === undefined || !best.extra.has(own));
  if (!isExplained) return { kinds: '', columns: Object.fromEntries(columns.map((column) => [column, ''])) };
  const joined = (needed) => (needed.length > 0 ? needed : best.kinds).join('+');
  const kinds = best.kinds.filter((_, i) =>
    theirs === undefined ? without[i].extra.has(own) : without[i].missing.has(theirs),
  );
  const kindsOf = (column) => best.kinds.filter((_, i) => without[i].missing.get(theirs)?.includes(column));
  return {
    kinds: joined(kinds),
    columns: Object.fromEntries(
      columns.map((column) => {
        const own = kindsOf(column);
        return [column, joined(own.length > 0 ? own : kinds)];
      }),
    ),
  };
}

/**
 * @typedef {object} Trial
 * @property {readonly string[]} kinds imitated
 * @property {number} unequal rows, on both sides
 * @property {Difference[]} differences
 * @property {Map<string, readonly string[]>} missing identities of the expected rows that are not there, with the
 * columns in which the row that is there instead differs
 * @property {Set<string>} extra identities of those that are and were not expected
 */

class Trials {
  #library;
  #capture;
  #question;
  /** @type {Map<string, Promise<Trial>>} */
  #known = new Map();

  constructor(library, capture, question) {
    this.#library = library;
    this.#capture = capture;
    this.#question = question;
  }

  /** @param {readonly string[]} kinds @returns {Promise<Trial>} */
  run(kinds) {
    const key = [...kinds].sort().join('+');
    if (!this.#known.has(key)) this.#known.set(key, this.#try(kinds));
    return this.#known.get(key);
  }

  async #try(names) {
    const kinds = KINDS.filter(({ name }) => names.includes(name));
    const { expected, columns } = this.#question;
    const { differences } = compareFlows(expected, await this.#meter(kinds), columns);
    const missing = differences.filter((difference) => difference.expected !== undefined);
    const extra = differences.filter((difference) => difference.ours !== undefined);
    return {
      kinds: kinds.map(({ name }) => name),
      unequal: missing.length + extra.length,
      differences,
      missing: new Map(missing.map((one) => [identity(one.expected, columns), one.columns])),
      extra: new Set(extra.map((one) => identity(one.ours, columns))),
    };
  }

  async #meter(kinds) {
    const { ours, meter } = this.#question;
    const capture = this.#capture;
    const frames = kinds.reduce((list, { imitate }) => imitate?.(list, this.#library, capture) ?? list, capture.frames);
    const rows = frames === capture.frames ? ours : await meter(writeCapture(frames));
    return kinds.reduce((list, { imitateRows }) => imitateRows?.(list) ?? list, rows);
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
