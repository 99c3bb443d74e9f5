// Two hosts on one cable: one sends what a test wants, the other watches. Besides pings, the sender replays captures that
// are made here: UDP datagrams, each flow another pair of ports.
//
//   sender eth0 ── eth0 watcher
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Host, Network } from './network.ts';

/** Programs that `openCable` and what it returns need. */
export const CABLE_PROGRAMS = ['ping', 'tcpreplay'];

export interface Cable extends AsyncDisposable {
  readonly network: Network;
  readonly sender: Host;
  readonly watcher: Host;
  /** Makes the cable again after one of its ends was deleted. */
  wire(): Promise<void>;
}

export async function openCable(): Promise<Cable> {
  const network = await Network.open('sender', 'watcher');
  const [sender, watcher] = [network.host('sender'), network.host('watcher')];
  const wire = () =>
    network.wire(
      { host: sender, device: 'eth0', addresses: ['192.0.2.1/24', '2001:db8:5::1/64'] },
      { host: watcher, device: 'eth0', addresses: ['192.0.2.2/24', '2001:db8:5::2/64'] },
    );
  try {
    await wire();
  } catch (error) {
    await network.close();
    throw error;
  }
  return { network, sender, watcher, wire, [Symbol.asyncDispose]: () => network.close() };
}

/** Bytes of a frame; Ethernet's least, without its check sequence. */
const FRAME = 60;
const RECORD = 16 + FRAME;
const PORTS = 60_000;

/** A capture of `flows` one after the other, one datagram each. */
function datagrams(flows: number): Uint8Array {
  const bytes = new Uint8Array(24 + flows * RECORD);
  const view = new DataView(bytes.buffer);
  [0xa1b2c3d4, 0x00020004, 0, 0, 0xffff, 1].forEach((word, i) => {
    view.setUint32(i * 4, word);
  });
  for (let i = 0; i < flows; i++) {
    const record = 24 + i * RECORD;
    view.setUint32(record + 8, FRAME);
    view.setUint32(record + 12, FRAME);
    const at = record + 16;
    // To a station that is not there: no answers.
    bytes.set([0x02, 0, 0x5e, 0xff, 0, 1, 0x02, 0, 0x5e, 0xff, 0, 2, 0x08, 0x00], at);
    const length = FRAME - 14;
    bytes.set([0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2], at + 14);
    // 16 source addresses are enough for a million flows.
    bytes[at + 14 + 15] = 10 + Math.floor(i / PORTS);
    view.setUint16(at + 34, 1024 + (i % PORTS));
    view.setUint16(at + 36, 9);
    view.setUint16(at + 38, length - 20);
  }
  return bytes;
}

export interface Sending {
  /** How often the same is sent (1). */
  readonly rounds?: number;
  /** Whether each round has addresses of its own (false). */
  readonly areUnique?: boolean;
  /** Packets a second; as fast as tcpreplay can where it is not given. */
  readonly pps?: number;
}

/** Sends one datagram for each of `flows` flows. */
export async function send({ sender }: Cable, flows: number, sending: Sending = {}): Promise<void> {
  const { rounds = 1, areUnique = false, pps } = sending;
  const file = join(sender.folder, `${flows}.pcap`);
  if (!existsSync(file)) writeFileSync(file, datagrams(flows));
  const options = [pps === undefined ? '--topspeed' : `--pps=${pps}`, `--loop=${rounds}`];
  if (areUnique) options.push('--unique-ip');
  await sender.must('tcpreplay', '-q', '-i', 'eth0', '--preload-pcap', ...options, file);
}
