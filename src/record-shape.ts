// What records are like with the options of a run.
import type { RecordShape } from './flow/record.ts';
import { type MetricNames, shapeOf } from './flow/schema.ts';
import type { ResolvedOptions } from './options.ts';

/**
 * What records are like with these options.
 * @throws NfstreamError INVALID_OPTION naming a field that is none, or not measured.
 */
export function recordShapeOf(options: ResolvedOptions, userCode: UserCodeNames = options): RecordShape {
  const { userMetrics, userClassifiers } = userCode;
  // What plugins define is known once they are loaded.
  const areLoaded = userCode !== options || options.plugins.length === 0;
  const isMetric = (name: string) =>
    !areLoaded || Object.hasOwn(userMetrics, name) || userClassifiers.some((classifier) => classifier.name === name);
  const hasUserCode = options.plugins.length > 0 || Object.keys(userMetrics).length + userClassifiers.length > 0;
  return shapeOf({ ...options, hasUserCode, isMetric });
}

/** The names under which user code writes values; a classifier may write more than what bears its own. */
export function metricNamesOf({ userMetrics, userClassifiers }: UserCodeNames): MetricNames {
  const names = [...Object.keys(userMetrics), ...userClassifiers.map(({ name }) => name)];
  return { names, hasOthers: userClassifiers.length > 0 };
}

interface UserCodeNames {
  readonly userMetrics: Readonly<Record<string, unknown>>;
  readonly userClassifiers: readonly { readonly name: string }[];
}
