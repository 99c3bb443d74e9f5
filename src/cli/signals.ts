// SIGINT, SIGTERM and SIGHUP (the terminal is gone): the first one ends the run in good order, the second one ends the process at once, by the signal's
// own action, so that a shell sees what happened.

/** Exit codes: 128 and the signal's number, as shells have it. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof EXIT_CODES;

export class SignalWatch {
  readonly #stop: () => void;
  readonly #die: () => void;
  readonly #listener = (signal: NodeJS.Signals) => this.#received(signal as Signal);
  #exitCode: number | null = null;

  /** `stop` is called at the first signal; `die`, which must not wait for anything, right before the second one kills. */
  constructor(stop: () => void, die: () => void) {
    this.#stop = stop;
    this.#die = die;
    for (const signal of Object.keys(EXIT_CODES)) process.on(signal, this.#listener);
  }

  /** What the process should exit with because of a signal; null when none came. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  close(): void {
    for (const signal of Object.keys(EXIT_CODES)) process.off(signal, this.#listener);
  }

  #received(signal: Signal): void {
    if (this.#exitCode === null) {
      this.#exitCode = EXIT_CODES[signal];
      this.#stop();
      return;
    }
    this.#die();
    this.close();
    process.kill(process.pid, signal);
  }
}
