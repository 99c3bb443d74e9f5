// A bound for work that packets wait for: a part of all time, and what was not used is kept for a burst.
const SHARE = 0.1;
const BURST_MS = 10;

export class WorkBudget {
  #leftMs = BURST_MS;
  #atMs = Number.NaN;

  /** Whether work may begin that leaves `reserve` (0 to 1) of a burst to others. `nowMs` is performance.now(). */
  allows(nowMs: number, reserve = 0): boolean {
    if (nowMs > this.#atMs) this.#leftMs = Math.min(BURST_MS, this.#leftMs + (nowMs - this.#atMs) * SHARE);
    this.#atMs = nowMs;
    return this.#leftMs > BURST_MS * reserve;
  }

  /** Work was done; it may have taken longer than was left, which is owed then. */
  spend(ms: number): void {
    this.#leftMs -= ms;
  }
}
