#!/usr/bin/python3
"""A wire with a length: takes frames from one device to the other, late, sometimes not at all, at a limited rate.

    relay.py DEVICE DEVICE DELAY_MS JITTER_MS LOSS_PERCENT MBIT SEED

Each host behind the first device has a distance of its own, from a third of DELAY_MS to twice as much, by the last
number of its IPv4 address. Frames never overtake one another.
"""
import heapq
import random
import select
import socket
import sys
import time

ETH_P_ALL, OUTGOING, IPV4 = 3, 4, b'\x08\x00'
left, right = sys.argv[1:3]
delay, jitter, loss, mbit = (float(text) for text in sys.argv[3:7])
rng = random.Random(int(sys.argv[7]))


def tap(device):
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    tap.bind((device, 0))
    return tap


taps = [tap(left), tap(right)]
wire_free_at = [0.0, 0.0]
last_due = [{}, {}]
waiting = []
count = 0
while True:
    timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
    ready, _, _ = select.select(taps, [], [], timeout)
    for tap in ready:
        side = taps.index(tap)
        frame, (_, _, kind, *_) = tap.recvfrom(65536)
        if kind == OUTGOING:
            continue
        is_ip = frame[12:14] == IPV4
        if is_ip and rng.random() * 100 < loss:
            continue
        now = time.monotonic()
        wire_free_at[side] = max(now, wire_free_at[side]) + len(frame) * 8 / (mbit * 1e6)
        host = (frame[29] if side == 0 else frame[33]) if is_ip else 0
        late = delay * (1 / 3 + (host % 8) * 0.24) + rng.expovariate(1 / jitter) if is_ip else 0
        due = max(wire_free_at[side] + late / 1e3, last_due[side].get(host, 0))
        last_due[side][host] = due
        count += 1
        heapq.heappush(waiting, (due, count, 1 - side, frame))
    while waiting and waiting[0][0] <= time.monotonic():
        _, _, side, frame = heapq.heappop(waiting)
        taps[side].send(frame)
