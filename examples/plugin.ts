// Metrics and classifiers for the command line, in a file of their own.
//
//   npx nfstream CAPTURE --plugin examples/plugin.ts
import { type Direction, type Flow, NFStreamClassifier, type Packet, type UserMetric } from 'nfstream';

export const userMetrics: Record<string, UserMetric> = {
  largest_packet: (packet, flow) => Math.max(flow.metrics.largest_packet, packet.length),
};

/** Who sends the first payload: the side that began the flow, or the other one? */
class FirstWord extends NFStreamClassifier {
  override onFlowInit(flow: Flow): void {
    flow.metrics[this.name] = 'nobody';
  }

  override onFlowUpdate(packet: Packet, flow: Flow, direction: Direction): boolean {
    if (packet.payloadSize === 0) return false;
    flow.metrics[this.name] = direction === 0 ? 'src' : 'dst';
    return true; // Seen enough: no more packets of this flow, please.
  }
}

export const userClassifiers = [new FirstWord('first_word')];
