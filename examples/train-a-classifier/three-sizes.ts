// The first version: three packet sizes and a decision tree. A flow is labelled when its third payload from source to
// destination was seen, long before it ends; one that ends sooner is labelled by what there was.
import { type Direction, type Flow, NFStreamClassifier, type Packet } from 'nfstream';

/** What the classifier leaves in `flow.metrics.three_sizes`. */
export interface ThreeSizesResult {
  sizes: number[];
  label: string;
}

export class ThreeSizes extends NFStreamClassifier {
  readonly #predict: (sizes: number[]) => string;

  /** @param predict gives the label of three sizes. */
  constructor(predict: (sizes: number[]) => string) {
    super('three_sizes');
    this.#predict = predict;
  }

  override onFlowInit(flow: Flow): void {
    flow.classifiers[this.name].sizes = [];
  }

  override onFlowUpdate(packet: Packet, flow: Flow, direction: Direction): boolean {
    if (direction === 1 || packet.payloadSize === 0) return false;
    const { sizes } = flow.classifiers[this.name] as { sizes: number[] };
    sizes.push(packet.payloadSize);
    if (sizes.length === 3) this.#label(flow, sizes);
    return sizes.length === 3; // true: no more packets of this flow, please
  }

  override onFlowTerminate(flow: Flow): void {
    const { sizes } = flow.classifiers[this.name] as { sizes: number[] };
    if (sizes.length < 3) this.#label(flow, [...sizes, 0, 0, 0].slice(0, 3));
  }

  #label(flow: Flow, sizes: number[]): void {
    flow.metrics[this.name] = { sizes, label: this.#predict(sizes) };
  }
}
