// Flows' metrics on their way from one thread to another. nDPI's findings, which many flows share: each is sent once, and a
// flow has its number. Those of user code, which nearly always all flows of a batch have: as a table.
import type { Findings } from '../flow/fields/ndpi.ts';
import type { FlowMetrics, MetricValue } from '../flow/schema.ts';

/** What flows have of what was sent so far. */
export interface SharedFindings {
  /** Of each flow: its place among all that was sent. */
  readonly places: Uint32Array;
  /** What is new, a row each, and the place of the first: 0 where all that was sent before is done with. */
  readonly added: MetricTable | null;
  readonly from: number;
}

/**
 * Metrics of the same names. `cells` row by row, as many as there are names: each the place of its value in `values`. Most
 * cells of a batch are one of few texts, and sending a value costs as much as ten cells.
 */
export interface MetricTable {
  readonly rows: number;
  readonly names: readonly string[];
  readonly values: readonly MetricValue[];
  readonly cells: Uint32Array;
}

/** Findings that both threads keep at most; then they begin anew. */
const MAX_FINDINGS = 4096;

/** A map takes -0 for 0. */
const NEGATIVE_ZERO = Symbol('-0');

/** In the thread that findings come from. */
export class FindingsSender {
  readonly #places = new Map<Findings, number>();

  /** To be received in the order in which it was handed over. */
  hand(list: readonly Findings[]): SharedFindings {
    const known = this.#places;
    if (known.size + list.length > MAX_FINDINGS) known.clear();
    const from = known.size;
    const added: Findings[] = [];
    const places = new Uint32Array(list.length);
    for (let i = 0; i < list.length; i++) {
      const findings = list[i];
      let place = known.get(findings);
      if (place === undefined) {
        place = known.size;
        known.set(findings, place);
        added.push(findings);
      }
      places[i] = place;
    }
    return { places, added: added.length === 0 ? null : (tableOf(added) ?? null), from };
  }
}

/** In the main thread, for each that sends. */
export class FindingsReceiver {
  #all: Findings[] = [];

  receive({ places, added, from }: SharedFindings): Findings[] {
    if (from === 0) this.#all = [];
    const all = this.#all;
    if (added !== null) all.push(...(rowsOf(added) as Findings[]));
    return Array.from(places, (place) => all[place]);
  }
}

/** Undefined where rows differ in their names, or in the order of these. */
export function tableOf(rows: readonly FlowMetrics[]): MetricTable | undefined {
  const names = Object.keys(rows[0]);
  // Assigning to this name would set a prototype.
  if (names.includes('__proto__')) return undefined;
  const values: MetricValue[] = [];
  const places = new Map<unknown, number>();
  const cells = new Uint32Array(rows.length * names.length);
  let at = 0;
  for (const metrics of rows) {
    let column = 0;
    for (const name in metrics) {
      if (name !== names[column++]) return undefined;
      const value = metrics[name];
      const key = value === 0 && Object.is(value, -0) ? NEGATIVE_ZERO : value;
      let place = places.get(key);
      if (place === undefined) {
        place = values.length;
        values.push(value);
        places.set(key, place);
      }
      cells[at++] = place;
    }
    if (column !== names.length) return undefined;
  }
  return { rows: rows.length, names, values, cells };
}

export function rowsOf({ rows, names, values, cells }: MetricTable): FlowMetrics[] {
  // Copied: an object that gets its names one after the other takes several times as long.
  const empty: FlowMetrics = Object.fromEntries(names.map((name) => [name, null]));
  let at = 0;
  return Array.from({ length: rows }, () => {
    const metrics = { ...empty };
    for (const name of names) metrics[name] = values[cells[at++]];
    return metrics;
  });
}
