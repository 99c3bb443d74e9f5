// What a shipped metric remembers of each flow, in the flow's scratch space: gone with the flow, never in the record.
//
// The key is a symbol, so that two instances of one metric, and a classifier of whatever name, never share state.

interface HasScratch {
  readonly classifiers: object;
}

/** One metric's state of each flow. A flow has none until `set`: metrics set it at the first packet that needs it. */
export class FlowScratch<State> {
  readonly #key: symbol;

  constructor(metric: string) {
    this.#key = Symbol(metric);
  }

  get(flow: HasScratch): State | undefined {
    return (flow.classifiers as Record<symbol, State | undefined>)[this.#key];
  }

  set(flow: HasScratch, state: State): void {
    (flow.classifiers as Record<symbol, State | undefined>)[this.#key] = state;
  }
}
