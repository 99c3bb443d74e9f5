// The command line: which command, its flags, its exit code. Each command's code is loaded when it is run, so that
// --version and --help answer at once.
import { openOutput } from '../sink/output.ts';
import { version } from '../version.ts';
import { BUILD_NATIVE_FLAGS, DOCTOR_FLAGS, FIELDS_FLAGS, INTERFACES_FLAGS, METER_FLAGS, RUN_FLAGS } from './flags.ts';
import { COMMANDS, type Command, commandHelp, mainHelp, USAGE } from './help.ts';
import { parseFlags, usage } from './parse-flags.ts';
import { errorText, exitCodeOf, isDebugging, isReaderGone, printError } from './report-error.ts';

/** Runs `nfstream ARGS...` and resolves with the exit code. Never rejects: errors are printed. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    if (isReaderGone(error)) return 0;
    printError(errorText(error, isDebugging(args.includes('--debug'))));
    return exitCodeOf(error);
  }
}

function run(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  switch (first) {
    case 'interfaces':
      return interfaces(rest);
    case 'fields':
      return fields(rest);
    case 'doctor':
      return doctor(rest);
    case 'build-native':
      return buildNative(rest);
    case 'help':
      return help(rest);
    default:
      return meter(args);
  }
}

async function meter(args: readonly string[]): Promise<number> {
  if (args.length === 0) {
    printError(USAGE);
    return 2;
  }
  const parsed = await parseFlags(args, [...METER_FLAGS, ...RUN_FLAGS]);
  if (parsed.values.has('help')) return print(mainHelp());
  if (parsed.values.has('version')) return print(`nfstream ${version()}\n`);
  const { meterArguments } = await import('./meter-arguments.ts');
  const run = await import('./meter.ts');
  return run.meter(meterArguments(parsed));
}

async function interfaces(args: readonly string[]): Promise<number> {
  const { values, operands } = await parseFlags(args, INTERFACES_FLAGS);
  if (values.has('help')) return print(commandHelp('interfaces'));
  refuseOperands('interfaces', operands);
  const { interfacesText } = await import('./interfaces.ts');
  return print(interfacesText(values.has('json')));
}

async function fields(args: readonly string[]): Promise<number> {
  const { values, operands } = await parseFlags(args, FIELDS_FLAGS);
  if (values.has('help')) return print(commandHelp('fields'));
  refuseOperands('fields', operands);
  const isJson = values.has('json');
  const isJsonSchema = values.has('json-schema');
  if (isJson && isJsonSchema) throw usage('Expected one of --json and --json-schema but received both');
  const { fieldsText } = await import('./fields.ts');
  const schema = values.get('schema') as string | undefined;
  return print(fieldsText({ schema, form: isJsonSchema ? 'json-schema' : isJson ? 'json' : 'table' }));
}

async function doctor(args: readonly string[]): Promise<number> {
  const { values, operands } = await parseFlags(args, DOCTOR_FLAGS);
  if (values.has('help')) return print(commandHelp('doctor'));
  refuseOperands('doctor', operands);
  const { doctor, formatDoctor } = await import('./doctor.ts');
  const report = await doctor();
  await print(values.has('json') ? `${JSON.stringify(report, null, 2)}\n` : formatDoctor(report));
  return report.ok ? 0 : 1;
}

async function buildNative(args: readonly string[]): Promise<number> {
  const { values, operands } = await parseFlags(args, BUILD_NATIVE_FLAGS);
  if (values.has('help')) return print(commandHelp('build-native'));
  refuseOperands('build-native', operands);
  const { ADDON_NAMES } = await import('../native/addon.ts');
  const only = values.get('only');
  const names = ADDON_NAMES.filter((name) => only === undefined || name === only);
  if (names.length === 0) {
    throw usage(`Expected ${ADDON_NAMES.join(' or ')} for --only but received ${JSON.stringify(only)}`);
  }
  const build = await import('../native/build.ts');
  const output = await openOutput('-');
  const log = (line: string) => void output.append(`${line}\n`);
  try {
    await build.buildNative({ only: names, force: values.has('force'), log });
  } finally {
    await output.close();
  }
  return 0;
}

async function help(args: readonly string[]): Promise<number> {
  const [topic] = args;
  if (topic === undefined) return print(mainHelp());
  if (args.length === 1 && (COMMANDS as readonly string[]).includes(topic)) return print(commandHelp(topic as Command));
  throw usage(`Expected ${COMMANDS.join(', ')} or nothing for help but received ${JSON.stringify(args.join(' '))}`);
}

function refuseOperands(command: Command, operands: readonly string[]): void {
  if (operands.length === 0) return;
  throw usage(
    `Expected only options for ${command} but received ${JSON.stringify(operands[0])}; ` +
      `a capture file of that name is ./${command}`,
  );
}

async function print(text: string): Promise<number> {
  const output = await openOutput('-');
  await output.append(text);
  await output.close();
  return 0;
}
