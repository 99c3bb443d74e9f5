#!/usr/bin/python3
"""The other people of a chat, behind nginx: accepts an upgrade to WebSocket (RFC 6455), then sends messages of a size
and at times of its own, reads what comes, and leaves when the client does.

    chat_server.py PORT SEED
"""
import asyncio
import random
import struct
import sys

port, seed = int(sys.argv[1]), int(sys.argv[2])
sessions = 0


def message(rng):
    """A line of text, seldom a picture."""
    size = rng.randint(3000, 15000) if rng.random() < 0.04 else min(900, max(8, int(rng.lognormvariate(4.2, 0.8))))
    head = struct.pack('!BB', 0x82, size) if size < 126 else struct.pack('!BBH', 0x82, 126, size)
    return head + rng.randbytes(size)


async def serve(reader, writer):
    global sessions
    sessions += 1
    rng = random.Random(f'{seed} {sessions}')
    await reader.readuntil(b'\r\n\r\n')
    writer.write(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    reading = asyncio.create_task(reader.read())
    try:
        for _ in range(rng.randint(0, 4)):  # what was said before you came
            writer.write(message(rng))
        while not reading.done():
            await asyncio.wait([reading], timeout=rng.expovariate(0.8))
            if not reading.done():
                writer.write(message(rng))
                await writer.drain()
    except ConnectionError:
        pass
    finally:
        reading.cancel()
        writer.close()


async def main():
    async with await asyncio.start_server(serve, '127.0.0.1', port) as server:
        await server.serve_forever()


asyncio.run(main())
