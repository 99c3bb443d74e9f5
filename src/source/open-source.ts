// What a user names as a source, to a PacketSource. A name is looked up to tell a file from an interface; nothing else is
// touched before `open`.
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { NfstreamError } from '../errors.ts';
import { loadCapture } from '../native/capture.ts';
import type { ByteOrigin } from './byte-feeder.ts';
import { CaptureSource, type CaptureSourceOptions } from './capture-source.ts';
import { FileOrigin, StdinOrigin } from './file-bytes.ts';
import { MemoryOrigin } from './memory-bytes.ts';
import type { PacketSource } from './source.ts';
import { SourceList } from './source-list.ts';
import { StreamOrigin } from './stream-bytes.ts';

/** A network interface, whatever files there are. */
export interface InterfaceName {
  readonly interface: string;
}

/**
 * One capture: a path, `-` for standard input, a stream of its bytes, or its bytes. Or an interface: a name for which there
 * is no file, or `{ interface: name }`.
 */
export type SingleSource = string | Readable | Uint8Array | InterfaceName;

/** One source, or several: captures are read one after the other, interfaces at the same time. */
export type SourceInput = SingleSource | readonly SingleSource[];

const EXPECTED = 'a path, "-", the name of an interface, { interface }, a Uint8Array, a Readable or a list of these';

/**
 * The list of what `source` names.
 * @throws NfstreamError INVALID_OPTION where something in it is nothing that a capture can come from.
 */
export function checkSource(source: unknown): readonly SingleSource[] {
  const inputs: readonly unknown[] = Array.isArray(source) ? source : [source];
  const wrong = inputs.length === 0 ? 'an empty list' : inputs.filter((input) => !isSource(input)).map(nameOf)[0];
  if (wrong === undefined) return inputs as readonly SingleSource[];
  throw new NfstreamError('INVALID_OPTION', `Expected ${EXPECTED} for source but received ${wrong}`);
}

function isSource(source: unknown): boolean {
  if (typeof source === 'string') return source !== '';
  return source instanceof Uint8Array || source instanceof Readable || isInterfaceName(source);
}

function isInterfaceName(source: unknown): source is InterfaceName {
  const name = (source as { interface?: unknown } | null)?.interface;
  return typeof name === 'string' && name !== '' && !name.includes('\0');
}

/** What a wrong value is called in the message. */
function nameOf(source: unknown): string {
  if (source === '') return 'an empty path';
  if (source === null || source === undefined) return String(source);
  return `${typeof source === 'object' ? 'an' : 'a'} ${typeof source}`;
}

/**
 * The interfaces that `inputs` name; null where they are captures.
 * @throws NfstreamError INVALID_OPTION for both at a time.
 */
export function interfacesOf(inputs: readonly SingleSource[]): readonly string[] | null {
  const names = inputs.map((input) => {
    if (typeof input === 'string') return isInterface(input) ? input : null;
    return isInterfaceName(input) ? input.interface : null;
  });
  if (names.every((name) => name === null)) return null;
  const capture = names.indexOf(null);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (capture < 0 && twice === undefined) return names as string[];
  const wrong =
    twice !== undefined
      ? `"${twice}" twice`
      : `the interface "${names.find((name) => name !== null)}" and ${namedInput(inputs[capture])}, which is none`;
  throw new NfstreamError(
    'INVALID_OPTION',
    `Expected either captures or different interfaces for source but received ${wrong}`,
  );
}

function namedInput(input: SingleSource): string {
  return typeof input === 'string' ? JSON.stringify(input) : 'a capture';
}

/** Whether a name that is no file's is an interface's; libpcap knows, else the system's list of interfaces that are up. */
function isInterface(name: string): boolean {
  if (name === '-' || /[/\0]/.test(name) || existsSync(name)) return false;
  if (existsSync(`/sys/class/net/${name}`)) return true;
  const loaded = loadCapture();
  const list = loaded.ok ? loaded.addon.listInterfaces() : [];
  return typeof list !== 'string' && list.some((one) => one.name === name);
}

function originOf(source: Exclude<SingleSource, InterfaceName>): ByteOrigin {
  if (source === '-' || source === '/dev/stdin') return new StdinOrigin(source);
  if (typeof source === 'string') return new FileOrigin(source);
  return source instanceof Readable ? new StreamOrigin(source) : new MemoryOrigin(source);
}

/**
 * The packets of captures. Throws INVALID_OPTION where that is nothing a capture can come from; whether it is there
 * and a capture turns out when it is opened and read. The source destroys a Readable that it was given when it is
 * closed; a Uint8Array is read in place and must not change meanwhile.
 */
export function openSource(source: SourceInput, options: CaptureSourceOptions = {}): PacketSource {
  const inputs = checkSource(source) as readonly Exclude<SingleSource, InterfaceName>[];
  const parts = inputs.map((input) => new CaptureSource(originOf(input), options));
  return parts.length === 1 ? parts[0] : new SourceList(parts);
}
