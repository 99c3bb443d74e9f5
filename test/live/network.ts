// Hosts on a real network, for tests: network namespaces joined by veth cables. Nothing leaves the machine and nothing of
// it is touched: the namespaces have no way out, and addresses are the ones for documentation (RFC 5737, RFC 3849).
//
// Everything that a network makes is named or placed so that its guard, a process of its own, can remove it: the guard
// waits for the end of its standard input, which comes with `close` and with any death of the test process.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Programs of servers live in sbin, which an ordinary user's PATH leaves out; what the tests' own has must not matter. */
const { NO_COLOR: _1, NFSTREAM_DEBUG: _2, LC_ALL: _3, LC_CTYPE: _4, ...INHERITED } = process.env;
export const ENVIRONMENT = { ...INHERITED, LANG: 'C', PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };

/** All namespaces of these tests; the number after it is the process that made them. */
const PREFIX = 'nfstream-test';

const GUARD = `
temporary=$1; shift
trap '' HUP INT TERM
cat >/dev/null
for name in "$@"; do
  pids=$(ip netns pids "$name" 2>/dev/null) && [ -n "$pids" ] && kill -9 $pids
  ip netns del "$name" 2>/dev/null
done
umount "$temporary"/disk
rm -rf "$temporary"
`;

/** `ip netns exec` gives a program a view of the mounts of its own: nobody else sees this. */
const WITH_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Polls until `isTrue`, and throws after `seconds`, with what was waited for. */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  seconds = 10,
  everyMs = 20,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited ${seconds} s in vain: ${what}`);
    await sleep(everyMs);
  }
}

/** Resolves when the process has ended and what it wrote was read. */
export async function finish(child: ChildProcess): Promise<Finished> {
  const closed = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve([code, signal]));
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
    closed,
  ]);
  return { code, signal, stdout, stderr };
}

/** One host: a network namespace, and programs that run in it. */
export class Host {
  /** The namespace's name. */
  readonly name: string;
  /** A folder for files of the whole network, gone with it. */
  readonly folder: string;
  #resolver: string | null = null;
  readonly #servers: { readonly what: string; readonly child: ChildProcess; log: string }[] = [];

  constructor(name: string, folder: string) {
    this.name = name;
    this.folder = folder;
  }

  /** Starts a program. Its process id is the child's: `ip netns exec` becomes the program. */
  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const before = this.#resolver === null ? [] : ['sh', '-c', WITH_RESOLVER, this.#resolver];
    const args = ['netns', 'exec', this.name, ...before, ...command];
    return spawn('ip', args, { env: ENVIRONMENT, cwd: this.folder, ...options });
  }

  /** Names are asked of the server at `address` from now on. */
  setNameServer(address: string): void {
    this.#resolver = join(this.folder, `${this.name}.resolv.conf`);
    writeFileSync(this.#resolver, `nameserver ${address}\noptions timeout:2 attempts:2\n`);
  }

  /** Runs a program to its end. */
  run(...command: readonly string[]): Promise<Finished> {
    return finish(this.spawn(command, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 }));
  }

  /** As `run`, and throws with what was printed unless the exit code is 0. */
  async must(...command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...command);
    if (code !== 0) throw new Error(`${this.name}: exit ${code} from ${command.join(' ')}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Lines for `ip -batch`. */
  async ip(lines: string): Promise<void> {
    const child = spawn('ip', ['-n', this.name, '-batch', '-'], { env: ENVIRONMENT, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(lines);
    const { code, stderr } = await finish(child);
    if (code !== 0) throw new Error(`${this.name}: ip: ${stderr}\n${lines}`);
  }

  /** Starts a server and resolves once it listens on all of `sockets`, such as `tcp/:443` or `udp/192.0.2.53:53`. */
  async serve(sockets: readonly string[], ...command: readonly string[]): Promise<void> {
    const child = this.spawn(command, { stdio: ['ignore', 'pipe', 'pipe'] });
    const server = { what: command.join(' '), child, log: '' };
    this.#servers.push(server);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        server.log += chunk;
      });
    }
    await until(`${server.what} listens on ${sockets.join(', ')}`, async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${server.what}:\n${server.log}`);
      const listening = (await this.must('ss', '-Hlntu')).split('\n').map((line) => line.split(/\s+/));
      return sockets.every((socket) => {
        const [protocol, end] = socket.split('/');
        return listening.some((fields) => fields[0] === protocol && fields[4].endsWith(end));
      });
    });
  }

  /** Packets that the host's interface has received and sent so far. */
  async packets(device: string): Promise<number> {
    const output = await this.must('ip', '-s', '-j', 'link', 'show', 'dev', device);
    const [{ stats64 }] = JSON.parse(output) as [{ stats64: { rx: { packets: number }; tx: { packets: number } } }];
    return stats64.rx.packets + stats64.tx.packets;
  }

  /** Resolves once nothing has passed the interface for `quietMs`. */
  async silence(device: string, quietMs = 250): Promise<void> {
    let last = await this.packets(device);
    let since = performance.now();
    await until(`silence on ${device}`, async () => {
      const now = await this.packets(device);
      if (now !== last) since = performance.now();
      last = now;
      return performance.now() - since >= quietMs;
    });
  }
}

/** One end of a cable. */
export interface End {
  host: Host;
  device: string;
  addresses?: readonly string[];
}

export class Network {
  /** For files of the tests; gone when the network is. */
  readonly folder: string;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #guard: ChildProcess;
  #cables = 0;

  /** Makes one namespace for each name, with loopback up. */
  static async open(...names: readonly string[]): Promise<Network> {
    removeLeftovers();
    const network = new Network(names);
    try {
      for (const host of network.#hosts.values()) await addNamespace(host);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  private constructor(names: readonly string[]) {
    this.folder = mkdtempSync(join(tmpdir(), `${PREFIX}-`));
    chmodSync(this.folder, 0o755);
    const unique = `${PREFIX}-${process.pid}-${this.folder.slice(-6)}`;
    this.#hosts = new Map(names.map((name) => [name, new Host(`${unique}-${name}`, this.folder)]));
    const spaces = [...this.#hosts.values()].map(({ name }) => name);
    this.#guard = spawn('bash', ['-c', GUARD, `${PREFIX}-guard`, this.folder, ...spaces], {
      detached: true,
      env: ENVIRONMENT,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`No host ${name}`);
    return host;
  }

  /**
   * A cable between two hosts: without offloads, so that frames and checksums are those of a real wire; without IPv6
   * addresses of its own and with neighbours known beforehand, so that nothing passes unless a test sends it.
   */
  async wire(left: End, right: End): Promise<void> {
    const number = this.#cables++;
    const ends = [left, right].map((end, i) => ({ ...end, mac: `02:00:5e:00:${twoDigits(number)}:0${i + 1}` }));
    const [a, b] = ends;
    await a.host.ip(
      `link add ${a.device} address ${a.mac} type veth peer name ${b.device} address ${b.mac} netns ${b.host.name}\n`,
    );
    for (const [end, other] of [
      [a, b],
      [b, a],
    ]) {
      const { host, device } = end;
      await host.must('ethtool', '-K', device, ...'tx off rx off tso off gso off gro off'.split(' '));
      const lines = [`link set ${device} addrgenmode none`, `link set ${device} up`];
      for (const address of end.addresses ?? []) lines.push(`address add ${address} dev ${device} nodad`);
      for (const address of other.addresses ?? []) {
        lines.push(`neighbour add ${address.split('/')[0]} lladdr ${other.mac} dev ${device} nud permanent`);
      }
      await host.ip(`${lines.join('\n')}\n`);
    }
  }

  /** A file system of so many KiB for the hosts' programs: a folder. */
  mountDisk(kilobytes: number): string {
    const folder = join(this.folder, 'disk');
    mkdirSync(folder);
    const options = ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', folder];
    const { status, stderr } = spawnSync('mount', options, { env: ENVIRONMENT, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return folder;
  }

  /** Ends all that runs on the hosts and removes them. */
  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#guard.once('exit', resolve));
    this.#guard.stdin?.end();
    if (this.#guard.exitCode === null) await gone;
  }
}

async function addNamespace(host: Host): Promise<void> {
  const { status, stderr } = spawnSync('ip', ['netns', 'add', host.name], { env: ENVIRONMENT, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  await host.ip('link set lo up\n');
  await host.must('sh', '-c', 'for file; do echo 0 >"$file" || exit; done', 'sh', ...CHATTER);
}

/** What IPv6 hosts say on their own: searches for duplicate addresses and for routers. */
const CHATTER = ['default', 'all'].flatMap((which) =>
  ['accept_dad', 'accept_ra', 'router_solicitations'].map((name) => `/proc/sys/net/ipv6/conf/${which}/${name}`),
);

/** Namespaces of a process that is gone, whose guard was killed, too. */
function removeLeftovers(): void {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const [, maker, suffix] = new RegExp(`^${PREFIX}-(\\d+)-(\\w{6})-`).exec(name) ?? [];
    if (maker === undefined || existsSync(`/proc/${maker}`)) continue;
    const folder = join(tmpdir(), `${PREFIX}-${suffix}`);
    spawnSync('bash', ['-c', GUARD, `${PREFIX}-guard`, folder, name], { env: ENVIRONMENT, input: '' });
  }
}

const twoDigits = (number: number): string => number.toString(16).padStart(2, '0');

let refusal: string | undefined;

/** Why this machine can make no network of hosts, or '' where it can: tried out, once. */
function whyNoNetwork(): string {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  const name = `${PREFIX}-${process.pid}-probe`;
  const script = `ip netns add ${name} && ip -n ${name} link add probe0 type veth peer name probe1 && ip netns exec ${name} true`;
  const { status, stderr } = spawnSync('bash', ['-c', script], { env: ENVIRONMENT, encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', name], { env: ENVIRONMENT });
  if (status === 0) return '';
  return `network namespaces can not be made: ${stderr.trim().split('\n')[0]}`;
}

function hasProgram(program: string): boolean {
  return spawnSync('bash', ['-c', `command -v ${program}`], { env: ENVIRONMENT }).status === 0;
}

/** '' where namespaces can be made and all the programs are there; else why tests skip, for their titles. */
export function whySkipped(...programs: readonly string[]): string {
  const missing = ['ip', 'ss', 'ethtool', ...programs].filter((program) => !hasProgram(program));
  if (missing.length > 0) return ` (skipped: no ${missing.join(', ')}; script/setup --test installs what is missing)`;
  refusal ??= whyNoNetwork();
  return refusal === '' ? '' : ` (skipped: ${refusal})`;
}
