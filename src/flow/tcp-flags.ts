// TCP flags counted in a flow's record.
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { TCP_FLAGS } = record;

const [[, SYN], [, CWR], [, ECE], [, URG], , , [, RST], [, FIN]] = TCP_FLAGS;
const ACK_SHIFT = 4;
const PSH_SHIFT = 3;
/** Words from the first counter to those of RST and of FIN, source to destination. */
const RST_WORDS = 12;
const FIN_WORDS = 14;

/** HOT PATH. `at` is the counter of SYN in the packet's direction; the others follow two words apart, in the order of TCP_FLAGS. */
export function countFlags(words: Int32Array, at: number, flags: number): void {
  // ACK and PSH are too common and too mixed to branch on.
  words[at + 8] += (flags >> ACK_SHIFT) & 1;
  words[at + 10] += (flags >> PSH_SHIFT) & 1;
  if ((flags & (SYN | CWR | ECE | URG | RST | FIN)) === 0) return;
  if ((flags & SYN) !== 0) words[at]++;
  if ((flags & CWR) !== 0) words[at + 2]++;
  if ((flags & ECE) !== 0) words[at + 4]++;
  if ((flags & URG) !== 0) words[at + 6]++;
  if ((flags & RST) !== 0) words[at + RST_WORDS]++;
  if ((flags & FIN) !== 0) words[at + FIN_WORDS]++;
}
