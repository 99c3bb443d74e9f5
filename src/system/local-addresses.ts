// The addresses of this host, in this network namespace, with the interfaces that have them: what tells a flow that begins
// or ends here from one that passes.
//
// Read anew about once a second while it is asked; less often where reading takes long (hosts with thousands of
// interfaces). Addresses of /proc/net (proc(5)) give the interfaces' indices, which os.networkInterfaces lacks.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

const REFRESH_MS = 1000;
/** Of all time at most this part is spent on reading the addresses. */
const SHARE = 1 / 200;

const NO_INDEX: readonly number[] = [0];

export class LocalAddresses {
  #indices: ReadonlyMap<string, readonly number[]> = new Map();
  #loopback: readonly number[] = NO_INDEX;
  #expiresAt = Number.NEGATIVE_INFINITY;

  /**
   * Indices of the interfaces that have `address` (canonical text), [0] where they are not known; undefined when it is
   * not this host's. `nowMs` is performance.now().
   */
  interfacesOf(address: string, nowMs: number): readonly number[] | undefined {
    if (nowMs >= this.#expiresAt) this.#read(nowMs);
    const indices = this.#indices.get(address);
    if (indices !== undefined) return indices;
    return address.startsWith('127.') ? this.#loopback : undefined;
  }

  #read(nowMs: number): void {
    const indices = interfaceIndices(read('/proc/net/igmp'), read('/proc/net/if_inet6'));
    const addresses = new Map<string, number[]>();
    for (const [name, list] of Object.entries(networkInterfaces())) {
      for (const { address, internal } of list ?? []) {
        const index = indices.get(name) ?? 0;
        const of = addresses.get(address);
        if (of === undefined) addresses.set(address, [index]);
        else if (!of.includes(index)) of.push(index);
        if (internal) this.#loopback = [index];
      }
    }
    this.#indices = addresses;
    const tookMs = performance.now() - nowMs;
    this.#expiresAt = nowMs + Math.max(REFRESH_MS, tookMs / SHARE);
  }
}

/**
 * Index of each interface by name.
 *
 *   /proc/net/igmp      2	eth0      :     1      V3       (then a line for each group)
 *   /proc/net/if_inet6  fe80...0001 02 40 20 80     eth0   (the index in hexadecimal)
 */
export function interfaceIndices(igmp: string, ifInet6: string): Map<string, number> {
  const indices = new Map<string, number>();
  for (const [, index, name] of igmp.matchAll(/^(\d+)\s+(\S+?)\s*:/gm)) indices.set(name!, Number(index));
  for (const [, index, name] of ifInet6.matchAll(/^[0-9a-f]{32} ([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ [0-9a-f]+\s+(\S+)$/gm))
    indices.set(name!, Number.parseInt(index!, 16));
  return indices;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
