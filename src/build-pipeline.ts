// Options into the stages of one meter, in the order in which packets pass them.
import type { BuiltIn } from './classifier/built-in.ts';
import type { NFStreamClassifier } from './classifier/classifier.ts';
import { Labeller } from './classifier/labeller.ts';
import { Packet } from './classifier/packet.ts';
import { PacketGuard } from './classifier/packet-guard.ts';
import { FlowMeter } from './flow/meter.ts';
import { featuresOf } from './flow/schema.ts';
import type { Kernel } from './kernel/kernel.ts';
import type { UserMetric } from './metric/metric.ts';
import type { ResolvedOptions } from './options.ts';
import type { PacketStage } from './packet/packet-stage.ts';
import type { Pipeline } from './pipeline.ts';
import { recordShapeOf } from './record-shape.ts';
import { PacketBatch, type PacketSource } from './source/source.ts';

export interface Stages {
  readonly source: PacketSource;
  readonly packets: PacketStage;
  /** Whose columns the packet stage writes; made by `kernelFor` for the options' capacity and shape. */
  readonly kernel: Kernel;
  /** They see a packet before the user's. */
  readonly builtIn: BuiltIn;
  readonly userClassifiers: readonly NFStreamClassifier[];
  readonly userMetrics: Readonly<Record<string, UserMetric>>;
  /** Where several meters read the same rows, and count towards the same capacity. */
  readonly sharing?: { readonly owner: number; readonly live: Int32Array } | undefined;
  /** Where several meters number their packets. */
  readonly numbering?: { readonly index: number; readonly meters: number } | undefined;
}

/** The pipeline of these stages; `options` say how to meter. */
export function buildPipeline(options: ResolvedOptions, stages: Stages): Pipeline {
  const { source, packets, kernel, userMetrics } = stages;
  const { ndpi } = stages.builtIn;
  const classifiers = [...stages.builtIn.classifiers, ...stages.userClassifiers];
  const batch = new PacketBatch(kernel.capacity, kernel);
  const isObserved = ndpi !== null || classifiers.length > 0 || Object.keys(userMetrics).length > 0;
  const packet = new Packet(batch, packets.columns);
  const guard = options.debug ? new PacketGuard(batch, packets.columns) : null;
  const shape = recordShapeOf(options, stages);
  const features = featuresOf(shape, options);
  const labeller = isObserved ? new Labeller(classifiers, userMetrics, packet, guard, features, ndpi) : null;
  const meter = new FlowMeter(
    {
      capacity: options.capacity,
      activeTimeoutMs: options.activeTimeout * 1000,
      inactiveTimeoutMs: options.inactiveTimeout * 1000,
      expiresActive: source.clock !== null || options.replaySpeed !== undefined,
      onCapacity: options.onCapacity,
      tcpEnd: options.tcpEnd,
      accountingMode: options.accountingMode,
      shape,
      kernel,
      ...stages.sharing,
      numbering: stages.numbering,
    },
    packets.columns,
    labeller,
  );
  return { source, batch, packets, meter, labeller, maxPackets: options.packets, packetsRead: 0 };
}
