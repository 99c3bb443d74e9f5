// The options' source as a PacketSource: interfaces, captures, or captures at a pace.
import type { ResolvedOptions } from './options.ts';
import type { Fanout } from './source/interface-capture.ts';
import { InterfaceSource } from './source/interface-source.ts';
import { openSource } from './source/open-source.ts';
import { ReplaySource } from './source/replay-source.ts';
import type { PacketSource, SlabPool } from './source/source.ts';

/** The interfaces of the options, which must have some. With `fanout` they are on hold until `release`. */
export function interfaceSourceOf(options: ResolvedOptions, slabs: SlabPool, fanout?: Fanout): InterfaceSource {
  const { interfaces, snaplen, promiscuous, bufferSize, batchTimeoutMs, immediate, reconnect, bpfFilter } = options;
  return new InterfaceSource(interfaces ?? [], {
    snaplen,
    promiscuous,
    bufferSize,
    batchTimeoutMs,
    immediate,
    reconnect,
    filter: bpfFilter ?? '',
    slabs,
    ...(fanout === undefined ? {} : { fanout }),
  });
}

/** @param slabs where memory for the bytes of packets comes from */
export function packetSourceOf(options: ResolvedOptions, slabs: SlabPool): PacketSource {
  const { interfaces, source, replaySpeed } = options;
  if (interfaces !== null) return interfaceSourceOf(options, slabs);
  const captures = openSource(source, { slabs });
  return replaySpeed === undefined ? captures : new ReplaySource(captures, replaySpeed);
}
