// The clock of a live source: the wall clock when the run began, and from then on as many ms as truly passed. What timeouts
// go by must not jump when somebody sets the system's clock (NTP does), though the kernel's time stamps do:
//
//   system's clock   ----------------.        .---------   set back, then set forward
//                                    '--------'
//   this clock       -----------------------------------
//
// Packets are stamped with the system's clock; `read` brings them onto this one. Unless the clock was set, a packet's time
// here is its time stamp.

/** A difference between the clocks that is no setting: scheduling between the readings, adjustment by slewing. */
const STEP_MS = 50;
/** A packet may seem to come from the future by so much: the system tells its time in whole ms. */
const AHEAD_MS = 2;

export class LiveClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  readonly #origin: number;
  /** How far the system's clock has been set since the start. */
  #shift = 0;

  /** Both in ms; `monotonic` may begin anywhere. */
  constructor(wall: () => number = Date.now, monotonic: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#origin = wall() - monotonic();
  }

  now(): number {
    return this.#origin + this.#monotonic();
  }

  /** Brings the time stamps of `count` packets, which have just been read, onto this clock. */
  read(timeMs: Float64Array, clockMs: Float64Array, count: number): void {
    const now = this.now();
    const shift = this.#wall() - now;
    if (Math.abs(shift - this.#shift) > STEP_MS) this.#shift = shift;
    // A packet that waited while the clock was set is stamped by the other clock: it is at least not from the future.
    const latest = now + AHEAD_MS;
    for (let row = 0; row < count; row++) clockMs[row] = Math.min(timeMs[row] - this.#shift, latest);
  }
}
