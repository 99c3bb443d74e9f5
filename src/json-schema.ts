// The JSON Schema of a run's records, by the options of the run.
import { type JsonSchema, jsonSchemaOf } from './flow/json-schema.ts';
import { tableColumns } from './flow/schema.ts';
import { resolveOptions, type StreamerOptions } from './options.ts';
import { metricNamesOf, recordShapeOf } from './record-shape.ts';
import type { SourceInput } from './source/open-source.ts';

/**
 * Describes the records of a Streamer with these options, as `flow.toJSON()` and JSON Lines have them, by a JSON Schema
 * (draft 2020-12). A source needn't be named, and is not opened.
 * @throws NfstreamError UNKNOWN_OPTION or INVALID_OPTION, as the Streamer does.
 */
export function jsonSchema(options: Partial<StreamerOptions> = {}): JsonSchema {
  // Processes are those of a live run.
  const anySource: SourceInput = options.systemVisibility === true ? { interface: 'any' } : '-';
  const resolved = resolveOptions({ ...options, source: options.source ?? anySource });
  const { schema, fields, plugins } = resolved;
  const { names, hasOthers } = metricNamesOf(resolved);
  const title = fields === undefined ? `Record of the schema ${schema}` : 'Record';
  return jsonSchemaOf(recordShapeOf(resolved).columns, title, {
    spread: (column) => tableColumns([column], resolved, { names, hasOthers: hasOthers || plugins.length > 0 }),
  });
}
