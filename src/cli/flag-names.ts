// Messages of the library in the words of the command line.
import { NfstreamError } from '../errors.ts';
import { FEATURES, type Feature } from '../flow/schema.ts';
import { OVERWRITE_HINT } from '../sink/output-error.ts';
import { METER_FLAGS } from './flags.ts';

/** Options that are ordinary words: these stand in messages without being meant. */
const WORDS: ReadonlySet<string> = new Set([
  ...['duration', 'fields', 'fragments', 'immediate', 'meters', 'packets', 'reconnect', 'schema', 'statistics'],
]);

/** What the options of sinks are called here; they are ordinary words, too. */
const SINK_FLAGS: readonly [RegExp, string][] = [
  [/ for target(?= but received )/, ' for --output'],
  [/ or format, for /, ' or --format, for '],
  [/ for format(?= but received )/, ' for --format'],
  [/ for compression(?= but received )/, ' for --compression'],
  [/ for rotate\.(rows|bytes|seconds)(?= but received )/, ' for --rotate-$1'],
  [/ for rotate(?= but received )/, ' for --rotate-rows, --rotate-bytes and --rotate-seconds'],
];

/** A table always has the name that it has by default. */
const HINT = new RegExp(`${OVERWRITE_HINT}(, or give another table)?$`);

/** What turns on, or off, what a field takes. */
const FEATURE_FLAGS: Partial<Record<Feature, string>> = {
  statistics: 'which takes --statistics',
  splt: 'which takes --splt N',
  processes: 'which takes --system-visibility',
  userCode: 'which takes --plugin',
  ndpi: 'which --no-ndpi turns off',
  tunnels: 'which --no-decode-tunnels turns off',
};

/** The Streamer and sinks name their options in messages; whoever typed a flag looks for the flag. */
export function withFlagNames(error: unknown): unknown {
  if (error instanceof NfstreamError && error.code === 'OUTPUT_EXISTS' && HINT.test(error.message)) {
    const { code, file = '', cause } = error;
    const message = error.message.replace(HINT, 'to replace it: --overwrite');
    return new NfstreamError(code, message, { file, cause });
  }
  // A file's name can read like anything, and so can what user code says.
  if (!(error instanceof NfstreamError) || error.file !== undefined || error.code.startsWith('USER_')) return error;
  const { code } = error;
  let { message } = error;
  for (const { name, option } of METER_FLAGS.flatMap((group) => group.flags)) {
    if (option === undefined) continue;
    const end = WORDS.has(option) ? '(?= but received )' : '(?= )';
    message = message.replace(new RegExp(`(^| for )${option}${end}`), `$1--${name}`);
  }
  if (code === 'INVALID_OPTION') {
    for (const [pattern, flag] of SINK_FLAGS) message = message.replace(pattern, flag);
    for (const [feature, flag] of Object.entries(FEATURE_FLAGS)) {
      message = message.replace(`, which takes ${FEATURES[feature as Feature]}`, `, ${flag}`);
    }
  }
  if (code === 'NDPI_UNAVAILABLE') {
    message += `${message.includes('\n') ? '\n' : '; '}without labels it works: --no-ndpi`;
  }
  return message === error.message ? error : new NfstreamError(code, message, { cause: error });
}

/** A warning of the Streamer in the words of the flags; it has no words of users that could be taken for options. */
export function warningWithFlagNames(message: string): string {
  let text = message.replace(/\bstats\.(\w+)/, '$1 of --stats');
  for (const { name, option } of METER_FLAGS.flatMap((group) => group.flags)) {
    if (option !== undefined && !WORDS.has(option))
      text = text.replace(new RegExp(`\\b(?<!-)${option}\\b`, 'g'), `--${name}`);
  }
  return text;
}
