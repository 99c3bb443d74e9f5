// How long a process and its connection have to live to be found: processes of their own that connect, wait, and end,
// metered live on the loopback interface of this network namespace.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Streamer } from '../../dist/index.js';

const PORT = 9000;
const EACH = 20;
export const LIFETIMES_MS = [0, 10, 30, 60, 100, 200];

/** Keeps each connection open for the ms that the client asks for. */
const SERVER = `
import socket, threading, time
s = socket.create_server(('127.0.0.1', ${PORT}))
print(1, flush=True)
def serve(c):
    time.sleep(float(c.recv(100)) / 1000)
    c.close()
while True: threading.Thread(target=serve, args=(s.accept()[0],)).start()
`;
const CLIENT = `
import socket, sys
s = socket.create_connection(('127.0.0.1', ${PORT}))
s.send(sys.argv[1].encode())
s.recv(1)
`;
const DRIVER = `
import subprocess, sys
for ms in sys.argv[1:]:
    for _ in range(${EACH}): subprocess.run([sys.executable, '-c', ${JSON.stringify(CLIENT)}, ms])
`;

/** Per cent of the clients that were found, for each of LIFETIMES_MS. @param {boolean} immediate */
export async function foundByLifetime(immediate) {
  const server = spawn('python3', ['-c', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const streamer = new Streamer({
    source: 'lo',
    bpfFilter: `tcp port ${PORT}`,
    systemVisibility: true,
    enableNdpi: false,
    immediate,
    handleSigint: false,
  });
  await streamer.open();
  const flows = [];
  const metering = (async () => {
    for await (const flow of streamer) flows.push(flow);
  })();
  await sleep(500);
  const driver = spawn('python3', ['-c', DRIVER, ...LIFETIMES_MS.map(String)], { stdio: 'inherit' });
  await new Promise((resolve) => driver.once('close', resolve));
  await sleep(300);
  streamer.stop();
  await metering;
  server.kill();
  // One after the other, so their order is that of LIFETIMES_MS.
  flows.sort((a, b) => a.start_time - b.start_time);
  return LIFETIMES_MS.map((_, i) => {
    const group = flows.slice(i * EACH, (i + 1) * EACH);
    return Math.round((100 * group.filter(({ metrics }) => metrics.process_id !== null).length) / EACH);
  });
}
