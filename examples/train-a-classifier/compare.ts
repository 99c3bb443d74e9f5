// Are the labels that were given in the stream the trainer's own? Flow by flow; ends with 1 when they are not.
//
//   jiti compare.ts MODELS NAME...
//
// MODELS/NAME.predictions.jsonl is what the trainer says about the capture, MODELS/deployed.jsonl what the stream said.
import { type Prediction, readJsonLines } from './captures.ts';

/** The trainer counts in float64, the models in float32. */
const TOLERANCE = 1e-6;

interface Deployed {
  flow: string;
  [model: string]: unknown;
}
interface Answer {
  label: string | null;
  probabilities?: Record<string, number>;
}

const [folder, ...names] = process.argv.slice(2);
const deployed = new Map(readJsonLines<Deployed>(`${folder}/deployed.jsonl`).map((row) => [row.flow, row]));

for (const name of names) {
  const expected = readJsonLines<Prediction>(`${folder}/${name}.predictions.jsonl`);
  const differences: string[] = [];
  let furthest = 0;
  for (const { flow, label, probabilities = {} } of expected) {
    const answer = deployed.get(flow)?.[name] as Answer | undefined;
    const said = answer?.label ?? mostProbable(answer?.probabilities);
    if (said !== label) differences.push(`${flow}: ${label} by the trainer, ${said} in the stream`);
    for (const [of, probability] of Object.entries(probabilities)) {
      const distance = Math.abs(probability - (answer?.probabilities?.[of] ?? Number.POSITIVE_INFINITY));
      furthest = Math.max(furthest, distance);
      if (!(distance <= TOLERANCE)) differences.push(`${flow}: probability of ${of} is ${distance} apart`);
    }
  }
  if (expected.length !== deployed.size)
    differences.push(`${expected.length} flows predicted, ${deployed.size} deployed`);
  const distance =
    expected[0]?.probabilities === undefined
      ? ''
      : `, probabilities at most ${furthest === 0 ? 0 : furthest.toExponential(1)} apart`;
  console.log(`${name}: ${expected.length} flows, ${differences.length} differences${distance}`);
  for (const difference of differences.slice(0, 5)) console.log(`  ${difference}`);
  if (differences.length > 0) process.exitCode = 1;
}

/** A model that abstains gives no label; what it would have said is still in its probabilities. */
function mostProbable(probabilities: Record<string, number> = {}): string | undefined {
  return Object.entries(probabilities).sort(([, a], [, b]) => b - a)[0]?.[0];
}
