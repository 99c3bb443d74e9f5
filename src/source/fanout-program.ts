// The classic BPF program by which the kernel shares an interface's packets out among several captures (packet(7),
// PACKET_FANOUT_CBPF): it returns a hash, and capture number `hash % captures` gets the packet.
//
//   TCP over IPv4 or IPv6   addresses and ports
//   any other IP packet     addresses alone
//   what is no IP packet    0
//
// Invariant: all packets of a flow give the same hash, in both directions. That is why UDP goes by addresses alone: later
// fragments have no ports, and what VXLAN, Geneve or GTP-U carry in one direction comes from another outer port than in
// the other one. Later fragments of TCP segments have no ports either and may come to another capture; TCP avoids
// fragments (RFC 9293, section 3.7.2). IPv6 extension headers are passed, up to MAX_EXTENSIONS of them.
//
// DIFFERS: not PACKET_FANOUT_HASH, which takes the ports of UDP in, and not with PACKET_FANOUT_FLAG_DEFRAG, which hands
// the fragments of a packet over as one, so that packets and bytes are counted wrongly.
//
// The kernel shows the program what came in from behind the link-layer header on, and what goes out with it (dev_queue_xmit_nit
// in net/core/dev.c). SKF_AD_PKTTYPE tells which. On Ethernet the header is 14 bytes; what goes out elsewhere is read
// relative to its network header (SKF_NET_OFF), which reaches only bytes that lie together, as headers that were made
// here do. A VLAN tag is not in the frame, unless there are two or hardware that knows none: then it is passed.

/** Numbers of groups are 1 to this. */
export const MAX_FANOUT_GROUP = 0xffff;

// linux/filter.h: what is no offset into the packet, as unsigned words.
const AD_PROTOCOL = 0xffff_f000;
const AD_PKTTYPE = AD_PROTOCOL + 4;
const AD_HATYPE = AD_PROTOCOL + 28;
const NET_OFF = 0xfff0_0000;

/** linux/if_packet.h, linux/if_arp.h */
const PACKET_OUTGOING = 4;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

const ETHERNET_BYTES = 14;
const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** IEEE 802.1Q and 802.1ad. */
const ETHERTYPE_TAGS = [0x8100, 0x88a8];
const TAG_BYTES = 4;
const MAX_TAGS = 2;

const TCP = 6;
const IPV4_NOT_FIRST = 0x1fff;
const IPV6_BYTES = 40;
/** Hop-by-hop options, routing, destination options (RFC 8200): a length in units of 8 bytes, less one, in byte 1. */
const EXTENSIONS = [0, 43, 60];
const FRAGMENT = 44;
const FRAGMENT_BYTES = 8;
const IPV6_NOT_FIRST = 0xfff8;
const MAX_EXTENSIONS = 2;

// bpf(4).
const LD_W_IND = 0x40;
const LD_H_ABS = 0x28;
const LD_H_IND = 0x48;
const LD_B_IND = 0x50;
const LD_W_ABS = 0x20;
const LD_IMM = 0x00;
const LD_MEM = 0x60;
const LDX_IMM = 0x01;
const LDX_MEM = 0x61;
const ST = 0x02;
const STX = 0x03;
const ADD_K = 0x04;
const ADD_X = 0x0c;
const MUL_K = 0x24;
const AND_K = 0x54;
const LSH_K = 0x64;
const RSH_K = 0x74;
const XOR_X = 0xac;
const JA = 0x05;
const JEQ = 0x15;
const JSET = 0x45;
const RET_K = 0x06;
const RET_A = 0x16;
const TAX = 0x07;
const TXA = 0x87;

/** Scratch memory: one word for each address and for the ports, and one for what is being made. */
const SRC = 0;
const DST = 1;
const PORTS = 2;
const SCRATCH = 3;

/** An odd number whose bits are well mixed: 2^32 divided by the golden ratio. */
const MIX = 0x9e3779b1;

/** Instructions, with jumps to names that are known in the end. */
class Assembler {
  readonly #instructions: { code: number; k: number; to?: string }[] = [];
  readonly #places = new Map<string, number>();

  /** Appends pairs of an opcode and a constant. */
  add(...pairs: number[]): void {
    for (let i = 0; i < pairs.length; i += 2) this.#instructions.push({ code: pairs[i], k: pairs[i + 1] });
  }

  /** Goes to `to` if A equals `k` (JEQ) or has a bit of it (JSET). */
  jump(code: number, k: number, to: string): void {
    this.#instructions.push({ code, k, to });
  }

  go(to: string): void {
    this.#instructions.push({ code: JA, k: 0, to });
  }

  place(name: string): void {
    this.#places.set(name, this.#instructions.length);
  }

  /** Two words an instruction, as in src/packet/bpf.ts. */
  assemble(): Uint32Array {
    const words = new Uint32Array(this.#instructions.length * 2);
    this.#instructions.forEach(({ code, k, to }, i) => {
      const distance = to === undefined ? 0 : (this.#places.get(to) as number) - i - 1;
      words[2 * i] = code === JA ? code : (distance << 16) | code;
      words[2 * i + 1] = code === JA ? distance : k;
    });
    return words;
  }
}

/** The program. It does not depend on how many captures there are. */
export function fanoutProgram(): Uint32Array {
  const bpf = new Assembler();
  addLinkLayer(bpf);
  addIpv4(bpf);
  addIpv6(bpf);
  addPorts(bpf);
  addHash(bpf);
  return bpf.assemble();
}

/** X becomes the place of the IP header. */
function addLinkLayer(bpf: Assembler): void {
  bpf.add(LDX_IMM, 0, LD_W_ABS, AD_PKTTYPE);
  bpf.jump(JEQ, PACKET_OUTGOING, 'outgoing');
  bpf.add(LD_W_ABS, AD_PROTOCOL);
  bpf.go('type');
  bpf.place('outgoing');
  bpf.add(LD_W_ABS, AD_HATYPE);
  bpf.jump(JEQ, ARPHRD_ETHER, 'ethernet');
  bpf.jump(JEQ, ARPHRD_LOOPBACK, 'ethernet');
  bpf.add(LDX_IMM, NET_OFF, LD_W_ABS, AD_PROTOCOL);
  bpf.go('type');
  bpf.place('ethernet');
  bpf.add(LDX_IMM, ETHERNET_BYTES, LD_H_ABS, ETHERTYPE_AT);
  bpf.place('type');
  for (let tag = 0; tag <= MAX_TAGS; tag++) {
    bpf.jump(JEQ, ETHERTYPE_IPV4, 'ipv4');
    bpf.jump(JEQ, ETHERTYPE_IPV6, 'ipv6');
    if (tag === MAX_TAGS) break;
    for (const type of ETHERTYPE_TAGS) bpf.jump(JEQ, type, `tag ${tag}`);
    bpf.go('other');
    bpf.place(`tag ${tag}`);
    bpf.add(LD_H_IND, 2, ST, SCRATCH, TXA, 0, ADD_K, TAG_BYTES, TAX, 0, LD_MEM, SCRATCH);
  }
  bpf.place('other');
  bpf.add(RET_K, 0);
}

function addIpv4(bpf: Assembler): void {
  bpf.place('ipv4');
  bpf.add(LD_W_IND, 12, ST, SRC, LD_W_IND, 16, ST, DST);
  bpf.add(LD_B_IND, 9);
  bpf.jump(JEQ, TCP, 'ipv4 tcp');
  bpf.go('no ports');
  bpf.place('ipv4 tcp');
  bpf.add(LD_H_IND, 6);
  bpf.jump(JSET, IPV4_NOT_FIRST, 'ipv4 later');
  bpf.add(LD_B_IND, 0, AND_K, 0xf, LSH_K, 2, ADD_X, 0, TAX, 0);
  bpf.go('ports');
  bpf.place('ipv4 later');
  bpf.go('no ports');
}

function addIpv6(bpf: Assembler): void {
  bpf.place('ipv6');
  addIpv6Address(bpf, 8, SRC);
  addIpv6Address(bpf, 24, DST);
  bpf.add(LD_B_IND, 6, ST, SCRATCH, TXA, 0, ADD_K, IPV6_BYTES, TAX, 0, LD_MEM, SCRATCH);
  for (let i = 0; i <= MAX_EXTENSIONS; i++) {
    bpf.jump(JEQ, TCP, `tcp ${i}`);
    if (i < MAX_EXTENSIONS) {
      for (const extension of EXTENSIONS) bpf.jump(JEQ, extension, `extension ${i}`);
      bpf.jump(JEQ, FRAGMENT, `fragment ${i}`);
    }
    bpf.go('no ports');
    bpf.place(`tcp ${i}`);
    bpf.go('ports');
    if (i === MAX_EXTENSIONS) break;
    bpf.place(`fragment ${i}`);
    bpf.add(LD_H_IND, 2);
    bpf.jump(JSET, IPV6_NOT_FIRST, `later ${i}`);
    bpf.add(LD_B_IND, 0, ST, SCRATCH, TXA, 0, ADD_K, FRAGMENT_BYTES);
    bpf.go(`next ${i}`);
    bpf.place(`later ${i}`);
    bpf.go('no ports');
    bpf.place(`extension ${i}`);
    bpf.add(LD_B_IND, 0, ST, SCRATCH, LD_B_IND, 1, LSH_K, 3, ADD_K, 8, ADD_X, 0);
    bpf.place(`next ${i}`);
    bpf.add(TAX, 0, LD_MEM, SCRATCH);
  }
}

/** The address at `at` behind X, as one word in `into`. X stays, by way of memory. */
function addIpv6Address(bpf: Assembler, at: number, into: number): void {
  bpf.add(STX, SCRATCH, LD_W_IND, at, ST, into);
  for (let word = 1; word < 4; word++) {
    // into = into * MIX + the word
    bpf.add(LD_MEM, into, MUL_K, MIX, ST, into);
    bpf.add(LD_W_IND, at + 4 * word, LDX_MEM, into, ADD_X, 0, ST, into, LDX_MEM, SCRATCH);
  }
}

/** X is the place of the TCP header. */
function addPorts(bpf: Assembler): void {
  bpf.place('ports');
  bpf.add(LD_H_IND, 0, ST, PORTS, LD_H_IND, 2, LDX_MEM, PORTS);
  addSymmetric(bpf, PORTS);
  bpf.go('hash');
  bpf.place('no ports');
  bpf.add(LD_IMM, 0, ST, PORTS);
  bpf.place('hash');
}

function addHash(bpf: Assembler): void {
  bpf.add(LD_MEM, SRC, LDX_MEM, DST);
  addSymmetric(bpf, SRC);
  bpf.add(MUL_K, MIX, LDX_MEM, PORTS, ADD_X, 0);
  bpf.add(MUL_K, MIX, ST, SCRATCH, RSH_K, 15, LDX_MEM, SCRATCH, XOR_X, 0);
  bpf.add(MUL_K, MIX, RSH_K, 16, RET_A, 0);
}

/** A and `into` become a hash of A and X that is the same for X and A: (A + X) * MIX ^ A ^ X, A ^ X mixed first. */
function addSymmetric(bpf: Assembler, into: number): void {
  bpf.add(ST, into, XOR_X, 0, MUL_K, MIX, ST, SCRATCH);
  bpf.add(LD_MEM, into, ADD_X, 0, LDX_MEM, SCRATCH, XOR_X, 0, MUL_K, MIX, ST, into);
}
