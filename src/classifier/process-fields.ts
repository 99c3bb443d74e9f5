// The columns that `systemVisibility` adds to `flow.metrics`: listed once, in the order in which they appear.
import type { Column } from '../flow/schema.ts';

export interface ProcessColumn extends Column {
  readonly type: 'string' | 'integer';
}

/** Both are null for a flow of other hosts, and where the process was not found: docs/processes.md says when. */
export const PROCESS_FIELDS = [
  {
    name: 'process_id',
    type: 'integer',
    meaning: 'process on this host whose socket the flow belongs to; of two on this host, the one of ip_src',
  },
  { name: 'process_name', type: 'string', meaning: 'its name, as ps -o comm shows it: 15 bytes at most' },
] as const satisfies readonly ProcessColumn[];

type ProcessField = (typeof PROCESS_FIELDS)[number];

/** What `systemVisibility` adds to `flow.metrics`. */
export type ProcessMetrics = {
  [F in ProcessField as F['name']]: (F extends { type: 'string' } ? string : number) | null;
};
