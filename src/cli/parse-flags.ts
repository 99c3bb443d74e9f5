// Arguments into flags and operands, by a flag table. Node's own parser splits the words; what it leaves open is decided
// here: a flag that doesn't exist, one that stands twice, one that lacks its value or has one too many.
import { parseArgs } from 'node:util';
import { NfstreamError } from '../errors.ts';
import type { Flag, FlagGroup } from './flags.ts';

export interface ParsedFlags {
  /** By name; `true` for a flag that takes no value. */
  readonly values: ReadonlyMap<string, string | true>;
  /** By name, the values of a flag that may stand several times, in the order given. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** Rejects with NfstreamError USAGE, naming the flag and what it takes. */
export async function parseFlags(args: readonly string[], groups: readonly FlagGroup[]): Promise<ParsedFlags> {
  const flags = groups.flatMap((group) => group.flags);
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(flags.map(describe)),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | true>();
  const lists = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = byName.get(token.name);
    if (flag === undefined) throw await unknownFlag(token.rawName, flags);
    if (flag.isRepeatable && flag.value !== undefined) {
      lists.set(flag.name, [...(lists.get(flag.name) ?? []), requiredValue(flag.value, token)]);
      continue;
    }
    if (values.has(flag.name)) throw usage(`Expected ${token.rawName} once but received it again`);
    values.set(flag.name, flag.value === undefined ? noValue(token) : requiredValue(flag.value, token));
  }
  return { values, lists, operands };
}

interface OptionToken {
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function describe({ name, short, value }: Flag): [string, { type: 'string' | 'boolean'; short?: string }] {
  const type = value === undefined ? 'boolean' : 'string';
  return [name, short === undefined ? { type } : { type, short }];
}

function noValue({ rawName, value }: OptionToken): true {
  if (value !== undefined) {
    throw usage(`Expected no value for ${rawName} but received ${JSON.stringify(value)}`);
  }
  return true;
}

function requiredValue(expected: string, { rawName, value, inlineValue }: OptionToken): string {
  if (value === undefined) throw usage(`Expected ${expected} for ${rawName} but received nothing`);
  // `--stats --quiet` is a slip, `--capacity -1` a wrong number and `--stats=--quiet` a strange file.
  if (inlineValue !== true && /^-[^\d.]/.test(value)) {
    const inline = rawName.startsWith('--') ? `${rawName}=${value}` : `${rawName} ./${value}`;
    throw usage(`Expected ${expected} for ${rawName} but received the flag ${value}; if it is meant, write ${inline}`);
  }
  if (value === '') throw usage(`Expected ${expected} for ${rawName} but received ""`);
  return value;
}

async function unknownFlag(rawName: string, flags: readonly Flag[]): Promise<NfstreamError> {
  // Loaded here, because it is never needed by --version and --help, which shall be quick.
  const { nearest } = await import('../check-option.ts');
  // One letter is near to every other: only names help there.
  const candidates = flags.map((flag) => `--${flag.name}`);
  const hint = rawName.startsWith('--') ? `; did you mean ${nearest(rawName, candidates)}?` : '; see --help';
  return usage(`Unknown flag ${rawName}${hint}`);
}

export function usage(message: string): NfstreamError {
  return new NfstreamError('USAGE', message);
}
