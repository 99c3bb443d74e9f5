// Plugin files into user metrics and classifiers, as the Streamer takes them.
//
// A plugin is a module in TypeScript or JavaScript, ESM or CommonJS, that exports `userMetrics`, `userClassifiers` or
// both, by name or as an object that is its default export. jiti compiles it in memory, so that TypeScript needs no
// build and no new Node.js. Where it imports `nfstream` it gets the instance that this process runs, wherever it lies:
// a classifier is told by `instanceof`.
import { readFile, realpath } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { nearest } from '../check-option.ts';
import { checkClassifiers, checkMetrics, type Taken } from '../check-user-code.ts';
import { NFStreamClassifier } from '../classifier/classifier.ts';
import { NfstreamError } from '../errors.ts';
import type { SchemaName } from '../flow/schema.ts';
import type { UserMetric } from '../metric/metric.ts';
import { loadFailed, readFailed } from './plugin-error.ts';

export interface UserCode {
  readonly userMetrics: Readonly<Record<string, UserMetric>>;
  readonly userClassifiers: readonly NFStreamClassifier[];
}

interface Plugin extends UserCode {
  /** As it was given. */
  readonly file: string;
}

const EXPORTS = ['userMetrics', 'userClassifiers'] as const;

/**
 * Loads the plugins one after the other and puts together what they export, in the order given.
 * @throws NfstreamError PLUGIN_FAILED, naming the file.
 */
export async function loadPlugins(
  files: readonly string[],
  hasNdpi = true,
  schema: SchemaName = 'classic',
): Promise<UserCode> {
  const plugins: Plugin[] = [];
  const taken: Taken = { schema, fields: undefined, ndpi: hasNdpi, process: false };
  for (const file of files) plugins.push(pluginOf(file, await importPlugin(file), taken));
  refuseClashes('metric', plugins, ({ userMetrics }) => Object.keys(userMetrics));
  refuseClashes('classifier', plugins, ({ userClassifiers }) => userClassifiers.map(({ name }) => name));
  return {
    userMetrics: Object.assign({}, ...plugins.map(({ userMetrics }) => userMetrics)),
    userClassifiers: plugins.flatMap(({ userClassifiers }) => userClassifiers),
  };
}

/** What the module exports, getters read. */
async function importPlugin(file: string): Promise<Map<string, unknown>> {
  const { filename, source } = await readPlugin(file);
  try {
    const { createJiti } = await import('jiti');
    const jiti = createJiti(filename, {
      virtualModules: { nfstream: await import('../index.ts') },
      // Compiled code in a folder that others may write to is not to be trusted, and compiling takes milliseconds.
      fsCache: false,
      // The interoperation is a proxy around each module: 20 ns whenever a metric calls something imported.
      interopDefault: false,
    });
    // Not jiti.import: that leaves .mjs and .cjs to Node.js, which finds another nfstream, or none.
    const how = { filename, ext: extname(filename), async: true, forceTranspile: true };
    return exportsOf(await jiti.evalModule(source, how));
  } catch (error) {
    throw loadFailed(file, error);
  }
}

/** A link is followed: what the plugin imports lies beside the file itself. */
async function readPlugin(file: string): Promise<{ filename: string; source: string }> {
  try {
    const filename = await realpath(resolve(file));
    const text = await readFile(filename, 'utf8');
    return { filename, source: text.replace(/^\uFEFF/, '') };
  } catch (error) {
    throw readFailed(file, error);
  }
}

function pluginOf(file: string, exported: ReadonlyMap<string, unknown>, taken: Taken): Plugin {
  const values = EXPORTS.map((name) => exported.get(name) ?? exported.get(`default.${name}`));
  const names = [...exported.keys()].sort();
  const slip = names.find(isSlip);
  if (slip !== undefined || values.every((value) => value === undefined)) {
    throw new NfstreamError('PLUGIN_FAILED', unexpected(file, names, slip), { file });
  }
  const [userMetrics, userClassifiers] = values;
  try {
    // The Streamer's own checks, while it is known whose values they are.
    const checked = checkMetrics(userMetrics, taken);
    return { file, userMetrics: checked, userClassifiers: checkClassifiers(userClassifiers, taken, checked) };
  } catch (error) {
    if (!(error instanceof NfstreamError)) throw error;
    const message = `${JSON.stringify(file)}: ${error.message}${hintFor(userClassifiers)}`;
    throw new NfstreamError('PLUGIN_FAILED', message, { file, cause: error });
  }
}

/** What is defined, by name; the properties of a default export as `default.NAME`. */
function exportsOf(module: unknown): Map<string, unknown> {
  const exported = new Map<string, unknown>();
  const add = (prefix: string, owner: object) => {
    for (const [name, value] of Object.entries(owner)) {
      if (name === 'default' && prefix === '' && isObject(value)) add('default.', value);
      else if (value !== undefined) exported.set(prefix + name, value);
    }
  };
  if (isObject(module)) add('', module);
  return exported;
}

function isObject(value: unknown): value is object {
  return value !== null && (typeof value === 'object' || typeof value === 'function');
}

/** Whether a name is meant to be one of EXPORTS and is not: what it holds would be lost without a word. */
function isSlip(name: string): boolean {
  const own = name.replace(/^default\./, '');
  return /^user_?(metric|classif)/i.test(own) && !(EXPORTS as readonly string[]).includes(own);
}

function unexpected(file: string, names: readonly string[], slip: string | undefined): string {
  const expected = `Expected an export userMetrics or userClassifiers of ${JSON.stringify(file)}`;
  if (names.length === 0) return `${expected} but received none`;
  const near = EXPORTS.map((name) => nearest(name, names));
  const meant = slip ?? near.find((name, i) => nearest(name, EXPORTS) === EXPORTS[i]) ?? near[0];
  return `${expected} but received ${names.join(', ')}; did you mean ${nearest(meant, EXPORTS)} for ${meant}?`;
}

/** What people do instead of giving a classifier. */
function hintFor(userClassifiers: unknown): string {
  const list: readonly unknown[] = Array.isArray(userClassifiers) ? userClassifiers : [userClassifiers];
  const wrong = list.find((item) => isObject(item) && !(item instanceof NFStreamClassifier));
  if (typeof wrong === 'function' && wrong.prototype instanceof NFStreamClassifier) {
    return `; write new ${wrong.name}()`;
  }
  for (let type = wrong; isObject(type); type = Object.getPrototypeOf(type)) {
    if (type.constructor?.name === NFStreamClassifier.name) {
      return '; its NFStreamClassifier is that of another copy of nfstream: run the one beside the plugin, npx nfstream';
    }
  }
  return '';
}

function refuseClashes(what: string, plugins: readonly Plugin[], namesOf: (plugin: Plugin) => readonly string[]): void {
  const owners = new Map<string, string>();
  for (const plugin of plugins) {
    const { file } = plugin;
    for (const name of namesOf(plugin)) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        const places = `${JSON.stringify(owner)} and in ${JSON.stringify(file)}`;
        throw new NfstreamError('PLUGIN_FAILED', `The ${what} "${name}" is in ${places}; rename one`, { file });
      }
      owners.set(name, file);
    }
  }
}
