// The classifiers that options turn on, in the order in which they see a packet: before those of the user. Built anew in
// every thread that meters: each has a state of its own.
import { NfstreamError } from '../errors.ts';
import type { NFStreamClassifier } from './classifier.ts';
import type { Dissector } from './dissector.ts';
import { NdpiDissector } from './ndpi-dissector.ts';
import { ProcessClassifier } from './process-classifier.ts';

/** The options that say which. */
export interface BuiltInOptions {
  readonly enableNdpi: boolean;
  readonly dissections: number;
  readonly systemVisibility: boolean;
}

/** What sees a packet before the user's classifiers, in this order. */
export interface BuiltIn {
  readonly ndpi: Dissector | null;
  readonly classifiers: readonly NFStreamClassifier[];
}

/** @throws NfstreamError where one can not be had: NDPI_UNAVAILABLE, SYSTEM_UNAVAILABLE. */
export function builtInClassifiers(options: BuiltInOptions): BuiltIn {
  const { enableNdpi, dissections, systemVisibility } = options;
  return {
    ndpi: enableNdpi ? new NdpiDissector({ dissections }) : null,
    classifiers: systemVisibility ? [new ProcessClassifier()] : [],
  };
}

/** @throws NfstreamError INVALID_OPTION where a classifier of the user has the name of a built-in one. */
export function refuseNamesOf({ ndpi, classifiers }: BuiltIn, users: readonly NFStreamClassifier[]): void {
  const names = classifiers.map(({ name }) => name);
  if (ndpi !== null) names.push(ndpi.name);
  const taken = users.find(({ name }) => names.includes(name));
  if (taken === undefined) return;
  throw new NfstreamError('INVALID_OPTION', `userClassifiers: the name "${taken.name}" is taken by the built-in one`);
}
