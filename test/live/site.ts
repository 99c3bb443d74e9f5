// A client, a router and a server, with what an ordinary day has: name resolution, web over TLS 1.2, 1.3, HTTP/2 and
// HTTP/3, a shell, bulk transfers, pings; each by a real server and a real client.
//
//   client eth0 ── lan router wan ── eth0 server
//
// Names are those of well-known sites, so that nDPI has something to name; the addresses are documentation's.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Host, Network } from './network.ts';

/** Programs that `openSite` needs; `whySkipped` of network.ts tells. */
export const SITE_PROGRAMS = [
  'nginx',
  'curl',
  'gtlsserver',
  'gtlsclient',
  'dnsmasq',
  'dig',
  'sshd',
  'ssh',
  'ssh-keygen',
];
SITE_PROGRAMS.push('openssl', 'iperf3', 'ping', 'tcpdump');

const CLIENT = ['198.51.100.10', '2001:db8:c::10'] as const;
const DNS = ['192.0.2.53', '2001:db8:5::53'] as const;
/** Last number of each name's IPv4 and IPv6 address. */
const NAMES: readonly (readonly [string, number])[] = [
  ['www.wikipedia.org', 80],
  ['www.github.com', 81],
  ['www.netflix.com', 82],
  ['www.youtube.com', 83],
  ['www.facebook.com', 84],
  ['shell.example.org', 22],
  ['speed.example.org', 201],
];

export interface Site extends AsyncDisposable {
  readonly network: Network;
  readonly client: Host;
  readonly router: Host;
  readonly server: Host;
}

/** The hosts, wired; only the name server runs. */
export async function openSite(): Promise<Site> {
  const network = await Network.open('client', 'router', 'server');
  try {
    const [client, router, server] = ['client', 'router', 'server'].map((name) => network.host(name));
    const [numbers, sixes] = ['192.0.2', '2001:db8:5:'].map((net) => NAMES.map(([, number]) => [net, number] as const));
    const addresses = [
      ...DNS,
      ...numbers.map(([net, number]) => `${net}.${number}`),
      ...sixes.map(([net, number]) => `${net}:${number}`),
    ];
    await network.wire(
      { host: client, device: 'eth0', addresses: [`${CLIENT[0]}/24`, `${CLIENT[1]}/64`] },
      { host: router, device: 'lan', addresses: ['198.51.100.1/24', '2001:db8:c::1/64'] },
    );
    await network.wire(
      { host: router, device: 'wan', addresses: ['192.0.2.1/24', '2001:db8:5::1/64'] },
      { host: server, device: 'eth0', addresses: addresses.map((text) => `${text}/${text.includes(':') ? 64 : 24}`) },
    );
    await router.must('sh', '-c', 'for file; do echo 1 >"$file" || exit; done', 'sh', ...FORWARDING);
    await client.ip('route add default via 198.51.100.1\nroute add default via 2001:db8:c::1\n');
    await server.ip('route add default via 192.0.2.1\nroute add default via 2001:db8:5::1\n');
    client.setNameServer(DNS[0]);
    await serveNames(server);
    return { network, client, router, server, [Symbol.asyncDispose]: () => network.close() };
  } catch (error) {
    await network.close();
    throw error;
  }
}

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

const FORWARDING = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map((name) => `/proc/sys/net/${name}`);

/** Answers of some thousand bytes, too: they come truncated, then over TCP. */
async function serveNames(server: Host): Promise<void> {
  const text = 'v=fixture '.repeat(20);
  const long = Array.from({ length: 18 }, (_, i) => `--txt-record=long.example.org,${i} ${text}`);
  // gtlsclient takes the first address that it gets: one name has but the one kind, one the other.
  const hosts = NAMES.map(([name, number]) => {
    const only = { 'www.youtube.com': [4], 'www.facebook.com': [6] }[name] ?? [4, 6];
    const of = only.map((version) => (version === 4 ? `192.0.2.${number}` : `2001:db8:5::${number}`));
    return `--host-record=${[name, ...of].join(',')}`;
  });
  const options = '--keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --user=root';
  await server.serve(
    DNS.flatMap((address) => [`udp/${bracketed(address)}:53`, `tcp/${bracketed(address)}:53`]),
    ...['dnsmasq', ...options.split(' '), '--pid-file', '--local=/#/', `--listen-address=${DNS.join(',')}`],
    ...[...long, ...hosts],
  );
}

/** Starts the other servers; resolves when all of them listen. */
export async function startServers({ server }: Site): Promise<void> {
  await certify(server);
  await Promise.all([serveWeb(server), serveQuic(server), serveShell(server), serveSpeed(server)]);
}

async function certify(server: Host): Promise<void> {
  const names = NAMES.map(([name]) => `DNS:${name}`).join(',');
  const options = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out crt.pem';
  const subject = ['-subj', '/C=AQ/O=Site/CN=www.wikipedia.org', '-addext', `subjectAltName=${names}`];
  await server.must('openssl', 'req', ...options.split(' '), ...subject);
}

async function serveWeb(server: Host): Promise<void> {
  const { folder } = server;
  mkdirSync(join(folder, 'www'), { recursive: true });
  writeFileSync(join(folder, 'www', 'index.html'), '<!doctype html><title>Site</title><p>A page to be captured.\n');
  writeFileSync(join(folder, 'www', 'large.bin'), Buffer.alloc(60_000, 'a page '));
  writeFileSync(join(folder, 'mime.types'), 'text/html html\n');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const configuration = `user root; daemon off; pid ${folder}/nginx.pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off; ${paths.join(' ')} root ${folder}/www;
  server { listen 80; listen [::]:80; }
  server {
    listen 443 ssl http2; listen [::]:443 ssl http2; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${folder}/crt.pem; ssl_certificate_key ${folder}/key.pem;
  }
}
`;
  writeFileSync(join(folder, 'nginx.conf'), configuration);
  await server.serve(['tcp/:80', 'tcp/:443'], 'nginx', '-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf'));
}

async function serveQuic(server: Host): Promise<void> {
  const options = ['-q', '--mime-types-file=mime.types', '-d', '.'];
  for (const address of ['192.0.2.83', '2001:db8:5::84']) {
    await server.serve(
      [`udp/${bracketed(address)}:443`],
      'gtlsserver',
      ...options,
      address,
      '443',
      'key.pem',
      'crt.pem',
    );
  }
}

async function serveShell(server: Host): Promise<void> {
  const { folder } = server;
  for (const name of ['host_key', 'user_key']) {
    await server.must('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name));
  }
  const settings = {
    HostKey: join(folder, 'host_key'),
    AuthorizedKeysFile: join(folder, 'user_key.pub'),
    PermitRootLogin: 'yes',
    StrictModes: 'no',
    UsePAM: 'no',
    PidFile: join(folder, 'sshd.pid'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
  writeFileSync(join(folder, 'sshd_config'), lines.join(''));
  // sshd wants a folder under /run; here it gets a /run of its own.
  const start = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$(command -v sshd)" -D -e -f "$0"';
  await server.serve(['tcp/:22'], 'sh', '-c', start, join(folder, 'sshd_config'));
}

async function serveSpeed(server: Host): Promise<void> {
  // Bound to one address, it answers datagrams from there.
  for (const address of ['192.0.2.201', '2001:db8:5::201']) {
    await server.serve([`tcp/${bracketed(address)}:5201`], 'iperf3', '-s', '-B', address);
  }
}

/** The day, once through; throws when a client fails. */
export async function talk({ client }: Site): Promise<void> {
  const curl = 'curl -sSf -o /dev/null --max-time 10 -k'.split(' ');
  const quic = 'gtlsclient -q --exit-on-all-streams-close --no-http-dump --no-quic-dump'.split(' ');
  const { folder } = client;
  const shell = ['ssh', '-F', 'none', '-i', join(folder, 'user_key'), '-o', 'StrictHostKeyChecking=no'];
  shell.push('-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR');
  const clients: readonly (readonly string[])[] = [
    ['dig', '+tries=1', 'www.wikipedia.org', 'A'],
    ['dig', '+tries=1', `@${DNS[1]}`, 'www.github.com', 'AAAA'],
    ['dig', '+tries=1', '+bufsize=512', '+ignore', 'long.example.org', 'TXT'],
    ['dig', '+tries=1', '+tcp', 'long.example.org', 'TXT'],
    ['dig', '+tries=1', '+tcp', `@${DNS[1]}`, 'nowhere.example.org', 'A'],
    [...curl, '-4', 'http://www.wikipedia.org/'],
    [...curl, '-6', 'http://www.wikipedia.org/large.bin'],
    [...curl, '-4', '--http1.1', '--tls-max', '1.2', 'https://www.wikipedia.org/large.bin'],
    [...curl, '-6', '--http1.1', '--tls-max', '1.2', 'https://www.netflix.com/'],
    [...curl, '-4', '--http1.1', '--tlsv1.3', 'https://www.netflix.com/large.bin'],
    [...curl, '-6', '--http2', '--tlsv1.3', 'https://www.github.com/', 'https://www.github.com/large.bin'],
    [...curl, '-4', '--http2', '--tls-max', '1.2', 'https://www.github.com/'],
    [...quic, 'www.youtube.com', '443', 'https://www.youtube.com/www/large.bin'],
    [...quic, 'www.facebook.com', '443', 'https://www.facebook.com/www/index.html'],
    [...shell, '-4', 'shell.example.org', 'true'],
    [...shell, '-6', 'shell.example.org', 'seq 5000 | cksum'],
    ['ping', '-q', '-c', '3', '-i', '0.1', '192.0.2.80'],
    ['ping', '-q', '-c', '3', '-i', '0.1', '2001:db8:5::80'],
    ['ping', '-q', '-c', '2', '-i', '0.1', '-s', '4000', '192.0.2.81'],
    ['ping', '-q', '-c', '2', '-i', '0.1', '-s', '4000', '2001:db8:5::81'],
  ];
  await Promise.all(clients.map((command) => client.must(...command)));
  // One test at a time is all that an iperf3 server takes.
  await client.must('iperf3', '-4', '-c', 'speed.example.org', '-n', '300K');
  await client.must('iperf3', '-6', '-u', '-c', 'speed.example.org', '-n', '50K', '-l', '1200', '-b', '5M');
  await client.must('iperf3', '-4', '-u', '-c', 'speed.example.org', '-n', '50K', '-l', '3000', '-b', '5M');
}
