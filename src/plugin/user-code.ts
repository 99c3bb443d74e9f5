// The user code of a run: what the options hold, and behind it what the modules that they name as plugins export.
import { checkClassifiers, checkMetrics, type Taken } from '../check-user-code.ts';
import { NfstreamError } from '../errors.ts';
import type { ResolvedOptions } from '../options.ts';
import { loadPlugins, type UserCode } from './plugin.ts';

/**
 * Loads the plugins of the options, once for each call: what they keep is this run's own.
 * @throws NfstreamError PLUGIN_FAILED, naming the file, also where a name of the options comes again in a plugin;
 * INVALID_OPTION where a metric of one plugin and a classifier of another have the same name.
 */
export async function loadUserCode(options: ResolvedOptions): Promise<UserCode> {
  const { plugins, userMetrics, userClassifiers, enableNdpi, systemVisibility, schema, fields } = options;
  if (plugins.length === 0) return { userMetrics, userClassifiers };
  const loaded = await loadPlugins(plugins, enableNdpi, schema);
  const metric = Object.keys(loaded.userMetrics).find((name) => Object.hasOwn(userMetrics, name));
  if (metric !== undefined) throw twice('metric', metric, 'userMetrics', plugins);
  const own = new Set(userClassifiers.map(({ name }) => name));
  const classifier = loaded.userClassifiers.find(({ name }) => own.has(name));
  if (classifier !== undefined) throw twice('classifier', classifier.name, 'userClassifiers', plugins);
  // The Streamer's own checks of both kinds together.
  const taken: Taken = { schema, fields, ndpi: enableNdpi, process: systemVisibility };
  const metrics = checkMetrics({ ...userMetrics, ...loaded.userMetrics }, taken);
  const classifiers = [...userClassifiers, ...loaded.userClassifiers];
  return { userMetrics: metrics, userClassifiers: checkClassifiers(classifiers, taken, metrics) };
}

function twice(what: string, name: string, option: string, files: readonly string[]): NfstreamError {
  const places = `in ${option} and in ${files.map((file) => JSON.stringify(file)).join(', ')}`;
  return new NfstreamError('PLUGIN_FAILED', `The ${what} "${name}" is ${places}; rename one`, {
    ...(files.length === 1 ? { file: files[0] } : {}),
  });
}
