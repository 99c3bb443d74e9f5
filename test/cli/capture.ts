// Small captures made byte by byte: pcap, Ethernet, IPv4, UDP.

export interface PacketParts {
  /** Seconds since the capture's begin. */
  at?: number;
  src?: number;
  dst?: number;
  srcPort?: number;
  dstPort?: number;
  /** Bytes of UDP payload. */
  size?: number;
  /** In units of 8 bytes; above 0 the UDP header is data. */
  fragmentOffset?: number;
  hasMoreFragments?: boolean;
  /** Carried by an IPv4-in-IPv4 tunnel between 192.0.2.1 and 192.0.2.2. */
  isTunnelled?: boolean;
  etherType?: number;
}

const START = 1_700_000_000;

function ipv4(protocol: number, src: number, dst: number, payload: Buffer, fragment = 0): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(7, 4);
  header.writeUInt16BE(fragment, 6);
  header[8] = 64;
  header[9] = protocol;
  header.writeUInt32BE(src, 12);
  header.writeUInt32BE(dst, 16);
  return Buffer.concat([header, payload]);
}

function frameOf(packet: PacketParts): Buffer {
  const { src = 0x0a000001, dst = 0x0a000002, srcPort = 40000, dstPort = 9999, size = 20 } = packet;
  const udp = Buffer.alloc(8 + size);
  udp.writeUInt16BE(srcPort, 0);
  udp.writeUInt16BE(dstPort, 2);
  udp.writeUInt16BE(udp.length, 4);
  const fragment = (packet.fragmentOffset ?? 0) | (packet.hasMoreFragments === true ? 0x2000 : 0);
  let ip = ipv4(17, src, dst, udp, fragment);
  if (packet.isTunnelled === true) ip = ipv4(4, 0xc0000201, 0xc0000202, ip);
  const ethernet = Buffer.alloc(14);
  ethernet.writeUInt16BE(packet.etherType ?? 0x0800, 12);
  return Buffer.concat([ethernet, ip]);
}

/** The header of a pcap file, microseconds, Ethernet. */
export function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  return header;
}

export function pcapRecords(packets: readonly PacketParts[]): Buffer {
  return Buffer.concat(
    packets.flatMap((packet) => {
      const frame = frameOf(packet);
      const header = Buffer.alloc(16);
      const microseconds = Math.round((packet.at ?? 0) * 1e6);
      header.writeUInt32LE(START + Math.floor(microseconds / 1e6), 0);
      header.writeUInt32LE(microseconds % 1e6, 4);
      header.writeUInt32LE(frame.length, 8);
      header.writeUInt32LE(frame.length, 12);
      return [header, frame];
    }),
  );
}

export function pcap(packets: readonly PacketParts[]): Buffer {
  return Buffer.concat([pcapHeader(), pcapRecords(packets)]);
}

/** One packet each of `count` flows, `seconds` apart. */
export function manyFlows(count: number, seconds = 0.001): PacketParts[] {
  return Array.from({ length: count }, (_, i) => ({ at: i * seconds, src: 0x0a010000 + i }));
}
