// The counters of a run in the text format of Prometheus, by prom-client: what /metrics serves.
//
// One metric a counter of StreamerStats, its name after "nfstream_" and with the unit and ending that Prometheus asks for
// (https://prometheus.io/docs/practices/naming/): `packets_read` is nfstream_packets_read_total, a table of reasons
// becomes the label `reason`. Read when scraped, never in between.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { CaptureStats, StreamerStats } from '../stats.ts';

/** Numbers of one metric by the value of its label, or a single one. */
type Values = number | Readonly<Record<string, number>>;

interface Family {
  readonly name: string;
  readonly help: string;
  readonly isCounter?: true;
  /** Whether only live runs have it. */
  readonly isLive?: true;
  /** Name of the label where there are several values. */
  readonly label?: string;
  readonly read: (stats: StreamerStats) => Values;
}

const ofCapture = (name: keyof CaptureStats) => (stats: StreamerStats) => stats.capture?.[name] ?? 0;

/** docs/cli.md lists them; a test compares. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'nfstream_packets_read_total',
    help: 'Packets that went through the pipeline.',
    isCounter: true,
    read: (stats) => stats.packets_read,
  },
  {
    name: 'nfstream_packets_metered_total',
    help: 'Packets that were counted in a flow.',
    isCounter: true,
    read: (stats) => stats.packets_metered,
  },
  {
    name: 'nfstream_packets_skipped_total',
    help: 'Packets that were not counted in a flow, by reason.',
    isCounter: true,
    label: 'reason',
    read: (stats) => stats.packets_skipped,
  },
  {
    name: 'nfstream_read_bytes_total',
    help: 'Bytes of the capture that were read, after decompression.',
    isCounter: true,
    read: (stats) => stats.bytes_read,
  },
  {
    name: 'nfstream_flows_live',
    help: 'Flows in the table now.',
    read: (stats) => stats.flows_live,
  },
  {
    name: 'nfstream_flows_capacity',
    help: 'Flows that the table takes at most.',
    read: (stats) => stats.flows_capacity,
  },
  {
    name: 'nfstream_flows_exported_total',
    help: 'Flows that ended and were exported, by what ended them.',
    isCounter: true,
    label: 'reason',
    read: (stats) => stats.flows_exported,
  },
  {
    name: 'nfstream_flows_evicted_total',
    help: 'Flows that were dropped because the table was full.',
    isCounter: true,
    read: (stats) => stats.flows_evicted,
  },
  {
    name: 'nfstream_capture_packets_received_total',
    help: 'Packets that the kernel received for this run, those that it dropped included.',
    isCounter: true,
    isLive: true,
    read: ofCapture('packets_received'),
  },
  {
    name: 'nfstream_capture_packets_dropped_by_kernel_total',
    help: "Packets that were lost because the kernel's buffer was full.",
    isCounter: true,
    isLive: true,
    read: ofCapture('packets_dropped_by_kernel'),
  },
  {
    name: 'nfstream_capture_packets_dropped_by_interface_total',
    help: 'Packets that were lost by the interface or its driver.',
    isCounter: true,
    isLive: true,
    read: ofCapture('packets_dropped_by_interface'),
  },
  {
    name: 'nfstream_capture_queue_high_water_packets',
    help: "Most packets seen waiting in the kernel's buffer.",
    isLive: true,
    read: ofCapture('queue_high_water'),
  },
  {
    name: 'nfstream_capture_interfaces_down',
    help: 'Interfaces that are gone and waited for.',
    isLive: true,
    read: ofCapture('interfaces_down'),
  },
  {
    name: 'nfstream_run_seconds',
    help: 'Seconds since the run began.',
    read: (stats) => stats.seconds,
  },
];

export interface Exposition {
  readonly contentType: string;
  /** The metrics as they stand. */
  text(): Promise<string>;
}

export interface ExpositionOptions {
  readonly version: string;
  /** Whether the kernel's counters are among them. */
  readonly isLive: boolean;
  /** Whether those of the process are: CPU, memory, event loop (default true). */
  readonly hasProcess?: boolean;
}

/** @param statsOf is asked once for each text */
export function exposition(
  statsOf: () => StreamerStats,
  { version, isLive, hasProcess = true }: ExpositionOptions,
): Exposition {
  const registry = new Registry();
  const info = { name: 'nfstream_info', help: 'Always 1; the label has the version.', labelNames: ['version'] };
  new Gauge({ ...info, registers: [registry] }).set({ version }, 1);
  const families = FAMILIES.filter((family) => isLive || !family.isLive);
  const updates = families.map((family) => updateOf(family, registry));
  if (hasProcess) collectDefaultMetrics({ register: registry });
  return {
    contentType: registry.contentType,
    text: () => {
      const stats = statsOf();
      for (const update of updates) update(stats);
      return registry.metrics();
    },
  };
}

function updateOf({ name, help, isCounter, label, read }: Family, registry: Registry) {
  const labelNames = label === undefined ? [] : [label];
  const Metric = isCounter ? Counter : Gauge;
  const metric = new Metric({ name, help, labelNames, registers: [registry] });
  return (stats: StreamerStats): void => {
    const values = read(stats);
    // A counter of prom-client can't be set: it counts itself, which the pipeline has done already.
    metric.reset();
    if (typeof values === 'number') metric.inc(values);
    else if (label !== undefined) {
      for (const [value, count] of Object.entries(values)) metric.inc({ [label]: value }, count);
    }
  };
}
