// A meter's share of the packets of interfaces, which the kernel gives its thread: only threads that have one load this.
import type { Kernel } from '../kernel/kernel.ts';
import type { ResolvedOptions } from '../options.ts';
import { PacketDecoder } from '../packet/packet-decoder.ts';
import { FilterAndDecode, type PacketStage } from '../packet/packet-stage.ts';
import { interfaceSourceOf } from '../packet-source.ts';
import type { Fanout } from '../source/interface-capture.ts';
import type { InterfaceSource } from '../source/interface-source.ts';

export interface InterfaceShare {
  /** On hold until it is released. */
  readonly source: InterfaceSource;
  readonly packets: PacketStage;
}

export function interfaceShareOf(options: ResolvedOptions, kernel: Kernel, fanout: Fanout): InterfaceShare {
  const { decodeTunnels, fragments, snaplen } = options;
  const decoder = new PacketDecoder({ decodeTunnels, fragments, snaplen }, kernel.capacity, kernel);
  return { source: interfaceSourceOf(options, kernel, fanout), packets: new FilterAndDecode(null, decoder) };
}
