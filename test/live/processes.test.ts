// Which process a flow belongs to, beside what ss says of the same sockets.
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CABLE_PROGRAMS, type Cable, openCable, send } from './cable.ts';
import { LIBRARY, MeterProcess, nfstream, type Row } from './meter.ts';
import { type Host, until, whySkipped } from './network.ts';

const why = whySkipped(...CABLE_PROGRAMS, 'python3', 'nginx', 'curl', 'nc', 'dig', 'setpriv');

/** Holds a connection to each PROTOCOL,ADDRESS,PORT open, having sent something, until it is killed. */
const HOLD = `
import socket, sys, time
held = []
for target in sys.argv[1:]:
    protocol, address, port = target.split(',')
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET,
                      socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.send(b'GET / HTTP/1.1\\r\\n')
    held.append(s)
print('held', flush=True)
time.sleep(60)
`;

/** Servers that say nothing: forking (the child alone keeps the connection), late (a child accepts after a while), ... */
const SERVE = `
import os, socket, sys, time
def listen(family, kind, address, port):
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    if kind == socket.SOCK_STREAM: s.listen()
    return s
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
if kind == 'udp':
    s = listen(family, socket.SOCK_DGRAM, address, port)
    while True: s.recv(2048)
s = listen(family, socket.SOCK_STREAM, address, port)
if kind == 'late' and os.fork() == 0:
    time.sleep(1.5)
    connection, _ = s.accept()
    time.sleep(60)
if kind == 'forking':
    while True:
        connection, _ = s.accept()
        if os.fork() == 0:
            s.close()
            time.sleep(60)
        connection.close()
if kind == 'accepting':
    held = []
    while True: held.append(s.accept())
time.sleep(60)
`;

const FAR = ['192.0.2.1', '2001:db8:5::1'] as const;
const NEAR = ['192.0.2.2', '2001:db8:5::2'] as const;
const ARGS = ['--system-visibility', '--no-ndpi'];

interface Socket {
  local: string;
  peer: string;
  users: { pid: number; name: string }[];
}

/** What ss says of the host's TCP and UDP sockets. Addresses as in `ends`. */
async function sockets(host: Host): Promise<Socket[]> {
  const lines = (await host.must('ss', '-tuanpH')).trim().split('\n');
  return lines.map((line) => {
    const [, , , , local, peer, users = ''] = line.split(/\s+/, 7).concat('');
    const rest = line.slice(line.indexOf('users:'));
    return {
      local: plain(local!),
      peer: plain(peer!),
      users:
        users === ''
          ? []
          : [...rest.matchAll(/\("(.*?)",pid=(\d+)/g)].map(([, name, pid]) => ({ pid: Number(pid), name: name! })),
    };
  });
}

/** ss writes [::ffff:1.2.3.4]:80 where the frame has 1.2.3.4. */
const plain = (end: string): string => end.replace(/^\[(?:::ffff:)?(.*)\]:/, '$1:').replace(/%\w+:/, ':');
const src = (row: Row) => `${row['ip_src']}:${row['src_port']}`;
const dst = (row: Row) => `${row['ip_dst']}:${row['dst_port']}`;
const processOf = (row: Row) => {
  const { process_id: pid, process_name: name } = row['metrics'] as Row;
  return { pid, name };
};

describe.skipIf(why !== '')(`systemVisibility${why}`, () => {
  let cable: Cable;
  let near: Host;
  let far: Host;

  beforeAll(async () => {
    cable = await openCable();
    near = cable.watcher;
    far = cable.sender;
    writeFileSync(join(near.folder, 'hold.py'), HOLD);
    writeFileSync(join(near.folder, 'serve.py'), SERVE);
  });
  afterAll(() => cable?.network.close());

  const serve = (host: Host, kind: string, address: string, port: number) =>
    host.serve([`${kind === 'udp' ? 'udp' : 'tcp'}/:${port}`], 'python3', 'serve.py', kind, address, `${port}`);
  const hold = async (host: Host, ...targets: string[]): Promise<ChildProcess> => {
    const child = host.spawn(['python3', 'hold.py', ...targets], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    return child;
  };

  it('tells what ss tells, whoever began and whatever became of the process since', async () => {
    const configuration = `user root; daemon off; pid ${near.folder}/nginx.pid; error_log stderr; worker_processes 2;
      events {} http { access_log off; server { listen 80; listen [::]:80; } }`;
    writeFileSync(join(near.folder, 'nginx.conf'), configuration);
    await Promise.all([
      near.serve(['tcp/:80'], 'nginx', '-p', near.folder, '-e', 'stderr', '-c', join(near.folder, 'nginx.conf')),
      near.serve(['tcp/*:8000'], 'python3', '-m', 'http.server', '8000', '--bind', '::'),
      serve(near, 'forking', '0.0.0.0', 7001),
      serve(near, 'late', '0.0.0.0', 7002),
      serve(near, 'silent', '0.0.0.0', 7003),
      serve(near, 'udp', '0.0.0.0', 7004),
      serve(near, 'udp', '::', 7005),
      serve(near, 'udp', NEAR[0], 7006),
      serve(far, 'accepting', '0.0.0.0', 9000),
      serve(far, 'accepting', '::', 9006),
      serve(far, 'udp', '0.0.0.0', 9053),
    ]);
    const meter = nfstream(near, 'eth0', ...ARGS, '--filter', 'tcp or udp');
    await meter.listens();
    const to = (port: number, ...addresses: readonly string[]) => addresses.map((address) => `tcp,${address},${port}`);
    const clients = await Promise.all([
      hold(far, ...to(80, ...NEAR), ...to(8000, ...NEAR), ...to(7001, NEAR[0]), ...to(7002, NEAR[0])),
      hold(far, ...to(7003, NEAR[0]), `udp,${NEAR[0]},7004`, `udp,${NEAR[0]},7005`, `udp,${NEAR[1]},7005`),
      hold(far, `udp,${NEAR[0]},7006`, ...to(80, NEAR[0]), ...to(80, NEAR[0])),
      hold(near, ...to(9000, FAR[0]), ...to(9006, FAR[1]), `udp,${FAR[0]},9053`),
    ]);
    clients.push(
      near.spawn(['nc', FAR[0], '9000'], { stdio: ['pipe', 'ignore', 'ignore'] }),
      near.spawn(['nc', '-6', FAR[1], '9006'], { stdio: ['pipe', 'ignore', 'ignore'] }),
      near.spawn(['curl', '-s', `http://${FAR[0]}:9000/`], { stdio: 'ignore' }),
      near.spawn(['dig', '+tries=1', '+time=9', '-p', '9053', `@${FAR[0]}`, 'example.org'], { stdio: 'ignore' }),
    );
    // The late server accepts, and the second look of the meter.
    await sleep(3200);
    const open = await sockets(near);
    for (const client of clients) client.kill('SIGKILL');
    await meter.rests();
    const { code, rows, stderr } = await meter.stop();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

    const compared: string[] = [];
    for (const row of rows) {
      const isOut = row['ip_src'] === NEAR[0] || row['ip_src'] === NEAR[1];
      const [local, peer] = isOut ? [src(row), dst(row)] : [dst(row), src(row)];
      const own = open.find((socket) => socket.local === local && socket.peer === peer && socket.users.length > 0);
      const port = local.slice(local.lastIndexOf(':'));
      const waiting = open.find((socket) => socket.local.endsWith(port) && /[*:]\*$/.test(socket.peer));
      const users = (own ?? waiting)?.users ?? [];
      expect(users, `${local} ${peer}`).toContainEqual(processOf(row));
      compared.push(`${isOut ? 'to' : 'at'} ${row['ip_protocol']} ${row['dst_port']} ${processOf(row).name}`);
      // The child, not the parent that listens.
      if (row['dst_port'] === 7001 || row['dst_port'] === 7002) {
        expect(own, `${row['dst_port']} was accepted`).toBeDefined();
        expect(users).toHaveLength(1);
      }
    }
    const python = processOf(rows.find((row) => row['dst_port'] === 7003)!).name;
    expect(compared.sort()).toEqual(
      [
        ...Array<string>(4).fill('at 6 80 nginx'),
        ...[7001, 7002, 7003, 8000, 8000].map((port) => `at 6 ${port} ${python}`),
        ...[7004, 7005, 7005, 7006].map((port) => `at 17 ${port} ${python}`),
        ...['to 6 9000 curl', 'to 6 9000 nc', 'to 6 9006 nc', 'to 17 9053 dig'],
        ...[`to 6 9000 ${python}`, `to 6 9006 ${python}`, `to 17 9053 ${python}`],
      ].sort(),
    );
  });

  it('tells the process of the source where both are on this host, and nobody for what passes', async () => {
    // Would be taken for the receiver of what passes, whose port is 9.
    await serve(near, 'udp', '0.0.0.0', 9);
    const [local, wire] = [
      nfstream(near, 'lo', ...ARGS, '--meters', '2'),
      nfstream(near, 'eth0', ...ARGS, '--filter', 'udp port 9'),
    ];
    await Promise.all([local.listens(2), wire.listens()]);
    const client = await hold(near, 'udp,127.0.0.1,9', 'udp,127.8.8.8,9', `udp,${NEAR[0]},9`);
    await send(cable, 20);
    await sleep(500);
    const [within, passed] = await Promise.all([local.stop(), wire.stop()]);
    client.kill();
    const own = within.rows.filter((row) => row['dst_port'] === 9);
    expect(own).toHaveLength(3);
    expect(within.stderr).toBe('');
    for (const row of own) expect(processOf(row).pid).toBe(client.pid);
    expect(passed.rows).toHaveLength(20);
    for (const row of passed.rows) expect(processOf(row)).toEqual({ pid: null, name: null });
  });

  it('says once that it may not look into the processes of others', async () => {
    await serve(near, 'udp', '0.0.0.0', 7010);
    const code = `import { Streamer } from ${JSON.stringify(LIBRARY)};
      process.removeAllListeners('warning');
      process.on('warning', ({ name, code, message }) => console.error(name, code, message));
      const options = { source: 'eth0', bpfFilter: 'udp', enableNdpi: false, systemVisibility: true };
      for await (const flow of new Streamer(options)) console.log(JSON.stringify(flow));`;
    // Root without its rights: servers that have them are out of reach (cap_ptrace_access_check).
    const command = [
      'setpriv',
      '--bounding-set=-all,+net_raw',
      process.execPath,
      '--input-type=module',
      '--eval',
      code,
    ];
    const meter = new MeterProcess(near, near.spawn(command, { stdio: ['ignore', 'pipe', 'pipe'] }));
    await meter.listens();
    const clients = [await hold(far, `udp,${NEAR[0]},7010`), await hold(far, `udp,${NEAR[0]},7010`)];
    await until('it has warned', () => meter.stderr !== '');
    for (const client of clients) client.kill();
    const { rows, stderr } = await meter.stop();
    expect(rows).toHaveLength(2);
    for (const row of rows) expect(processOf(row)).toEqual({ pid: null, name: null });
    expect(stderr).toMatch(/^NfstreamWarning NFSTREAM_PROCESS_DENIED \d+ processes can't be looked into, .*\n$/);
  });
});
