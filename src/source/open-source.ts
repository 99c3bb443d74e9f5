// What a user names as a source, to a PacketSource. Nothing is touched before `open`.
import { Readable } from 'node:stream';
import { NfstreamError } from '../errors.ts';
import type { ByteOrigin } from './byte-feeder.ts';
import { CaptureSource, type CaptureSourceOptions } from './capture-source.ts';
import { FileOrigin, StdinOrigin } from './file-bytes.ts';
import { MemoryOrigin } from './memory-bytes.ts';
import type { PacketSource } from './source.ts';
import { SourceList } from './source-list.ts';
import { StreamOrigin } from './stream-bytes.ts';

/** One capture: a path, `-` for standard input, a stream of its bytes, or its bytes. */
export type SingleSource = string | Readable | Uint8Array;

/** One capture, or several that are read as one, in the order given. */
export type SourceInput = SingleSource | readonly SingleSource[];

const EXPECTED = 'a path, "-", a Uint8Array, a Readable or a list of these';

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
  return source instanceof Uint8Array || source instanceof Readable;
}

/** What a wrong value is called in the message. */
function nameOf(source: unknown): string {
  if (source === '') return 'an empty path';
  if (source === null || source === undefined) return String(source);
  return `${typeof source === 'object' ? 'an' : 'a'} ${typeof source}`;
}

function originOf(source: SingleSource): ByteOrigin {
  if (source === '-' || source === '/dev/stdin') return new StdinOrigin(source);
  if (typeof source === 'string') return new FileOrigin(source);
  return source instanceof Readable ? new StreamOrigin(source) : new MemoryOrigin(source);
}

/**
 * The packets of `source`. Throws INVALID_OPTION where that is nothing a capture can come from; whether it is there
 * and a capture turns out when it is opened and read. The source destroys a Readable that it was given when it is
 * closed; a Uint8Array is read in place and must not change meanwhile.
 */
export function openSource(source: SourceInput, options: CaptureSourceOptions = {}): PacketSource {
  const parts = checkSource(source).map((input) => new CaptureSource(originOf(input), options));
  return parts.length === 1 ? parts[0] : new SourceList(parts);
}
