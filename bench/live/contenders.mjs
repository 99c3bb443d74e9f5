// Who listens, and on what terms: everybody has the same kernel buffer and sees the same packets. tcpdump writes to
// /dev/null, as standard output (by its name it would change its owner), softflowd exports to where nobody listens,
// nfstream's flows are taken one by one. Drops and packets are what each counts itself.
import { spawn, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EXPORT_TO, IN } from './network.mjs';

const METER = fileURLToPath(new URL('../live-meter.mjs', import.meta.url));
const BUFFER_BYTES = 32 << 20;
const FILES = join(tmpdir(), `nfstream-bench-${process.pid}`);
const PATIENCE_MS = 20_000;

/**
 * @typedef {object} Counted
 * @property {number} packets that it took
 * @property {number} dropped by the kernel, for it
 *
 * @typedef {object} Listener
 * @property {number} pid
 * @property {() => Promise<Counted>} end
 * @property {() => void} kill safe to call at any time
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} cpus
 * @property {boolean} [isFlowMeter]
 * @property {(network: import('./network.mjs').Network) => Promise<Listener>} listen resolves when it captures
 */

/** @param {string} index nfstream's module @returns {Contender[]} */
export function contenders(index) {
  const meters = [false, true].flatMap((enableNdpi) =>
    [1, 2].map((count) => ({ enableNdpi, ...(count > 1 && { meters: count }) })),
  );
  return [
    { name: 'tcpdump -w /dev/null', cpus: '1', listen: listenTcpdump },
    { name: 'softflowd', cpus: '1', listen: listenSoftflowd },
    ...meters.map((options) => ({
      name: `nfstream, ${options.enableNdpi ? 'nDPI' : 'no nDPI'}${options.meters ? `, ${options.meters} meters` : ''}`,
      cpus: options.meters ? '0,1' : '1',
      listen: async (network, cpus) => {
        const meter = await listenNfstream(network, cpus, index, options);
        const end = async () => {
          const { packets_read, capture } = (await meter.end()).stats;
          return { packets: packets_read, dropped: capture.packets_dropped_by_kernel };
        };
        return { pid: meter.pid, kill: meter.kill, end };
      },
    })),
  ];
}

/** Programs that are missing. */
export function missingTools(names = ['ip', 'taskset', 'tcpreplay', 'tcpdump', 'softflowd', 'softflowctl']) {
  return names.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status !== 0);
}

async function listenTcpdump(network, cpus) {
  const command = ['tcpdump', '-n', '-i', IN, '-B', `${BUFFER_BYTES >> 10}`, '-s', '65535', '-Z', 'root', '-w', '-'];
  const child = new Child(network.onReceiver(cpus, command));
  await child.says(/listening on/);
  return {
    pid: child.pid,
    kill: () => child.kill(),
    end: async () => {
      await child.finish('SIGINT');
      const count = (words) => Number(new RegExp(`(\\d+) packets? ${words}`).exec(child.errors)?.[1]);
      return { packets: count('captured'), dropped: count('dropped by kernel') };
    },
  };
}

async function listenSoftflowd(network, cpus) {
  const control = `${FILES}.ctl`;
  const options = ['-6', '-m', '524288', '-v', '9', '-n', EXPORT_TO, '-B', `${BUFFER_BYTES}`];
  const files = ['-c', control, '-p', `${FILES}.pid`];
  const child = new Child(network.onReceiver(cpus, ['softflowd', '-d', '-i', IN, ...options, ...files]));
  const ask = (command) => spawnSync('softflowctl', ['-c', control, command], { encoding: 'utf8' }).stdout;
  for (let tries = 0; !/Packets processed/.test(ask('statistics')); tries++) {
    if (tries > 100 || child.hasEnded) throw new Error(`softflowd does not answer: ${child.errors}`);
    await sleep(50);
  }
  return {
    pid: child.pid,
    kill: () => child.kill(),
    end: async () => {
      const said = ask('statistics');
      ask('shutdown');
      await child.finish();
      const count = (words) => Number(new RegExp(`${words}: (\\d+)`).exec(said)?.[1]);
      return { packets: count('Packets received by libpcap'), dropped: count('Packets dropped by libpcap') };
    },
  };
}

/** @returns {Promise<{ pid: number, kill: () => void, end: () => Promise<object>, sample: () => Promise<object> }>} */
export async function listenNfstream(network, cpus, index, options, flags = []) {
  const command = [
    process.execPath,
    ...flags,
    METER,
    index,
    IN,
    JSON.stringify({ bufferSize: BUFFER_BYTES, ...options }),
  ];
  const child = new Child(network.onReceiver(cpus, command), 'pipe');
  const told = [];
  createInterface({ input: child.output }).on('line', (line) => {
    const said = JSON.parse(line);
    for (const tell of told.splice(0)) tell(said);
  });
  const next = () =>
    Promise.race([
      new Promise((resolve) => told.push(resolve)),
      child.ended.then(() => {
        throw new Error(`nfstream ended: ${child.errors.trim()}`);
      }),
    ]);
  await next();
  const ask = async (signal) => {
    const answer = next();
    process.kill(child.pid, signal);
    return await answer;
  };
  return {
    pid: child.pid,
    kill: () => child.kill(),
    sample: () => ask('SIGUSR2'),
    end: async () => {
      const said = await ask('SIGTERM');
      await child.finish();
      if (child.errors !== '') throw new Error(`nfstream: ${child.errors.trim()}`);
      return said;
    },
  };
}

/** A child process, with what it says on standard error kept. */
class Child {
  errors = '';
  hasEnded = false;
  #process;

  /** @param {readonly string[]} command @param {'ignore' | 'pipe'} [output] 'ignore' is /dev/null */
  constructor([program, ...args], output = 'ignore') {
    this.#process = spawn(program, args, { stdio: ['ignore', output, 'pipe'] });
    this.ended = new Promise((resolve) => {
      this.#process.on('error', resolve);
      this.#process.on('close', resolve);
    }).then(() => {
      this.hasEnded = true;
    });
    this.#process.stderr.setEncoding('utf8').on('data', (chunk) => {
      this.errors = (this.errors + chunk).slice(-4000);
    });
  }

  get pid() {
    return this.#process.pid;
  }

  get output() {
    return this.#process.stdout;
  }

  async says(words) {
    const until = performance.now() + PATIENCE_MS;
    while (!words.test(this.errors)) {
      if (this.hasEnded || performance.now() > until)
        throw new Error(`${this.#process.spawnargs.join(' ')}: ${this.errors}`);
      await sleep(20);
    }
  }

  async finish(signal) {
    if (signal !== undefined) this.#process.kill(signal);
    const timer = setTimeout(() => this.kill(), PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  kill() {
    this.#process.kill('SIGKILL');
  }
}

/** @param {number} ms */
export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
