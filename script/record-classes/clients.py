#!/usr/bin/python3
"""People at work: some hundreds of sessions of seven kinds with the servers of 70-classes.sh, many at once.

    clients.py SERVER_NET CLIENT_NET FIRST_CLIENT SEED SESSIONS SECONDS SSH_KEY

The kinds overlap on purpose: all of web, download, video and chat are HTTPS requests to one nginx with one certificate,
by one client program, with names and headers of any length; a page may be one small answer, a shell may print a long
file, a message may carry a picture.
"""
import asyncio
import random
import smtplib
import ssl
import struct
import sys
from email.message import EmailMessage

server_net, client_net, first_client, seed, sessions, seconds, ssh_key = sys.argv[1:]
first_client, seed, sessions, seconds = int(first_client), int(seed), int(sessions), float(seconds)
CLIENTS = 8
SHARES = {'web': 18, 'download': 10, 'video': 9, 'chat': 15, 'mail': 15, 'shell': 12, 'dns': 21}
HOSTS = {'web': 80, 'download': 81, 'video': 82, 'chat': 83, 'mail': 25, 'shell': 22, 'dns': 53}


def text(rng, least, most):
    return ''.join(rng.choices('abcdefghijklmnopqrstuvwxyz0123456789', k=rng.randint(least, most)))


def tls(rng):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if rng.random() < 0.25:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    protocols = rng.choice([[], ['http/1.1'], ['http/1.1', 'http/1.0']])
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class Https:
    """A connection with keep-alive."""

    def __init__(self, rng, host, client):
        self.rng, self.host, self.client = rng, host, client
        self.name = f'{text(rng, 3, 24)}.example.org'
        self.headers = f'Host: {self.name}\r\nUser-Agent: {text(rng, 10, 90)}\r\nCookie: {text(rng, 0, 420)}\r\n'

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(
            self.host, 443, ssl=tls(self.rng), server_hostname=self.name, local_addr=(self.client, 0))
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def get(self, path, more=''):
        self.writer.write(f'GET {path}?{text(self.rng, 0, 80)} HTTP/1.1\r\n{self.headers}{more}\r\n'.encode())
        head = (await self.reader.readuntil(b'\r\n\r\n')).decode().lower()
        if 'content-length: ' in head:
            await self.reader.readexactly(int(head.split('content-length: ')[1].split('\r\n')[0]))


async def web(rng, host, client):
    async with Https(rng, host, client) as connection:
        for page in range(rng.choice([1, 1, 1, 2])):
            await asyncio.sleep(page * rng.uniform(0.5, 3))
            await connection.get(f'/page/{rng.randrange(60)}')
            for _ in range(rng.choice([0, 1, 2, 3, 4, 6, 9])):
                await asyncio.sleep(rng.expovariate(1 / 0.04))
                await connection.get(f'/object/{rng.randrange(120)}')


async def download(rng, host, client):
    async with Https(rng, host, client) as connection:
        slow = '/slow' if rng.random() < 0.3 else ''
        await connection.get(f'{slow}/file/{rng.randrange(40)}')
        if rng.random() < 0.2:
            await connection.get(f'/file/{rng.randrange(40)}', 'Range: bytes=5000-\r\n')


async def video(rng, host, client):
    async with Https(rng, host, client) as connection:
        if rng.random() < 0.7:
            await connection.get(f'/object/{rng.randrange(120)}')  # the play list
        for _ in range(rng.randint(2, 7)):
            await connection.get(f'/segment/{rng.randrange(60)}')
            await asyncio.sleep(rng.uniform(0.3, 1.6))


async def chat(rng, host, client):
    async with Https(rng, host, client) as connection:
        if rng.random() < 0.4:
            await connection.get(f'/object/{rng.randrange(120)}')  # the list of rooms
        await connection.get('/chat', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n')
        reading = asyncio.create_task(connection.reader.read())
        for _ in range(rng.randint(2, 11)):
            await asyncio.sleep(rng.expovariate(1 / 0.6))
            size = min(600, max(4, int(rng.lognormvariate(3.8, 0.9))))
            head = struct.pack('!BB', 0x82, 0x80 | size) if size < 126 else struct.pack('!BBH', 0x82, 0xFE, size)
            connection.writer.write(head + rng.randbytes(4 + size))
        reading.cancel()


async def mail(rng, host, client):
    def send():
        with smtplib.SMTP_SSL(host, 465, f'{text(rng, 4, 20)}.example.org', timeout=20,
                              context=tls(rng), source_address=(client, 0)) as connection:
            for _ in range(rng.choice([1, 1, 1, 2])):
                message = EmailMessage()
                message['From'] = f'{text(rng, 3, 14)}@example.org'
                message['To'] = ', '.join(f'{text(rng, 3, 14)}@example.net' for _ in range(rng.randint(1, 3)))
                message['Subject'] = text(rng, 5, 60)
                message.set_content('\n'.join(text(rng, 20, 70) for _ in range(int(rng.lognormvariate(2.6, 0.9)))))
                if rng.random() < 0.15:
                    message.add_attachment(rng.randbytes(rng.randint(6000, 25000)), maintype='image', subtype='png')
                connection.send_message(message)

    await asyncio.to_thread(send)


COMMANDS = ['uptime', 'date', 'ls /usr/share | head -n 12', 'id', 'seq 40', 'ls -l /bin | head -n 25', 'df', 'free -m']


async def shell(rng, host, client):
    ssh = ['ssh', '-F', 'none', '-b', client, '-i', ssh_key, '-o', 'StrictHostKeyChecking=no', '-o', 'LogLevel=ERROR',
           '-o', 'UserKnownHostsFile=/dev/null', host]
    pipes = {'stdin': asyncio.subprocess.PIPE, 'stdout': asyncio.subprocess.DEVNULL}
    kind = rng.random()
    if kind < 0.35:  # one command, or a copy of a file
        command = rng.choice(COMMANDS) if kind < 0.2 else f'head -c {rng.randint(3000, 30000)} /dev/urandom'
        process = await asyncio.create_subprocess_exec(*ssh, command, **pipes)
        process.stdin.close()
    else:
        process = await asyncio.create_subprocess_exec(*ssh[:1], '-tt', *ssh[1:], **pipes)
        await asyncio.sleep(rng.uniform(0.8, 2))
        for _ in range(rng.randint(1, 3)):
            for key in rng.choice(COMMANDS)[:rng.randint(2, 9)] + '\r':
                process.stdin.write(key.encode())
                await process.stdin.drain()
                await asyncio.sleep(rng.lognormvariate(-2, 0.5))
            await asyncio.sleep(rng.uniform(0.2, 2))
        process.stdin.write(b'\x15exit\r')
    await process.wait()


async def dns(rng, host, client):
    name = rng.choice(['www', 'api', 'cdn', 'long', 'nowhere', text(rng, 3, 40)]) + '.example.org'
    kind = rng.choice(['A', 'A', 'AAAA', 'MX', 'TXT', 'SRV', 'PTR'])
    options = rng.sample(['+nocookie', '+dnssec', '+noedns', '+bufsize=512'], rng.randint(0, 2))
    if rng.random() < 0.1:
        options.append('+tcp')
    process = await asyncio.create_subprocess_exec(
        'dig', f'@{host}', '-b', client, '+tries=2', '+timeout=1', name, kind, *options,
        stdout=asyncio.subprocess.DEVNULL)
    await process.wait()


KINDS = {'web': web, 'download': download, 'video': video, 'chat': chat, 'mail': mail, 'shell': shell, 'dns': dns}


async def session(number, kind, start, failures):
    rng = random.Random(f'{seed} {number}')
    await asyncio.sleep(start)
    client = f'{client_net}.{first_client + rng.randrange(CLIENTS)}'
    try:
        await asyncio.wait_for(KINDS[kind](rng, f'{server_net}.{HOSTS[kind]}', client), 30)
    except Exception as error:  # a failed session is traffic too; too many are a broken recording
        failures.append(f'{kind}: {error!r}')


async def main():
    rng = random.Random(seed)
    kinds = rng.choices(list(SHARES), weights=list(SHARES.values()), k=sessions)
    failures = []
    await asyncio.gather(*(session(i, kind, rng.uniform(0, seconds), failures) for i, kind in enumerate(kinds)))
    print(f'{sessions} sessions, {len(failures)} failed', *failures[:5], sep='\n  ', file=sys.stderr)
    sys.exit(len(failures) > sessions / 50)


asyncio.run(main())
