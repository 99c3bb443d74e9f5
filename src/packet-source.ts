// The options' source as a PacketSource: interfaces, captures, or captures at a pace.
import type { ResolvedOptions } from './options.ts';
import type { Fanout } from './source/interface-capture.ts';
import { InterfaceSource } from './source/interface-source.ts';
import { openSource } from './source/open-source.ts';
import { ReplaySource } from './source/replay-source.ts';
import type { PacketSource } from './source/source.ts';

/** The interfaces of the options, which must have some. With `fanout` they are on hold until `release`. */
export function interfaceSourceOf(options: ResolvedOptions, fanout?: Fanout): InterfaceSource {
  const { interfaces, snaplen, promiscuous, bufferSize, batchTimeoutMs, immediate, reconnect, bpfFilter } = options;
  return new InterfaceSource(interfaces ?? [], {
    snaplen,
    promiscuous,
    bufferSize,
    batchTimeoutMs,
    immediate,
    reconnect,
    filter: bpfFilter ?? '',
    ...(fanout === undefined ? {} : { fanout }),
  });
}

export function packetSourceOf(options: ResolvedOptions): PacketSource {
  const { interfaces, source, replaySpeed } = options;
  if (interfaces !== null) return interfaceSourceOf(options);
  const captures = openSource(source);
  return replaySpeed === undefined ? captures : new ReplaySource(captures, replaySpeed);
}
