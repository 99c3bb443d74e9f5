// A DuckDB database file that is written: a new one under a temporary name, which gets its own when it is whole, or one
// that is there already, in a transaction that either happens or does not.
//
// DuckDB gives a file to one process at a time. Within a process an existing file is opened through the cache of DuckDB's
// Node API, so that a program which has it open through that cache shares it.

import { rmSync, statSync } from 'node:fs';
import { access, chmod, constants, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance, DuckDBValue, Json } from '@duckdb/node-api';
import { NfstreamError } from '../errors.ts';
import type { Duckdb } from './duckdb-columns.ts';
import { futurePath } from './future-path.ts';
import { standardDescriptor, statOrNull } from './output.ts';
import { existsMeanwhile, openFailed, opening } from './output-error.ts';
import { placeFile } from './place-file.ts';

/** Where DuckDB's files say what they are, behind a checksum. */
const MAGIC_AT = 8;
const MAGIC = 'DUCK';

/** DuckDB writes out what is beyond, while rows come; otherwise it would take most of the machine's memory. */
const MEMORY_LIMIT = '512MB';
const MOST_REASON = 200;

/** Before, lists of more than 2048 items in a chunk were written behind their memory. */
const LEAST_VERSION = [1, 5, 6] as const;

/** @throws NfstreamError SINK_UNAVAILABLE with the command that installs it. */
export async function loadDuckdb(target: string): Promise<Duckdb> {
  let problem: string;
  let cause: unknown;
  try {
    const duckdb = await import('@duckdb/node-api');
    if (isNewEnough(duckdb.version())) return duckdb;
    problem = `which is ${duckdb.version()} here`;
  } catch (error) {
    problem = `which can not be imported (${duckdbReason(error)})`;
    cause = error;
  }
  throw new NfstreamError(
    'SINK_UNAVAILABLE',
    `Writing ${JSON.stringify(target)} takes the package @duckdb/node-api, ${LEAST_VERSION.join('.')} or later, ` +
      `${problem}. Install it: npm install @duckdb/node-api`,
    { file: target, cause },
  );
}

/** npm can't tell: each version has a suffix, and such are in no range. */
function isNewEnough(version: string): boolean {
  const numbers = version.match(/\d+/g)?.map(Number) ?? [];
  const differing = LEAST_VERSION.findIndex((least, i) => numbers[i] !== least);
  return differing === -1 || numbers[differing] > LEAST_VERSION[differing];
}

interface Place {
  /** The file that DuckDB writes. */
  readonly path: string;
  /** The name it gets in the end; undefined for a database that was there. */
  readonly final: string | undefined;
  /** Of an empty file that gets replaced. */
  readonly mode: number | undefined;
}

export class DuckdbDatabase {
  readonly #target: string;
  readonly #place: Place;
  readonly #instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
  #isOpen = true;
  /** Whether its file stays. */
  #isKept = false;

  /** @throws NfstreamError OUTPUT_FAILED that names the target. */
  static async open(duckdb: Duckdb, target: string): Promise<DuckdbDatabase> {
    const place = await placeOf(target);
    const { DuckDBInstance } = duckdb;
    let instance: DuckDBInstance | undefined;
    try {
      const options = { memory_limit: MEMORY_LIMIT };
      instance = await (place.final === undefined
        ? DuckDBInstance.fromCache(place.path)
        : DuckDBInstance.create(place.path, options));
      const database = new DuckdbDatabase(target, place, instance, await instance.connect());
      if (!database.isNew) await database.#limitMemory();
      return database;
    } catch (cause) {
      instance?.closeSync();
      if (place.final !== undefined) removeFiles(place.path);
      throw new NfstreamError('OUTPUT_FAILED', `${opening(target)}: ${duckdbReason(cause)}`, { file: target, cause });
    }
  }

  private constructor(target: string, place: Place, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#target = target;
    this.#place = place;
    this.#instance = instance;
    this.connection = connection;
  }

  get isNew(): boolean {
    return this.#place.final !== undefined;
  }

  /** Bytes of its file so far. */
  get bytes(): number {
    return statSync(this.#place.path).size;
  }

  /** The rows of a query. */
  async rows(sql: string, values: DuckDBValue[] = []): Promise<Record<string, Json>[]> {
    return (await this.connection.runAndReadAll(sql, values)).getRowObjectsJson();
  }

  /** A program that shares the database has its own. */
  async #limitMemory(): Promise<void> {
    const [connections] = await this.rows('SELECT count FROM duckdb_connection_count()');
    if (Number(connections?.['count']) === 1) await this.connection.run(`SET memory_limit = '${MEMORY_LIMIT}'`);
  }

  /** Commits, and gives a new database its name. Returns the file's bytes. */
  async commit(): Promise<number> {
    await this.connection.run('COMMIT');
    // Whether the disk takes all of it shows here; closing would keep silent.
    if (this.isNew) await this.connection.run('CHECKPOINT');
    this.#close();
    this.#isKept = true;
    const { path, final, mode } = this.#place;
    if (final !== undefined) {
      // Some file systems have no modes.
      if (mode !== undefined) await chmod(path, mode).catch(() => {});
      if (!placeFile(path, final, false)) throw existsMeanwhile(this.#target, path);
    }
    return (await stat(final ?? path)).size;
  }

  /** Leaves an existing database as it was, and removes a new one. Never rejects. */
  async rollBack(): Promise<void> {
    if (this.#isOpen) {
      await this.connection.run('ROLLBACK').catch(() => {});
      this.#close();
    }
    this.unlink();
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.connection.closeSync();
    this.#instance.closeSync();
  }

  /** Removes a new database's files at once. Nothing of an existing one needs to be: what isn't committed is not there. */
  unlink(): void {
    if (this.isNew && !this.#isKept) removeFiles(this.#place.path);
  }
}

/** Also DuckDB's log of what is not in the file yet, and its folder for what memory has no room for. */
function removeFiles(path: string): void {
  for (const file of [path, `${path}.wal`, `${path}.tmp`]) {
    try {
      rmSync(file, { recursive: true, force: true });
    } catch {
      // Beyond reach.
    }
  }
}

async function placeOf(target: string): Promise<Place> {
  const refused = (reason: string) =>
    new NfstreamError('OUTPUT_FAILED', `${opening(target)}: ${reason}`, { file: target });
  try {
    if (standardDescriptor(target) !== null) throw refused('a database is a file');
    const existing = await statOrNull(target);
    if (existing === null) return await newPlace(await futurePath(target));
    if (existing.isDirectory()) throw refused('it is a folder');
    if (!existing.isFile()) throw refused('a database is a regular file');
    await access(target, constants.R_OK | constants.W_OK);
    const path = await realpath(target);
    if (existing.size === 0) return await newPlace(path, existing.mode & 0o7777);
    if (!(await isDatabase(path))) throw refused('it is no DuckDB database');
    return { path, final: undefined, mode: undefined };
  } catch (error) {
    throw error instanceof NfstreamError ? error : openFailed(target, error);
  }
}

async function newPlace(final: string, mode?: number): Promise<Place> {
  // A quarter of what a name may have, as a character can take three bytes.
  const stem = basename(final).slice(0, 64);
  const path = join(dirname(final), `.${stem}.${process.pid}-${Math.random().toString(36).slice(2, 10)}.part`);
  // Whether it can be made is said by the system's own codes; DuckDB takes an absent file only.
  await (await open(path, 'wx')).close();
  rmSync(path);
  return { path, final, mode };
}

/** Looked at here: for other databases' files DuckDB would download what reads them. */
async function isDatabase(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, MAGIC_AT);
    return buffer.toString('latin1') === MAGIC;
  } finally {
    await handle.close();
  }
}

const LOCKED = /^Could not set lock on file .*Conflicting lock is held in (.*?)\. See also.*/;

/** What DuckDB says, in one line: its messages are long, begin with what kind they are, and repeat the file's path. */
export function duckdbReason(cause: unknown): string {
  const [line] = String(cause instanceof Error ? cause.message : cause).split('\n');
  const plain = line
    .replace(/^(?:(?:Failed to \w+|[A-Z][\w ]* Error): )+/, '')
    .replace(LOCKED, 'another process has it open: $1')
    .replace(/ ?"\/[^"]*"/, '');
  return plain.length > MOST_REASON ? `${plain.slice(0, MOST_REASON)}...` : plain;
}
