// Two hosts of our own: network namespaces joined by two veth pairs, one that carries traffic, one that swallows what a
// contender exports. Nothing outside of them is touched, and nothing is left over.
//
//   sender [ out ]───────────►[ in ] receiver
//          [ trash ]◄─────────[ export 192.0.2.1 ]     192.0.2.2 has a fixed address there and nobody listens
import { execFileSync } from 'node:child_process';

/** UDP sent here from the receiver costs the same as ever and goes nowhere. */
export const EXPORT_TO = '192.0.2.2:9995';
export const OUT = 'out';
export const IN = 'in';

/**
 * @typedef {object} Network
 * @property {(cpus: string, command: readonly string[]) => string[]} onSender the command there, on these CPUs
 * @property {(cpus: string, command: readonly string[]) => string[]} onReceiver
 * @property {() => number} delivered packets that came in at the receiver so far
 * @property {() => void} remove safe to call twice
 */

/** @returns {Network} throws where namespaces can't be made here */
export function makeNetwork() {
  const sender = `nfstream-bench-${process.pid}-s`;
  const receiver = `nfstream-bench-${process.pid}-r`;
  const made = [];
  const remove = () => {
    for (const name of made.splice(0)) ip('netns', 'del', name);
  };
  try {
    for (const name of [sender, receiver]) {
      ip('netns', 'add', name);
      made.push(name);
      // The kernel's own packets (router solicitations) would be counted, too.
      for (const key of ['all', 'default']) within(name, 'sysctl', '-qw', `net.ipv6.conf.${key}.disable_ipv6=1`);
    }
    ip('-n', sender, 'link', 'add', OUT, 'mtu', '9000', 'type', 'veth', 'peer', IN, 'netns', receiver);
    ip('-n', receiver, 'link', 'set', IN, 'mtu', '9000');
    ip('-n', sender, 'link', 'add', 'trash', 'type', 'veth', 'peer', 'export', 'netns', receiver);
    ip('-n', receiver, 'addr', 'add', '192.0.2.1/24', 'dev', 'export');
    for (const link of [OUT, 'trash']) ip('-n', sender, 'link', 'set', link, 'up');
    for (const link of [IN, 'export', 'lo']) ip('-n', receiver, 'link', 'set', link, 'up');
    const [address] = EXPORT_TO.split(':');
    ip('-n', receiver, 'neigh', 'add', address, 'lladdr', '02:00:00:00:00:01', 'dev', 'export');
  } catch (error) {
    remove();
    throw error;
  }
  const on = (name) => (cpus, command) => ['ip', 'netns', 'exec', name, 'taskset', '-c', cpus, ...command];
  return {
    onSender: on(sender),
    onReceiver: on(receiver),
    delivered: () => Number(within(receiver, 'cat', `/sys/class/net/${IN}/statistics/rx_packets`)),
    remove,
  };
}

function ip(...args) {
  return run('ip', ...args);
}

function within(name, ...command) {
  return run('ip', 'netns', 'exec', name, ...command);
}

function run(program, ...args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 10_000 });
  } catch (error) {
    const said = error.stderr?.trim() || error.message;
    throw new Error(`${[program, ...args].join(' ')} failed: ${said}`);
  }
}
