#!/usr/bin/python3
"""Cuts each packet of a capture (pcap, Ethernet, IPv4) after its TCP or UDP header: standard input to standard output.
What is left has the lengths of before in its headers, and no content; the checksums of that content become zero."""
import struct
import sys

data = sys.stdin.buffer.read()
out = sys.stdout.buffer
assert data[:4] == b'\xd4\xc3\xb2\xa1', 'expected a little-endian pcap file'
out.write(data[:24])
at = 24
while at < len(data):
    seconds, fraction, captured, length = struct.unpack_from('<IIII', data, at)
    frame = bytearray(data[at + 16:at + 16 + captured])
    transport = 14 + (frame[14] & 15) * 4
    headers = transport + ((frame[transport + 12] >> 4) * 4 if frame[23] == 6 else 8)
    checksum = transport + (16 if frame[23] == 6 else 6)
    frame[checksum:checksum + 2] = b'\0\0'
    out.write(struct.pack('<IIII', seconds, fraction, min(captured, headers), length) + frame[:headers])
    at += 16 + captured
