// Things to look at again after a while, and after longer the next time: a queue for each delay, so that what came first
// is due first.

interface Stage<T> {
  readonly delayMs: number;
  readonly waiting: { readonly item: T; readonly dueMs: number }[];
  head: number;
}

export class Revisits<T> {
  readonly #stages: readonly Stage<T>[];
  readonly #capacity: number;
  /** Things that wait. */
  size = 0;
  /** The stage of what `takeDue` returned. */
  stage = 0;

  /** `delaysMs[stage]` is how long a thing waits in that stage; at most `capacity` things wait. */
  constructor(delaysMs: readonly number[], capacity: number) {
    this.#stages = delaysMs.map((delayMs) => ({ delayMs, waiting: [], head: 0 }));
    this.#capacity = capacity;
  }

  /** False when there is no such stage (any more), or no room. */
  add(item: T, stage: number, nowMs: number): boolean {
    const into = this.#stages[stage];
    if (into === undefined || this.size >= this.#capacity) return false;
    into.waiting.push({ item, dueMs: nowMs + into.delayMs });
    this.size++;
    return true;
  }

  /** The next thing that is due by `nowMs`, its number in `stage`; undefined when there is none. */
  takeDue(nowMs: number): T | undefined {
    for (let i = 0; i < this.#stages.length; i++) {
      const stage = this.#stages[i]!;
      const first = stage.waiting[stage.head];
      if (first === undefined || first.dueMs > nowMs) continue;
      stage.head++;
      if (stage.head * 2 > stage.waiting.length) {
        stage.waiting.splice(0, stage.head);
        stage.head = 0;
      }
      this.size--;
      this.stage = i;
      return first.item;
    }
    return undefined;
  }
}
