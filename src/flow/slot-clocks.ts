// A clock reading for each live flow, by slot. A record has the time stamps of packets only, and clocks get set.

export class SlotClocks {
  #ms = new Float64Array(1024);

  get(slot: number): number {
    return this.#ms[slot];
  }

  set(slot: number, clockMs: number): void {
    if (slot >= this.#ms.length) {
      const longer = new Float64Array(Math.max(slot + 1, this.#ms.length * 2));
      longer.set(this.#ms);
      this.#ms = longer;
    }
    this.#ms[slot] = clockMs;
  }
}
