// Fragments of IPv4 and IPv6: what identifies the packet that they are parts of, and how a later one, which carries no
// ports, gets the key of the first.
//
//   first fragment   its row's key ──► table, under the packet's identity
//   later fragment   the identity ──► table ──► its row's key, ports and tunnel included
//
// Specification: RFC 791 section 3.2, RFC 8200 section 4.5. `fragmentAt` is the header with the packet's identification:
// IPv6's fragment header, over IPv4 the IP header itself. DIFFERS: NFStream skips later fragments; `fragments: 'ignore'`
// does so too.
import type { DecodeState } from './decode-state.ts';
import { type FragmentTable, IDENTITY_ID, IDENTITY_META, IDENTITY_TUNNEL } from './fragment-table.ts';
import { KEY_DST, METERED, SKIP_FRAGMENT_IGNORED, SKIP_FRAGMENT_ORPHAN } from './packet-columns.ts';

/** Gives the row the key of the first fragment of the packet whose IP header is at `at`, or says why it can't. */
export function joinFirstFragment(state: DecodeState, at: number, fragmentAt: number): number {
  const { fragments, columns, batch, row } = state;
  if (fragments === null) return SKIP_FRAGMENT_IGNORED;
  writeIdentity(state, fragments, at, fragmentAt);
  return fragments.find(columns.key, row, batch.timeMs[row]) ? METERED : SKIP_FRAGMENT_ORPHAN;
}

/** The row's key, complete by now, is what later fragments of the packet at `at` will get. */
export function rememberFirstFragment(state: DecodeState, at: number, fragmentAt: number): void {
  const { fragments, columns, batch, row } = state;
  if (fragments === null) return;
  writeIdentity(state, fragments, at, fragmentAt);
  fragments.put(columns.key, row, batch.timeMs[row]);
}

/** Every column of a later fragment's row but the key, which joinFirstFragment wrote. */
export function writeLaterFragment(
  state: DecodeState,
  at: number,
  size: number,
  transportAt: number,
  ipEnd: number,
): void {
  const { columns, row } = state;
  columns.isLaterFragment[row] = 1;
  columns.srcMacAt[row] = state.srcMacAt;
  columns.dstMacAt[row] = state.dstMacAt;
  columns.ipAt[row] = at;
  columns.ipSize[row] = size;
  columns.transportAt[row] = transportAt;
  columns.ipEnd[row] = ipEnd;
  columns.tcpFlags[row] = 0;
  columns.payloadAt[row] = transportAt;
}

function writeIdentity(state: DecodeState, fragments: FragmentTable, at: number, fragmentAt: number): void {
  const { view } = state;
  const { identity } = fragments;
  const version = view.getUint8(at) >> 4;
  let meta = (version << 8) | (state.vlan << 16);
  if (version === 4) {
    identity.fill(0);
    identity[0] = view.getInt32(at + 12);
    identity[KEY_DST] = view.getInt32(at + 16);
    identity[IDENTITY_ID] = view.getUint16(fragmentAt + 4);
    meta |= view.getUint8(at + 9);
  } else {
    // No protocol: only the first fragment's next header counts, the others may name another (RFC 8200 section 4.5).
    for (let word = 0; word < 8; word++) identity[word] = view.getInt32(at + 8 + word * 4);
    identity[IDENTITY_ID] = view.getInt32(fragmentAt + 4);
  }
  identity[IDENTITY_META] = meta;
  identity[IDENTITY_TUNNEL] = state.tunnel;
}
