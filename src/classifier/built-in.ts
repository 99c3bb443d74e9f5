// The classifiers that options turn on, in the order in which they see a packet: before those of the user. Built anew in
// every thread that meters: each has a state of its own.
import { NfstreamError } from '../errors.ts';
import type { NFStreamClassifier } from './classifier.ts';
import { NdpiClassifier } from './ndpi-classifier.ts';
import { ProcessClassifier } from './process-classifier.ts';

/** The options that say which. */
export interface BuiltInOptions {
  readonly enableNdpi: boolean;
  readonly dissections: number;
  readonly systemVisibility: boolean;
}

/** @throws NfstreamError where one can not be had: NDPI_UNAVAILABLE, SYSTEM_UNAVAILABLE. */
export function builtInClassifiers(options: BuiltInOptions): NFStreamClassifier[] {
  const { enableNdpi, dissections, systemVisibility } = options;
  const classifiers: NFStreamClassifier[] = [];
  if (enableNdpi) classifiers.push(new NdpiClassifier({ dissections }));
  if (systemVisibility) classifiers.push(new ProcessClassifier());
  return classifiers;
}

/** @throws NfstreamError INVALID_OPTION where a classifier of the user has the name of a built-in one. */
export function refuseNamesOf(builtIn: readonly NFStreamClassifier[], users: readonly NFStreamClassifier[]): void {
  const taken = users.find(({ name }) => builtIn.some((classifier) => classifier.name === name));
  if (taken === undefined) return;
  throw new NfstreamError('INVALID_OPTION', `userClassifiers: the name "${taken.name}" is taken by the built-in one`);
}
