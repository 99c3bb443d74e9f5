// The counters over HTTP: by Node's own client, and while a run goes on.
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type MetricsServer, startMetricsServer } from '../../src/cli/metrics-server.ts';
import { manyFlows, pcap } from './capture.ts';
import { readExposition } from './exposition-reader.ts';
import { finish, nfstream, start, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const texts = { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: async () => 'a 1\n' };

let server: MetricsServer | undefined;
afterEach(() => server?.close());

describe('the server', () => {
  it('answers GET and HEAD of /metrics, and nothing else', async () => {
    server = await startMetricsServer({ port: 0, address: '127.0.0.1' }, texts);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const answer = await fetch(server.url);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe(texts.contentType);
    expect(await answer.text()).toBe('a 1\n');
    expect((await fetch(`${server.url}?name=a`)).status).toBe(200);
    const head = await fetch(server.url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const path of ['/', '/metrics/', '/metrics2', '/favicon.ico']) {
      expect((await fetch(new URL(path, server.url))).status).toBe(404);
    }
    const post = await fetch(server.url, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('answers 500 where the counters can not be had', async () => {
    const text = () => Promise.reject(new Error('no counters'));
    server = await startMetricsServer({ port: 0, address: '127.0.0.1' }, { ...texts, text });
    expect((await fetch(server.url)).status).toBe(500);
  });

  it('finishes an answer that is under way when it is closed, but waits for no client', async () => {
    let release: ((text: string) => void) | undefined;
    const text = () =>
      new Promise<string>((resolve) => {
        release = resolve;
      });
    server = await startMetricsServer({ port: 0, address: '127.0.0.1' }, { ...texts, text });
    const idle = connect(Number(new URL(server.url).port), '127.0.0.1');
    await new Promise((connected) => idle.once('connect', connected));
    const answer = fetch(server.url);
    await expect.poll(() => release).toBeDefined();
    const closed = server.close();
    release?.('last 1\n');
    expect(await (await answer).text()).toBe('last 1\n');
    await closed;
    await expect(fetch(server.url)).rejects.toThrow();
    idle.destroy();
  });

  it('is there again soon after clients that never finish their request took all connections', async () => {
    server = await startMetricsServer({ port: 0, address: '127.0.0.1' }, texts);
    const { url } = server;
    const clients = Array.from({ length: 70 }, () => {
      const client = connect(Number(new URL(url).port), '127.0.0.1', () => client.write('GET /met'));
      return client.on('error', () => {});
    });
    await expect.poll(() => clients.some(({ destroyed }) => destroyed)).toBe(true);
    await expect(fetch(url)).rejects.toThrow();
    const answers = async () => (await fetch(url).catch(() => null))?.status;
    await expect.poll(answers, { timeout: 10_000, interval: 200 }).toBe(200);
    for (const client of clients) client.destroy();
  }, 15_000);

  it('says why it can not listen', async () => {
    const other: Server = createServer();
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const { port } = other.address() as AddressInfo;
    const refused = startMetricsServer({ port, address: '127.0.0.1' }, texts);
    await expect(refused).rejects.toMatchObject({
      code: 'METRICS_SERVER_FAILED',
      message: `Serving the counters at 127.0.0.1, port ${port}, failed: address already in use (EADDRINUSE)`,
    });
    const nowhere = startMetricsServer({ port: 0, address: '203.0.113.7' }, texts);
    await expect(nowhere).rejects.toMatchObject({ message: expect.stringMatching(/\(EADDRNOTAVAIL\)$/) });
    const target = file('never.jsonl');
    const { code, stdout, stderr } = await nfstream(['-', '--no-ndpi', '--metrics-port', String(port), '-o', target]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^nfstream: Serving [^\n]* \[METRICS_SERVER_FAILED\]\n$/);
    other.close();
  });
});

describe('--metrics-port', () => {
  it('serves the counters of the run as they stand, and keeps nothing alive', async () => {
    const child = start(['-', '--no-ndpi', '--metrics-port', '0']);
    const url = await new Promise<string>((found) => {
      child.stderr.on('data', (text) => {
        const match = /^nfstream: counters at (http:\S+)\n$/.exec(String(text));
        if (match !== null) found(match[1]);
      });
    });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:/);
    const sampleOf = async (name: string) => readExposition(await (await fetch(url)).text())[name].samples[0].value;
    expect(await sampleOf('nfstream_packets_read_total')).toBe(0);
    const packets = manyFlows(40);
    child.stdin.write(pcap(packets));
    await expect.poll(() => sampleOf('nfstream_packets_read_total')).toBe(40);
    expect(await sampleOf('nfstream_flows_live')).toBe(40);
    expect(await sampleOf('nfstream_flows_capacity')).toBe(524288);
    child.stdin.end();
    expect(await finish(child)).toMatchObject({ code: 0 });
    await expect(fetch(url)).rejects.toThrow();
  });

  it('listens where --metrics-address says', async () => {
    const child = start(['-', '--no-ndpi', '--metrics-port=0', '--metrics-address=::1']);
    const line = await new Promise<string>((found) => child.stderr.once('data', (text) => found(String(text))));
    expect(line).toMatch(/^nfstream: counters at http:\/\/\[::1\]:\d+\/metrics\n$/);
    child.stdin.end(pcap([{}]));
    expect(await finish(child)).toMatchObject({ code: 0 });
  });
});
