// One run of the main job: a Streamer's flows into a sink, a summary or both, the counters into a file; signals, progress,
// warnings and served counters on the side.
//
// It begins in this order: the port is bound and the source opened, then rights are given up (--user), then outputs are
// opened with those that are left. Whatever ends it, in this order: flows so far are written out and their file gets its
// name, then the summary, then the counters, then the error. Nothing of it is kept where the run failed before its first
// flow (unless only the input is damaged), and an output that could not be written isn't either; but a live run's flows,
// which are written directly, stay as far as they were written. Such a failure ends the run, and the other outputs have
// all flows up to there; a reader that leaves ends it only where it was the last.
import { basename } from 'node:path';
import type { UserCode } from '../plugin/plugin.ts';
import { type Output, openOutput, standardDescriptor } from '../sink/output.ts';
import type { SinkColumns } from '../sink/sink.ts';
import { Streamer } from '../streamer.ts';
import { version } from '../version.ts';
import { changeUser } from './change-user.ts';
import { withFlagNames } from './flag-names.ts';
import type { MeterArguments } from './meter-arguments.ts';
import type { MetricsServer } from './metrics-server.ts';
import { Outputs, outputTexts } from './outputs.ts';
import type { PluginGuard } from './plugin-guard.ts';
import { Progress } from './progress.ts';
import { refuseToOverwriteSources } from './refuse-overwriting.ts';
import { exitCodeOf, isReaderGone, printError } from './report-error.ts';
import { SignalWatch } from './signals.ts';
import { Summary } from './summary.ts';
import { summaryTable } from './summary-table.ts';
import { printable, terminalOf } from './terminal.ts';
import { Warnings } from './warnings.ts';

/** Exit code of damaged input: what was read before the damage is good. */
const DAMAGED = 3;

const NO_USER_CODE: UserCode = { userMetrics: {}, userClassifiers: [] };

/**
 * Meters the sources and resolves with the exit code: 0, or 128 and a signal's number, which ends a live run as it is
 * meant to end. Rejects with what went wrong after everything that could be written was written.
 */
export async function meter(args: MeterArguments): Promise<number> {
  if (args.plugins.length === 0) return run(args, NO_USER_CODE, null);
  const { PluginGuard } = await import('./plugin-guard.ts');
  const guard = new PluginGuard(args.plugins);
  try {
    return await run(args, await Promise.race([userCodeOf(args), guard.failed]), guard);
  } finally {
    guard.close();
  }
}

/** Several meters load the plugins themselves. */
async function userCodeOf(args: MeterArguments): Promise<UserCode> {
  if (args.options.plugins !== undefined) return NO_USER_CODE;
  const { loadPlugins } = await import('../plugin/plugin.ts');
  return loadPlugins(args.plugins, hasNdpi(args), args.options.schema);
}

async function run(args: MeterArguments, userCode: UserCode, guard: PluginGuard | null): Promise<number> {
  const streamer = newStreamer(args, userCode);
  await refuseToOverwriteSources(args);
  const outputs = new Outputs();
  const signals = new SignalWatch(
    () => streamer.stop(),
    () => outputs.unlink(),
  );
  let server: MetricsServer | null = null;
  try {
    server = await serveMetrics(args, streamer);
    const opening = openSources(streamer);
    const columns = await (guard === null ? opening : Promise.race([opening, guard.failed]));
    if (args.user !== null) changeUser(args.user);
    // What can not be written need not be metered.
    const onFailure = () => streamer.stop();
    await outputs.open(args, columns, { isLive: streamer.isLive, onFailure });
    await write(args, streamer, outputs, guard);
  } catch (error) {
    throw withFlagNames(error);
  } finally {
    signals.close();
    outputs.unlink();
    await closeUnused(streamer);
    await server?.close();
  }
  return streamer.isLive ? 0 : (signals.exitCode ?? 0);
}

/** The run itself, all being open. Rejects with the worst of what went wrong. */
async function write(
  args: MeterArguments,
  streamer: Streamer,
  outputs: Outputs,
  guard: PluginGuard | null,
): Promise<void> {
  const summary = args.summary === null ? null : new Summary(hasNdpi(args));
  const progress = showsProgress(args) ? new Progress(streamer, terminalOf('stderr'), printError) : null;
  const warnings = new Warnings(args, streamer, () => progress?.hide());

  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  };
  let flows = 0;
  const writing = async () => {
    for await (const batch of streamer.batches()) {
      flows += batch.count;
      summary?.add(batch);
      await outputs.write(batch);
      if (outputs.areAllGone) break;
      if (!outputs.failures.every(isReaderGone)) streamer.stop();
    }
  };
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
  failures.push(...outputs.failures);
  const isKept = flows > 0 || failures.every((failure) => exitCodeOf(failure) === DAMAGED);
  await (isKept ? outputs.close() : outputs.abandon());
  failures.push(...outputs.failures.filter((failure) => !failures.includes(failure)));
  const isSound = isKept && !outputs.areAllGone;
  if (isSound) await attempt(() => tell(args, outputs, { summary, streamer }));
  const { stats } = outputs;
  if (stats !== null) await attempt(() => (isKept ? writeStats(stats, streamer, outputs) : stats.abandon()));
  warnings.close();

  const real = failures.filter((failure) => !isReaderGone(failure));
  const worst = real.find((failure) => exitCodeOf(failure) !== DAMAGED) ?? real[0];
  if (worst !== undefined) throw worst;
}

function newStreamer({ options }: MeterArguments, userCode: UserCode): Streamer {
  try {
    return new Streamer(options.plugins === undefined ? { ...options, ...userCode } : options);
  } catch (error) {
    throw withFlagNames(error);
  }
}

function hasNdpi({ options }: MeterArguments): boolean {
  return options.enableNdpi !== false;
}

async function serveMetrics({ metrics }: MeterArguments, streamer: Streamer): Promise<MetricsServer | null> {
  if (metrics === null) return null;
  const { exposition } = await import('./prometheus.ts');
  const { startMetricsServer } = await import('./metrics-server.ts');
  const { isLive } = streamer;
  const server = await startMetricsServer(
    metrics,
    exposition(() => streamer.stats, { version: version(), isLive }),
  );
  // Nobody could find it otherwise.
  if (metrics.port === 0) printError(`nfstream: counters at ${server.url}\n`);
  return server;
}

/** Damage that shows when a source is opened is met again where flows are read, and output is kept by its rules. */
async function openSources(streamer: Streamer): Promise<SinkColumns> {
  const columns = await streamer.sinkColumns();
  try {
    await streamer.open();
  } catch (error) {
    if (exitCodeOf(error) !== DAMAGED) throw error;
  }
  return columns;
}

/** Closes what was opened and not read: an interface, threads. */
async function closeUnused(streamer: Streamer): Promise<void> {
  streamer.stop();
  try {
    for await (const _ of streamer.batches());
  } catch {
    // It was read, or could not be opened.
  }
}

/** Not on a terminal that the rows themselves fill. */
function showsProgress({ outputs, isQuiet }: MeterArguments): boolean {
  const { TERM } = process.env;
  if (isQuiet || TERM === 'dumb' || !terminalOf('stderr').isTerminal) return false;
  return outputs.every(({ target }) => standardDescriptor(target) !== 1) || !terminalOf('stdout').isTerminal;
}

/** What became of the flows: the summary, or a line for whoever sits there. */
async function tell(
  args: MeterArguments,
  outputs: Outputs,
  { summary, streamer }: { summary: Summary | null; streamer: Streamer },
): Promise<void> {
  const files = outputTexts(outputs.written);
  if (summary === null) {
    if (args.isQuiet || !terminalOf('stderr').isTerminal) return;
    for (const text of files) printError(`nfstream: ${printable(text)}\n`);
    return;
  }
  const place = args.summary ?? 'stdout';
  const text = summaryTable(titleOf(args.sources), summary, streamer.stats, terminalOf(place), files);
  const output = await openOutput(`/dev/${place}`);
  await output.append(text);
  await output.close();
}

function titleOf(sources: readonly string[]): string {
  const [first] = sources;
  const name = first === '-' ? 'standard input' : basename(first);
  return sources.length === 1 ? name : `${name} and ${sources.length - 1} more`;
}

async function writeStats(output: Output, streamer: Streamer, { written }: Outputs): Promise<void> {
  await output.append(`${JSON.stringify({ ...streamer.stats, outputs: written }, null, 2)}\n`);
  await output.close();
}
