// One run of the main job: a Streamer's flows into a sink, a summary or both, the counters into a file; signals, progress
// and warnings on the side.
//
// Whatever ends the run, in this order: flows so far are written out and their file gets its name, then the summary,
// then the counters, then the error. Nothing of it is kept where the run failed before its first flow (unless only the
// input is damaged), and neither flows nor summary where writing the flows failed.
import { basename } from 'node:path';
import { NDPI_FIELDS } from '../classifier/ndpi-fields.ts';
import type { UserCode } from '../plugin/plugin.ts';
import { CsvSink } from '../sink/csv.ts';
import { JsonLinesSink } from '../sink/json-lines.ts';
import { type Output, openOutput } from '../sink/output.ts';
import type { Sink } from '../sink/sink.ts';
import { Streamer } from '../streamer.ts';
import { type MeterArguments, warningWithFlagNames, withFlagNames } from './meter-arguments.ts';
import type { PluginGuard } from './plugin-guard.ts';
import { Progress } from './progress.ts';
import { refuseToOverwriteSources } from './refuse-overwriting.ts';
import { exitCodeOf, isOutputFailed, isReaderGone, printError } from './report-error.ts';
import { SignalWatch } from './signals.ts';
import { Summary } from './summary.ts';
import { summaryTable } from './summary-table.ts';
import { printable, terminalOf } from './terminal.ts';

/** Exit code of damaged input: what was read before the damage is good. */
const DAMAGED = 3;

interface Outputs {
  readonly sink: Sink | null;
  readonly stats: Output | null;
  /** Removes what is not finished. */
  unlink(): void;
}

/**
 * Meters the sources and resolves with the exit code: 0, or 128 and a signal's number. Rejects with what went wrong
 * after everything that could be written was written.
 */
export async function meter(args: MeterArguments): Promise<number> {
  if (args.plugins.length === 0) return run(args, { userMetrics: {}, userClassifiers: [] }, null);
  const { PluginGuard } = await import('./plugin-guard.ts');
  const { loadPlugins } = await import('../plugin/plugin.ts');
  const guard = new PluginGuard(args.plugins);
  try {
    return await run(args, await Promise.race([loadPlugins(args.plugins, hasNdpi(args)), guard.failed]), guard);
  } finally {
    guard.close();
  }
}

async function run(args: MeterArguments, userCode: UserCode, guard: PluginGuard | null): Promise<number> {
  const streamer = newStreamer(args, userCode);
  await refuseToOverwriteSources(args);
  const { sink, stats, unlink } = await openOutputs(args, userCode);
  const summary = args.summary === null ? null : new Summary(hasNdpi(args));
  const signals = new SignalWatch(() => streamer.stop(), unlink);
  const progress = showsProgress(args) ? new Progress(streamer, terminalOf('stderr'), printError) : null;
  const stopWarnings = printWarnings(args.isQuiet, progress);

  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  };
  const writing = () => writeFlows(streamer, sink, summary);
  if (guard === null) {
    await attempt(writing);
  } else {
    guard.print = (text) => {
      progress?.hide();
      printError(text);
    };
    guard.onStray = (error) => {
      failures.push(error);
      streamer.stop();
    };
    await attempt(() => Promise.race([writing(), guard.failed]));
  }
  progress?.stop();
  const flows = sink?.rows ?? summary?.flows ?? 0;
  const isKept = flows > 0 || failures.every((failure) => exitCodeOf(failure) === DAMAGED);
  const isSound = isKept && !failures.some(isOutputFailed);
  if (sink !== null) await attempt(() => (isSound ? sink.close() : sink.abandon()));
  if (summary !== null && isSound) await attempt(() => printSummary(args, summary, streamer));
  if (stats !== null) await attempt(() => (isKept ? writeStats(stats, streamer) : stats.abandon()));
  stopWarnings();
  signals.close();
  unlink();

  const real = failures.filter((failure) => !isReaderGone(failure));
  const worst = real.find((failure) => exitCodeOf(failure) !== DAMAGED) ?? real[0];
  if (worst !== undefined) throw withFlagNames(worst);
  return signals.exitCode ?? 0;
}

function newStreamer({ options }: MeterArguments, userCode: UserCode): Streamer {
  try {
    return new Streamer({ ...options, ...userCode });
  } catch (error) {
    throw withFlagNames(error);
  }
}

function hasNdpi({ options }: MeterArguments): boolean {
  return options.enableNdpi !== false;
}

async function openOutputs(args: MeterArguments, userCode: UserCode): Promise<Outputs> {
  const opened: Output[] = [];
  const unlink = () => {
    for (const output of opened) output.unlink();
  };
  const open = async (target: string): Promise<Output> => {
    const output = await openOutput(target);
    opened.push(output);
    return output;
  };
  try {
    const flows = args.flows === null ? null : await open(args.flows.target);
    const stats = args.stats === null ? null : await open(args.stats);
    return { sink: flows === null ? null : sinkOf(args, userCode, flows), stats, unlink };
  } catch (error) {
    unlink();
    throw error;
  }
}

function sinkOf(args: MeterArguments, { userMetrics, userClassifiers }: UserCode, output: Output): Sink {
  if (args.flows?.format !== 'csv') return new JsonLinesSink(output);
  const metrics: string[] = hasNdpi(args) ? NDPI_FIELDS.map(({ name }) => name) : [];
  metrics.push(...Object.keys(userMetrics), ...userClassifiers.map(({ name }) => name));
  // A classifier may write more than what bears its name.
  return new CsvSink(output, { metrics, hasOtherMetrics: userClassifiers.length > 0 });
}

async function writeFlows(streamer: Streamer, sink: Sink | null, summary: Summary | null): Promise<void> {
  for await (const batch of streamer.batches()) {
    summary?.add(batch);
    const wait = sink?.write(batch);
    if (wait !== undefined) await wait;
  }
}

/** Not on a terminal that the rows themselves fill. */
function showsProgress({ flows, isQuiet }: MeterArguments): boolean {
  const { TERM } = process.env;
  if (isQuiet || TERM === 'dumb' || !terminalOf('stderr').isTerminal) return false;
  return flows?.target !== '-' || !terminalOf('stdout').isTerminal;
}

/** The Streamer's warnings as lines of ours. Returns what ends it. */
function printWarnings(isQuiet: boolean, progress: Progress | null): () => void {
  const listener = (warning: Error) => {
    if (isQuiet || warning.name !== 'NfstreamWarning') return;
    progress?.hide();
    printError(`nfstream: warning: ${printable(warningWithFlagNames(warning.message))}\n`);
  };
  // Without its own listener Node.js prints nothing.
  process.removeAllListeners('warning');
  process.on('warning', listener);
  return () => process.off('warning', listener);
}

async function printSummary(args: MeterArguments, summary: Summary, streamer: Streamer): Promise<void> {
  const place = args.summary ?? 'stdout';
  const text = summaryTable(titleOf(args.sources), summary, streamer.stats, terminalOf(place));
  const output = await openOutput(`/dev/${place}`);
  await output.append(text);
  await output.close();
}

function titleOf(sources: readonly string[]): string {
  const [first] = sources;
  const name = first === '-' ? 'standard input' : basename(first);
  return sources.length === 1 ? name : `${name} and ${sources.length - 1} more`;
}

async function writeStats(output: Output, streamer: Streamer): Promise<void> {
  await output.append(`${JSON.stringify(streamer.stats, null, 2)}\n`);
  await output.close();
}
