// The columns that `systemVisibility` adds to `flow.metrics`: listed once, in the order in which they appear.
import type { Field } from './field.ts';

export interface ProcessField extends Omit<Field, 'read' | 'feature'> {
  readonly type: 'string' | 'integer';
}

/** Both are null for a flow of other hosts, and where the process was not found: docs/processes.md says when. */
export const PROCESS_FIELDS = [
  {
    name: 'process_id',
    type: 'integer',
    size: 'int32',
    nullable: true,
    meaning: 'process on this host whose socket the flow belongs to; of two on this host, the one of ip_src',
  },
  {
    name: 'process_name',
    type: 'string',
    repeats: true,
    nullable: true,
    meaning: 'its name, as ps -o comm shows it: 15 bytes at most',
  },
] as const satisfies readonly ProcessField[];

/** What `systemVisibility` adds to `flow.metrics`. */
export type ProcessMetrics = {
  [F in (typeof PROCESS_FIELDS)[number] as F['name']]: (F extends { type: 'string' } ? string : number) | null;
};
