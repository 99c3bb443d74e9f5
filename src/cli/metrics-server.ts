// Serves the counters of a run over HTTP: GET /metrics, in the text format of Prometheus, and nothing else.
//
// It never keeps the process alive, answers until the run has ended, and holds few connections, each for a short time:
// whoever can reach the port can do no more than read counters.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { NfstreamError } from '../errors.ts';
import type { Exposition } from './prometheus.ts';

const PATH = '/metrics';
const MOST_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 2000;
/** How often they are looked at; Node.js' own half a minute would leave no connection for scrapes meanwhile. */
const CHECK_MS = 500;
/** An answer that is under way at the end of the run has this long. */
const LAST_ANSWER_MS = 500;

export interface MetricsServer {
  /** Where it listens, for example `http://127.0.0.1:9100/metrics`. */
  readonly url: string;
  /** Answers what was asked already, then closes. Never rejects. */
  close(): Promise<void>;
}

/**
 * Listens at `address` and `port` (0 for any that is free).
 * @throws NfstreamError METRICS_SERVER_FAILED
 */
export async function startMetricsServer(
  { port, address }: { readonly port: number; readonly address: string },
  metrics: Exposition,
): Promise<MetricsServer> {
  const limits = { connectionsCheckingInterval: CHECK_MS };
  const server = createServer(limits, (request, response) => void answer(request, response, metrics));
  server.maxConnections = MOST_CONNECTIONS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.on('connection', (socket) => socket.unref());
  await listen(server, port, address);
  server.unref();
  // Such as one connection too many being open in the process: scrapes fail then, the run does not.
  server.on('error', () => {});
  const { address: bound, port: boundPort, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${bound}]` : bound;
  return { url: `http://${host}:${boundPort}${PATH}`, close: () => close(server) };
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const [, meaning] = (cause.errno === undefined ? undefined : getSystemErrorMap().get(cause.errno)) ?? [];
      const reason = meaning === undefined ? cause.message : `${meaning} (${cause.code})`;
      const message = `Serving the counters at ${address}, port ${port}, failed: ${reason}`;
      reject(new NfstreamError('METRICS_SERVER_FAILED', message, { cause }));
    });
    server.listen({ port, host: address }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, metrics: Exposition): Promise<void> {
  const { method, url = '' } = request;
  const refuse = (status: number, text: string) => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  };
  if (url.split('?', 1)[0] !== PATH) return refuse(404, `The counters are at ${PATH}`);
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return refuse(405, 'Counters can only be read');
  }
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' });
    response.end(method === 'HEAD' ? undefined : text);
  } catch (error) {
    refuse(500, String(error));
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Not unref'd: it ends the wait where a client doesn't.
    const timer = setTimeout(() => server.closeAllConnections(), LAST_ANSWER_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
