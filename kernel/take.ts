// Which rows of a batch are the meter's, and what the clock is at each.
import { CLOCKS, CLOCKS_IN, OWN_ROWS, OWNERS, SKIPPED, STATUS, TIMES } from './layout';

/** `owner` when all rows are the meter's. */
const ALL: i32 = -1;

/**
 * Lists the metered rows of `count` that `owner` has and returns how many they are. Writes the latest clock of all metered
 * rows up to each, from `clock` on (time stamps, unless the batch has clocks of its own), and counts the owner's other rows by status.
 */
export function take(count: i32, owner: i32, clock: f64, hasClocks: bool): i32 {
  const clocks = hasClocks ? CLOCKS_IN : TIMES;
  let own: i32 = 0;
  for (let row: usize = 0; row < <usize>count; row++) {
    const status = load<u8>(STATUS + row);
    const isOwn = owner == ALL || load<u8>(OWNERS + row) == <u8>owner;
    if (status == 0) {
      clock = max<f64>(clock, load<f64>(clocks + (row << 3)));
      // Whose a row is can't be predicted: no branch.
      store<u32>(OWN_ROWS + ((<usize>own) << 2), <u32>row);
      own += i32(isOwn);
    } else if (isOwn) {
      const at = SKIPPED + ((<usize>status) << 3);
      store<f64>(at, load<f64>(at) + 1);
    }
    store<f64>(CLOCKS + (row << 3), clock);
  }
  return own;
}
