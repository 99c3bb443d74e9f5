// Frames of each kind that the packet stage treats differently, with addresses of its own for each.

const bytes = (...values) => Uint8Array.from(values);
const u16 = (value) => bytes(value >> 8, value & 255);
const u32 = (value) => bytes(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

const TCP = 6;
const UDP = 17;
const GRE = 47;
const HOP_BY_HOP = 0;
const PAYLOAD = new Uint8Array(64);

const ethernet = (etherType, rest) => join(new Uint8Array(12), u16(etherType), rest);
const vlan = (id, etherType, rest) => join(u16(id), u16(etherType), rest);
const ipv4 = (protocol, id, rest, { fragment = 0 } = {}) =>
  join(
    bytes(0x45, 0),
    u16(20 + rest.length),
    u16(7),
    u16(fragment),
    bytes(64, protocol),
    u16(0),
    client(id),
    server(id),
    rest,
  );
const ipv6 = (next, id, rest) =>
  join(u32(0x60000000), u16(rest.length), bytes(next, 64), address6(client(id)), address6(server(id)), rest);
const client = (id) => u32(0x0a000000 + (id & 0xffff));
const server = (id) => u32(0xc0000200 + (id % 200));
const address6 = (last) => join(bytes(0x20, 0x01, 0x0d, 0xb8), new Uint8Array(8), last);
const tcp = (id) =>
  join(u16(32768 + (id & 0x3fff)), u16(443), u32(1), u32(1), bytes(0x50, 0x10), u16(1024), u32(0), PAYLOAD);
const udp = (id, to = 443, rest = PAYLOAD) =>
  join(u16(32768 + (id & 0x3fff)), u16(to), u16(8 + rest.length), u16(0), rest);

/** By kind: the frame of flow `id`. @type {Record<string, (id: number) => Uint8Array>} */
export const FRAMES = {
  'TCP, IPv4': (id) => ethernet(0x0800, ipv4(TCP, id, tcp(id))),
  'UDP, IPv4': (id) => ethernet(0x0800, ipv4(UDP, id, udp(id))),
  'TCP, IPv6': (id) => ethernet(0x86dd, ipv6(TCP, id, tcp(id))),
  'TCP, IPv4, VLAN': (id) => ethernet(0x8100, vlan(7, 0x0800, ipv4(TCP, id, tcp(id)))),
  'TCP, IPv4, two VLANs': (id) => ethernet(0x88a8, vlan(7, 0x8100, vlan(8, 0x0800, ipv4(TCP, id, tcp(id))))),
  'UDP, IPv6, extension header': (id) =>
    ethernet(0x86dd, ipv6(HOP_BY_HOP, id, join(bytes(UDP, 0, 1, 4, 0, 0, 0, 0), udp(id)))),
  'a first fragment, IPv4': (id) => ethernet(0x0800, ipv4(UDP, id, udp(id), { fragment: 0x2000 })),
  'TCP in GRE': (id) => ethernet(0x0800, ipv4(GRE, 1, join(u16(0), u16(0x0800), ipv4(TCP, id, tcp(id))))),
  'TCP in VXLAN': (id) =>
    ethernet(0x0800, ipv4(UDP, 1, udp(1, 4789, join(u32(0x08000000), u32(7 << 8), FRAMES['TCP, IPv4'](id))))),
  'ARP, skipped': () => ethernet(0x0806, new Uint8Array(46)),
};
