// Packets counted in the records of their flows.
import {
  ACK,
  BYTES,
  BYTES_HIGH,
  CLOCK,
  CLOCKS,
  END,
  FOUND,
  OWN_ROWS,
  PACKETS,
  PSH,
  RARE_FLAGS,
  RECORD_SHIFT,
  SEQUENCE,
  SIZES,
  START,
  TCP_FLAGS,
  TIMES,
  WIRE_LENGTHS,
} from './layout';
import { activeMs, extra, extraBytes, inactiveMs, records } from './tables';

const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const RST: u32 = 0x04;
const PSH_SHIFT: u32 = 3;
const ACK_SHIFT: u32 = 4;
const URG: u32 = 0x20;
const ECE: u32 = 0x40;
const CWR: u32 = 0x80;
const RARE: u32 = FIN | SYN | RST | URG | ECE | CWR;

/**
 * Counts the meter's rows `from` to `to` - 1, of a batch whose row 0 is packet number `first`, in the flows that were found.
 * Returns the first one that takes more than counting: its flow was not found or has ended, it comes too late for it, or its
 * counter is full. `settled` is counted without such questions.
 */
export function count(from: i32, to: i32, settled: i32, first: f64, hasSizes: bool): i32 {
  const sizes = hasSizes ? SIZES : WIRE_LENGTHS;
  for (let i = from; i < to; i++) {
    const row = <usize>load<u32>(OWN_ROWS + ((<usize>i) << 2));
    const flow = load<i32>(FOUND + ((<usize>i) << 2));
    if (flow < 0) return i;
    const at = records + ((<usize>(flow >> 1)) << RECORD_SHIFT);
    const way = at + ((<usize>(flow & 1)) << 2);
    const time = load<f64>(TIMES + (row << 3));
    const clock = load<f64>(CLOCKS + (row << 3));
    const start = load<f64>(at, START);
    const packets = load<u32>(way, PACKETS) + 1;
    if (
      load<f64>(at, SEQUENCE) == 0 ||
      clock >= load<f64>(at, CLOCK) + inactiveMs ||
      time - start >= activeMs ||
      packets == 0
    ) {
      if (i != settled) return i;
    }
    // DIFFERS: NFStream moves a packet out of order forward to the newest time seen (kind clock) and cuts times to
    // whole milliseconds (kind whole_ms); start and end are true times here.
    store<f64>(at, min<f64>(start, time), START);
    store<f64>(at, max<f64>(load<f64>(at, END), time), END);
    store<f64>(at, clock, CLOCK);
    store<f64>(at, first + <f64>row, SEQUENCE);
    store<u32>(way, packets, PACKETS);
    const size = load<u32>(sizes + (row << 2));
    const bytes = load<u32>(way, BYTES) + size;
    store<u32>(way, bytes, BYTES);
    if (bytes < size) {
      const high = at + ((<usize>(flow & 1)) << 1);
      store<u16>(high, load<u16>(high, BYTES_HIGH) + 1, BYTES_HIGH);
    }
    const flags = <u32>load<u8>(TCP_FLAGS + row);
    store<u32>(way, load<u32>(way, ACK) + ((flags >> ACK_SHIFT) & 1), ACK);
    store<u32>(way, load<u32>(way, PSH) + ((flags >> PSH_SHIFT) & 1), PSH);
    if ((flags & RARE) != 0) countRare(extra + <usize>(flow >> 1) * extraBytes + ((<usize>(flow & 1)) << 2), flags);
  }
  return to;
}

/** Two words for each flag, in the order of src/flow/record.ts. */
function countRare(at: usize, flags: u32): void {
  if ((flags & SYN) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS) + 1, RARE_FLAGS);
  if ((flags & CWR) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS + 8) + 1, RARE_FLAGS + 8);
  if ((flags & ECE) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS + 16) + 1, RARE_FLAGS + 16);
  if ((flags & URG) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS + 24) + 1, RARE_FLAGS + 24);
  if ((flags & RST) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS + 32) + 1, RARE_FLAGS + 32);
  if ((flags & FIN) != 0) store<u32>(at, load<u32>(at, RARE_FLAGS + 40) + 1, RARE_FLAGS + 40);
}
